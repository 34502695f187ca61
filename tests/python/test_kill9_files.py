"""kill -9 while files come and go: segments fill up, compactions replace the log, large bodies stream in.

Each round lets writers loose that make much log and large bodies, some of which end half-way, and, where it says so, asks
for one compaction after the other. Somewhere in between the server is killed. Then everything that it acknowledged must be
there, and, once it is up again, no file that nothing needs.

`CUMULOG_KILL9_ROUNDS=2000` makes as many rounds; a failure names its seed, see test_kill9.py.
"""

import hashlib
import os
import random
import socket
import threading
import time

import pytest

from cumulog import Cumulog, request, wait_for
from test_kill9 import CUT_OFF, Model, start_again, write_until_cut_off

MIB = 1 << 20

ROUNDS = int(os.environ.get("CUMULOG_KILL9_ROUNDS", 5))


def digest(body) -> str:
    return hashlib.md5(body).hexdigest()


class Rows:
    """Writes so much per request that a segment is full after a few."""

    def __init__(self, server, name, rng):
        self.dynamodb, self.name, self.rng, self.model = server.dynamodb, name, rng, Model()

    def step(self):
        ids = [f"{self.name}-{number}" for number in self.rng.sample(range(40), 10)]
        if self.rng.random() < 0.2:
            writes = [{"DeleteRequest": {"Key": {"id": {"S": id}}}} for id in ids]
            changes = dict.fromkeys(ids)
        else:
            bodies = {id: self.rng.randbytes(self.rng.choice([100, 12_000, 25_000])) for id in ids}
            writes = [{"PutRequest": {"Item": {"id": {"S": id}, "b": {"B": body}}}} for id, body in bodies.items()]
            changes = {id: digest(body) for id, body in bodies.items()}
        self.model.attempt(changes, lambda: self.dynamodb.batch_write_item(RequestItems={"table": writes}))

    def check(self, held, where):
        self.model.check({id: value for id, value in held.items() if id.startswith(f"{self.name}-")}, where)


def held_rows(server):
    pages = server.dynamodb.get_paginator("scan").paginate(TableName="table", ConsistentRead=True)
    return {item["id"]["S"]: digest(item["b"]["B"]) for page in pages for item in page["Items"]}


class Bodies:
    """Puts, uploads in parts and deletes bodies of MiBs; all of them, and all parts, have files of their own."""

    def __init__(self, server, name, rng):
        self.server, self.s3, self.name, self.rng = server, server.s3, name, rng
        self.model = Model()
        # Of the uploads that are not completed: key and acknowledged parts (number to ETag).
        self.uploads = {}

    def key(self):
        return f"{self.name}/{self.rng.randrange(3)}"

    def body(self, *sizes):
        return self.rng.randbytes(self.rng.choice(sizes) * MIB + self.rng.randrange(1, 1000))

    def step(self):
        action = self.rng.random()
        if action < 0.35:
            key, body = self.key(), self.body(1, 3, 20)
            self.model.attempt(
                {key: digest(body)}, lambda: self.s3.put_object(Bucket="bucket", Key=key, Body=body)
            )
        elif action < 0.6:
            self.upload()
        elif action < 0.75:
            self.hang_up()
        elif action < 0.85 and self.uploads:
            id = self.rng.choice(list(self.uploads))
            # With or without an answer, its parts may be gone.
            key, _ = self.uploads.pop(id)
            self.s3.abort_multipart_upload(Bucket="bucket", Key=key, UploadId=id)
        else:
            key = self.key()
            self.model.attempt({key: None}, lambda: self.s3.delete_object(Bucket="bucket", Key=key))

    def upload(self):
        key = self.key()
        id = self.s3.create_multipart_upload(Bucket="bucket", Key=key)["UploadId"]
        bodies = [self.body(5, 10) for _ in range(self.rng.choice([1, 2, 3]))]
        acknowledged = {}
        self.uploads[id] = (key, acknowledged)
        for number, body in enumerate(bodies, 1):
            part = {"Bucket": "bucket", "Key": key, "UploadId": id, "PartNumber": number}
            acknowledged[number] = self.s3.upload_part(**part, Body=body)["ETag"]
        if self.rng.random() < 0.8:
            parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in acknowledged.items()]}
            complete = {"Bucket": "bucket", "Key": key, "UploadId": id, "MultipartUpload": parts}
            # From here on they are the upload's or the object's.
            del self.uploads[id]
            changes = {key: digest(b"".join(bodies))}
            self.model.attempt(changes, lambda: self.s3.complete_multipart_upload(**complete))

    def hang_up(self):
        """A body that ends half-way is no body."""
        body = self.body(8)
        head = f"PUT /bucket/{self.key()} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
                connection.sendall(head.encode() + body[: self.rng.randrange(len(body))])
        except OSError:
            pass  # The next request learns that the server is gone.

    def check(self, where):
        for id, (key, acknowledged) in self.uploads.items():
            held = {part["PartNumber"]: part["ETag"] for part in parts_of(self.s3, key, id)}
            assert acknowledged.items() <= held.items(), f"{where}: the upload of {key} holds {held}"
        listed = [entry["Key"] for entry in objects_of(self.s3) if entry["Key"].startswith(f"{self.name}/")]
        get = lambda key: self.s3.get_object(Bucket="bucket", Key=key)["Body"]
        self.model.check({key: digest(get(key).read()) for key in listed}, where)


