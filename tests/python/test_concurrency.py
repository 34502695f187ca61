"""Many clients at once: one winner where there may be one, and nothing twice."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest

CLIENTS = 12


@pytest.fixture(params=["ephemeral", "process", "power"])
def anywhere(request, start, tmp_path):
    """A server of each durability."""
    if request.param == "ephemeral":
        return start("--log", "warn")
    return start("--log", "warn", directory=tmp_path / "data", durability=request.param)


def all_at_once(work):
    """Runs `work(index)` in as many threads as there are clients; returns what they returned."""
    barrier = threading.Barrier(CLIENTS)

    def begin(index):
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(begin, range(CLIENTS)))


def create_table(server):
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_condition_lets_one_client_through(anywhere):
    create_table(anywhere)

    def claim(index):
        try:
            anywhere.dynamodb.put_item(
                TableName="table",
                Item={"id": {"S": "lock"}, "owner": {"N": str(index)}},
                ConditionExpression="attribute_not_exists(id)",
            )
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
            return False
        return True

    winners = [index for index, won in enumerate(all_at_once(claim)) if won]
    owner = anywhere.dynamodb.get_item(TableName="table", Key={"id": {"S": "lock"}})["Item"]["owner"]["N"]
    assert winners == [int(owner)]


def test_optimistic_locking_loses_no_update(anywhere):
    create_table(anywhere)
    key = {"id": {"S": "counter"}}
    anywhere.dynamodb.put_item(TableName="table", Item=key | {"n": {"N": "0"}})

    def add(_):
        done = 0
        while done < 5:
            n = anywhere.dynamodb.get_item(TableName="table", Key=key)["Item"]["n"]
            try:
                anywhere.dynamodb.update_item(
                    TableName="table",
                    Key=key,
                    UpdateExpression="SET n = n + :one",
                    ConditionExpression="n = :seen",
                    ExpressionAttributeValues={":one": {"N": "1"}, ":seen": n},
                )
                done += 1
            except botocore.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"

    all_at_once(add)
    assert anywhere.dynamodb.get_item(TableName="table", Key=key)["Item"]["n"] == {"N": str(5 * CLIENTS)}


def test_if_none_match_creates_an_object_once(anywhere):
    anywhere.s3.create_bucket(Bucket="bucket")

    def create(index):
        try:
            anywhere.s3.put_object(Bucket="bucket", Key="k", Body=str(index).encode() * 100_000, IfNoneMatch="*")
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
            return False
        return True

    winners = [index for index, won in enumerate(all_at_once(create)) if won]
    body = anywhere.s3.get_object(Bucket="bucket", Key="k")["Body"].read()
    assert [str(index).encode() * 100_000 for index in winners] == [body]


def test_overwritten_objects_are_never_mixed(anywhere):
    """Readers see one whole object, with its own ETag and metadata, whatever is written meanwhile."""
    s3 = anywhere.s3
    s3.create_bucket(Bucket="bucket")

    def put(letter):
        body = letter.encode() * 300_000
        return s3.put_object(Bucket="bucket", Key="k", Body=body, Metadata={"letter": letter})["ETag"]

    etags = {letter: put(letter) for letter in "abc"}

    def work(index):
        for turn in range(5):
            if index % 3 == 0:
                put("abc"[(index + turn) % 3])
            else:
                got = s3.get_object(Bucket="bucket", Key="k")
                letter = got["Metadata"]["letter"]
                assert got["ETag"] == etags[letter]
                assert got["Body"].read() == letter.encode() * 300_000

    all_at_once(work)


def test_each_message_is_received_once(anywhere):
    sqs = anywhere.sqs
    url = sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]

    def work(index):
        received = []
        for number in range(10):
            sqs.send_message(QueueUrl=url, MessageBody=f"{index} {number}")
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get("Messages", [])
            for message in messages:
                received.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            received += [message["Body"] for message in messages]
        return received

    received = [body for bodies in all_at_once(work) for body in bodies]
    assert sorted(received) == sorted(f"{index} {number}" for index in range(CLIENTS) for number in range(10))


def test_waiting_receivers_wake_when_messages_arrive(anywhere):
    """Each message wakes one of them, at once; the rest wait on."""
    sqs = anywhere.sqs
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    woken = []

    def wait(index):
        if index == 0:
            time.sleep(0.5)
            began = time.monotonic()
            for number in range(CLIENTS - 1):
                sqs.send_message(QueueUrl=url, MessageBody=str(number))
            return began
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
        woken.append(time.monotonic())
        return [message["Body"] for message in messages]

    began, *received = all_at_once(wait)
    assert sorted(body for bodies in received for body in bodies) == sorted(map(str, range(CLIENTS - 1)))
    assert max(woken) - began < 5
