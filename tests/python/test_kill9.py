"""kill -9 at random moments under concurrent writers: every acknowledged write is there afterwards.

Each round starts the server on what the last one left, lets writers of all services loose on it, kills it
some milliseconds later, starts it again and compares what it holds with what it acknowledged. A request
whose answer never came may have happened or not; nothing else may differ. Now and then the recovery is
killed as well, and in between a round ends with SIGTERM, which is to be a clean end.

A failure names its seed: `CUMULOG_TEST_SEED=… ./test python -k kill9` makes the same requests again, though
not at the same microsecond. `CUMULOG_KILL9_ROUNDS=2000` makes as many rounds.
"""

import os
import random
import threading
import time

import botocore.exceptions
import pytest
import urllib3.exceptions

from cumulog import START_SECONDS_MAX, Cumulog, check_verified

# Two durabilities, two halves each, every sixth a clean end: 26 kills with either.
ROUNDS = int(os.environ.get("CUMULOG_KILL9_ROUNDS", 15))

# What a client sees of a server that dies under it.
CUT_OFF = (
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.ResponseStreamingError,
    urllib3.exceptions.HTTPError,
)

VISIBILITY_SHORT_SECONDS = 2
VISIBILITY_LONG_SECONDS = 600


class Model:
    """What one writer knows of the keys that only it writes; `None` is a key that is not there."""

    def __init__(self):
        self.known = {}
        self.pending = {}

    def attempt(self, changes, call):
        """Makes `call`, after which `changes` hold; if no answer comes they may hold, each for itself."""
        self.pending = changes
        call()
        self.known |= changes
        self.pending = {}

    def check(self, held, where):
        """Compares with what is `held`, and takes what became of the pending changes as known."""
        for key in self.known.keys() | self.pending.keys():
            actual = held.get(key)
            allowed = [self.known.get(key)]
            if key in self.pending:
                allowed.append(self.pending[key])
            assert actual in allowed, f"{where}: {key} holds {brief(actual)}, not {' or '.join(map(brief, allowed))}"
            self.known[key] = actual
        self.pending = {}

    def live(self):
        return [key for key, value in self.known.items() if value is not None]


def brief(value):
    text = repr(value)
    return text if len(text) < 100 else f"{text[:80]}… ({len(text)} characters)"