def objects_of(s3):
    return s3.list_objects_v2(Bucket="bucket").get("Contents", [])


def parts_of(s3, key, id):
    return s3.list_parts(Bucket="bucket", Key=key, UploadId=id).get("Parts", [])


class Compactions:
    """Asks for one after the other."""

    def __init__(self, server):
        self.server = server

    def step(self):
        try:
            answer = request(self.server, "POST", "/_cumulog/compact")
        except OSError as error:
            raise CUT_OFF[0](error=error) from error
        except Exception as error:  # http.client's, for answers that end early
            raise CUT_OFF[0](error=error) from error
        assert answer.status == 200, answer.text


def check_files(server, where):
    """The files are those of the objects and parts that there are, and nothing is left in the making."""
    s3 = server.s3
    uploads = s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    parts = [part for upload in uploads for part in parts_of(s3, upload["Key"], upload["UploadId"])]
    expected = sum(entry["Size"] for entry in [*objects_of(s3), *parts])

    def sizes():
        return sum(path.stat().st_size for path in (server.directory / "blobs").glob("*.blob"))

    def leftovers():
        found = [*server.directory.glob("blobs/*.tmp"), *server.directory.glob("*.tmp")]
        return found + [*server.directory.glob("snapshots/*.tmp"), *server.directory.glob("blobs/*.spill")]

    # A compaction may be due, and a segment in preparation.
    wait_for(lambda: not leftovers())
    assert sizes() == expected, f"{where}: {sizes()} bytes of bodies, not {expected}"


@pytest.mark.parametrize("compacting", [False, True])
@pytest.mark.parametrize("durability", ["process", "power"])
def test_kill9_while_files_come_and_go(durability, compacting, tmp_path):
    seed = int(os.environ.get("CUMULOG_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CUMULOG_TEST_SEED={seed}")
    rng = random.Random(seed)
    server = Cumulog(tmp_path / "data", "--log", "warn", durability=durability)
    try:
        server.start()
        kill_and_check(server, rng, compacting, f"seed {seed}, {durability}")
    except BaseException:
        print(server.log[-4000:])
        raise
    finally:
        server.kill9()


def kill_and_check(server, rng, compacting, run):
    server.s3.create_bucket(Bucket="bucket")
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    source = lambda: random.Random(rng.random())
    rows = [Rows(server, f"r{number}", source()) for number in range(2)]
    bodies = [Bodies(server, f"b{number}", source()) for number in range(2)]
    others = [Compactions(server)] if compacting else []
    segments = 0
    for round in range(1, ROUNDS + 1):
        where = f"{run}, round {round}"
        failures = []
        threads = [
            threading.Thread(target=write_until_cut_off, args=(writer, failures))
            for writer in [*rows, *bodies, *others]
        ]
        for thread in threads:
            thread.start()
        time.sleep(rng.choice([0.1, 0.5, 1.5]) * rng.random() + 0.02)
        segments = max(segments, len(list(server.directory.glob("log/*.log"))))
        server.kill9()
        for thread in threads:
            thread.join()
        assert not failures, f"{where}: {failures[0]!r}"

        start_again(server, rng)
        held = held_rows(server)
        for writer in rows:
            writer.check(held, where)
        for writer in bodies:
            writer.check(where)
        check_files(server, where)
    assert segments > 2 or ROUNDS < 5, "the log is too short to need a second segment"
    server.stop()