class Objects:
    """One S3 writer: puts, overwrites, copies, uploads in parts and deletes under a prefix of its own."""

    def __init__(self, server, name, rng):
        self.s3, self.prefix, self.rng = server.s3, f"{name}//", rng
        self.model, self.touched = Model(), set()
        # Uploads that wait for their completion: key, upload id, ETag of the only part, body.
        self.uploads = []

    def step(self):
        rng, s3, live = self.rng, self.s3, self.model.live()
        key = f"{self.prefix}{rng.randrange(40)} ü"
        self.touched.add(key)
        action = rng.random()
        if live and action < 0.1:
            self.model.attempt({key: None}, lambda: s3.delete_object(Bucket="bucket", Key=key))
        elif live and action < 0.2:
            gone = rng.sample(live, min(3, len(live)))
            self.touched |= set(gone)
            request = {"Objects": [{"Key": key} for key in gone]}
            self.model.attempt(dict.fromkeys(gone), lambda: s3.delete_objects(Bucket="bucket", Delete=request))
        elif live and action < 0.3:
            source = rng.choice(live)
            copy = {"Bucket": "bucket", "Key": source}
            changes = {key: self.model.known[source]}
            if source != key:
                self.model.attempt(changes, lambda: s3.copy_object(Bucket="bucket", Key=key, CopySource=copy))
        elif action < 0.4:
            self.begin_upload(key)
        elif self.uploads and action < 0.5:
            self.complete_upload()
        else:
            size = rng.choice([0, 1, 100, 100, 4096, 5000, 70_000, rng.randrange(1_500_000)])
            body = rng.randbytes(size)
            self.model.attempt({key: body}, lambda: s3.put_object(Bucket="bucket", Key=key, Body=body))

    def begin_upload(self, key):
        body = self.rng.randbytes(self.rng.choice([10, 5000, 100_000]))
        upload = self.s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
        part = {"Bucket": "bucket", "Key": key, "UploadId": upload, "PartNumber": 1, "Body": body}
        self.uploads.append((key, upload, self.s3.upload_part(**part)["ETag"], body))

    def complete_upload(self):
        key, upload, etag, body = self.uploads.pop(self.rng.randrange(len(self.uploads)))
        self.touched.add(key)
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        complete = {"Bucket": "bucket", "Key": key, "UploadId": upload, "MultipartUpload": parts}
        self.model.attempt({key: body}, lambda: self.s3.complete_multipart_upload(**complete))

    def check(self, where, thorough):
        for key, upload, etag, body in self.uploads:
            parts = self.s3.list_parts(Bucket="bucket", Key=key, UploadId=upload).get("Parts", [])
            held = [(part["PartNumber"], part["ETag"], part["Size"]) for part in parts]
            assert held == [(1, etag, len(body))], f"{where}: the upload of {key} holds {held}"
        listed = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=self.prefix):
            listed |= {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
        self.touched = set(listed) if thorough else self.touched & set(listed)
        held = {key: self.s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in self.touched}
        for key, body in held.items():
            assert listed[key] == len(body), f"{where}: {key} is listed with {listed[key]} bytes, holds {len(body)}"
        # Keys that this round did not touch: their size stands for them until the thorough check.
        for key, size in listed.items():
            if key not in held:
                known = self.model.known.get(key)
                assert known is not None and len(known) == size, f"{where}: {key} is listed with {size} bytes"
                held[key] = known
        self.model.check(held, where)
        self.touched = set()


class Items:
    """One DynamoDB writer: items of its own, a counter of its own, and one that all writers add to."""

    shared = {"id": {"S": "shared"}}

    def __init__(self, server, name, rng):
        self.dynamodb, self.name, self.rng = server.dynamodb, name, rng
        self.model = Model()
        # Of the shared counter: this writer's additions, the one without an answer, the highest value seen.
        self.added, self.adding, self.seen = 0, 0, 0

    def step(self):
        rng, dynamodb = self.rng, self.dynamodb
        id = f"{self.name}-{rng.randrange(60)}"
        action = rng.random()
        if action < 0.15:
            call = lambda: dynamodb.delete_item(TableName="table", Key={"id": {"S": id}})
            self.model.attempt({id: None}, call)
        elif action < 0.3:
            items = [self.item(f"{self.name}-{number}") for number in rng.sample(range(60), 5)]
            request = {"table": [{"PutRequest": {"Item": item}} for item in items]}
            call = lambda: dynamodb.batch_write_item(RequestItems=request)
            self.model.attempt({item["id"]["S"]: item for item in items}, call)
        elif action < 0.5:
            self.count()
        elif action < 0.6:
            item = dynamodb.get_item(TableName="table", Key=self.shared, ConsistentRead=True).get("Item", {})
            self.seen = max(self.seen, int(item.get("n", {"N": "0"})["N"]))
        else:
            item = self.item(id)
            call = lambda: dynamodb.put_item(TableName="table", Item=item)
            self.model.attempt({id: item}, call)

    def item(self, id):
        data = self.rng.randbytes(self.rng.choice([0, 10, 300, 5000]))
        return {"id": {"S": id}, "n": {"N": str(self.rng.randrange(10**30))}, "data": {"B": data}}

    def count(self):
        add = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        self.adding = 1
        answer = self.dynamodb.update_item(TableName="table", Key=self.shared, ReturnValues="UPDATED_NEW", **add)
        self.added, self.adding = self.added + 1, 0
        value = int(answer["Attributes"]["n"]["N"])
        assert value > self.seen, f"the counter went from {self.seen} to {value}"
        self.seen = value

    @staticmethod
    def held(server):
        pages = server.dynamodb.get_paginator("scan").paginate(TableName="table", ConsistentRead=True)
        return {item["id"]["S"]: item for page in pages for item in page["Items"]}

    def check(self, held, where):
        mine = {id: item for id, item in held.items() if id.startswith(f"{self.name}-")}
        unknown = mine.keys() - self.model.known.keys() - self.model.pending.keys()
        assert not unknown, f"{where}: items that nobody wrote: {unknown}"
        self.model.check(mine, where)


def check_counter(writers, held, where):
    """Adds up all writers' additions, and takes back none that anyone has seen."""
    value = int(held.get("shared", {}).get("n", {"N": "0"})["N"])
    added = sum(writer.added for writer in writers)
    adding = sum(writer.adding for writer in writers)
    assert added <= value <= added + adding, f"{where}: {value} after {added} additions and {adding} unanswered"
    seen = max(writer.seen for writer in writers)
    assert value >= seen, f"{where}: the counter is {value} after {seen} was seen"
    # What became of the unanswered is known now; whose it was does not matter.
    for writer in writers:
        writer.adding = 0
    writers[0].added += value - added


class Message:
    def __init__(self):
        self.sent = self.deleted = "no"  # or "pending", then "yes"
        self.handle = None  # of the last receive that hides it for long
        self.hidden_until = 0.0  # no one may receive it before, by our clock


class Queue:
    """The one queue that all SQS writers share, and what they know of it."""

    def __init__(self, server, run):
        self.sqs, self.run = server.sqs, run
        self.url = self.sqs.create_queue(QueueName="queue")["QueueUrl"]
        self.lock = threading.Lock()
        self.messages = {}
        self.receives_lost = 0

    def live(self):
        return {
            body: message
            for body, message in self.messages.items()
            if message.sent == "yes" and message.deleted == "no"
        }

    def uncertain(self):
        """Messages that may be there or not."""
        return {
            body
            for body, message in self.messages.items()
            if message.deleted != "yes" and "pending" in (message.sent, message.deleted)
        }

    def check(self, where):
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        count = sum(int(attributes[name]) for name in names)
        live, uncertain = len(self.live()), len(self.uncertain())
        assert live <= count <= live + uncertain, f"{where}: {count} messages, not {live} to {live + uncertain}"
        # A handle from before the kill is good for as long as its message is hidden.
        for body, message in self.live().items():
            if message.handle:
                self.change(body, message, VISIBILITY_LONG_SECONDS)

    def change(self, body, message, seconds):
        asked = time.monotonic()
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=message.handle, VisibilityTimeout=seconds)
        message.hidden_until = asked + seconds

    def receive(self, count, seconds, wait=0):
        asked = time.monotonic()
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=count, VisibilityTimeout=seconds, WaitTimeSeconds=wait
        )
        answered = time.monotonic()
        with self.lock:
            for received in answer.get("Messages", []):
                body = received["Body"]
                message = self.messages.get(body)
                assert message, f"{self.run}: received what nobody sent: {brief(body)}"
                assert message.deleted != "yes", f"{self.run}: received again after its deletion: {brief(body)}"
                assert message.hidden_until <= answered, f"{self.run}: received while hidden: {brief(body)}"
                if message.sent == "pending":
                    message.sent = "yes"
                message.hidden_until = asked + seconds
                message.handle = received["ReceiptHandle"] if seconds == VISIBILITY_LONG_SECONDS else None
            return [received["Body"] for received in answer.get("Messages", [])]

    def drain(self, where):
        """Everything that must be there is there: makes all of it visible and receives it."""
        for body, message in self.live().items():
            if message.handle:
                self.change(body, message, 0)
        time.sleep(VISIBILITY_SHORT_SECONDS)
        live, uncertain, drained = set(self.live()), self.uncertain(), set()
        while bodies := self.receive(10, VISIBILITY_LONG_SECONDS):
            drained |= set(bodies)
        missing, extra = live - drained, drained - live - uncertain
        # A receive whose answer was lost may have hidden one message for long.
        assert len(missing) <= self.receives_lost, f"{where}: lost {sorted(map(brief, missing))}"
        assert not extra, f"{where}: not expected: {sorted(map(brief, extra))}"


class Messages:
    """One SQS writer."""

    def __init__(self, queue, name, rng):
        self.queue, self.name, self.rng = queue, name, rng
        self.number = 0

    def step(self):
        action = self.rng.random()
        if action < 0.5:
            self.send()
        elif action < 0.75:
            self.receive()
        else:
            self.delete()

    def body(self):
        self.number += 1
        size = self.rng.choice([0, 20, 200, 9000])
        return f"{self.name}-{self.number} " + "".join(self.rng.choices("aé\n<&🙂", k=size))

    def send(self):
        queue = self.queue
        bodies = [self.body() for _ in range(self.rng.choice([1, 1, 3]))]
        with queue.lock:
            sent = [queue.messages.setdefault(body, Message()) for body in bodies]
            for message in sent:
                message.sent = "pending"
        if len(bodies) == 1:
            queue.sqs.send_message(QueueUrl=queue.url, MessageBody=bodies[0])
        else:
            entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
            queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)
        with queue.lock:
            for message in sent:
                message.sent = "yes"

    def receive(self):
        # One at a time where it hides for long, so that a lost answer hides no more than one.
        long = self.rng.random() < 0.5
        count, seconds = (1, VISIBILITY_LONG_SECONDS) if long else (3, VISIBILITY_SHORT_SECONDS)
        try:
            self.queue.receive(count, seconds, wait=self.rng.choice([0, 1]))
        except CUT_OFF:
            with self.queue.lock:
                self.queue.receives_lost += long
            raise

    def delete(self):
        queue = self.queue
        with queue.lock:
            held = [message for message in queue.live().values() if message.handle]
            if not held:
                return
            message = self.rng.choice(held)
            message.deleted = "pending"
        queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message.handle)
        with queue.lock:
            message.deleted = "yes"


def write_until_cut_off(writer, failures):
    try:
        while True:
            writer.step()
    except CUT_OFF:
        pass
    except Exception as failure:  # Told by the main thread: an error answer, or a broken promise.
        failures.append(failure)


def start_again(server, rng):
    """Starts the server; sometimes it is killed within its recovery first. What is left is no damage each time."""
    check_verified(server.directory)
    while rng.random() < 0.3:
        attempt = Cumulog(server.directory, durability=server.durability, port=server.port)
        attempt.spawn()
        time.sleep(rng.random() * 0.015)
        attempt.kill9()
        check_verified(server.directory)
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < START_SECONDS_MAX


@pytest.mark.parametrize("half", [1, 2])
@pytest.mark.parametrize("durability", ["process", "power"])
def test_acknowledged_writes_survive_kill9(durability, half, tmp_path):
    seed = int(os.environ.get("CUMULOG_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CUMULOG_TEST_SEED={seed}")
    rng = random.Random(seed + half)
    server = Cumulog(tmp_path / "data", "--log", "warn", durability=durability)
    run = f"seed {seed}, {durability}, half {half}"
    try:
        server.start()
        kill_and_check(server, rng, run)
    except BaseException:
        print(server.log[-4000:])
        raise
    finally:
        server.kill9()


def kill_and_check(server, rng, run):
    server.s3.create_bucket(Bucket="bucket")
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    source = lambda: random.Random(rng.random())
    objects = [Objects(server, f"o{n}", source()) for n in range(2)]
    items = [Items(server, f"i{n}", source()) for n in range(2)]
    queue = Queue(server, run)
    messages = [Messages(queue, f"m{n}", source()) for n in range(2)]

    for round in range(1, ROUNDS + 1):
        where = f"{run}, round {round}"
        failures = []
        threads = [
            threading.Thread(target=write_until_cut_off, args=(writer, failures))
            for writer in [*objects, *items, *messages]
        ]
        for thread in threads:
            thread.start()
        time.sleep(rng.choice([0.01, 0.1, 0.3]) * rng.random() + 0.005)
        asked_to_stop = round % 6 == 0
        server.stop() if asked_to_stop else server.kill9()
        for thread in threads:
            thread.join()
        assert not failures, f"{where}: {failures[0]!r}"

        if asked_to_stop:
            server.start()
            assert ", clean stop" in server.log, where
        else:
            start_again(server, rng)
        for writer in objects:
            writer.check(where, thorough=round == ROUNDS)
        held = Items.held(server)
        for writer in items:
            writer.check(held, where)
        check_counter(items, held, where)
        queue.check(where)
    queue.drain(where)
    print(
        f"{run}: {sum(len(writer.model.known) for writer in objects)} objects, "
        f"{sum(len(writer.model.known) for writer in items)} items, {len(queue.messages)} messages"
    )
