"""A budget of memory: beyond it writes are refused, in a way that SDKs retry; reads go on, deletes make room."""

import re
import socket

import botocore.exceptions
import pytest

from cumulog import request

LIMIT = "1MiB"


def health(server) -> dict:
    return server.get("/_cumulog/health")


def put_item(server, number: int, bytes: int = 10_000, **config):
    item = {"id": {"S": f"{number}"}, "data": {"S": "x" * bytes}}
    client = server.client("dynamodb", **config) if config else server.dynamodb
    client.put_item(TableName="table", Item=item)


def put_object(server, number: int, **config):
    client = server.client("s3", **config) if config else server.s3
    client.put_object(Bucket="bucket", Key=f"{number}", Body=b"x" * 3_000)


def send_message(server, number: int, **config):
    client = server.client("sqs", **config) if config else server.sqs
    client.send_message(QueueUrl=f"{server.url}/000000000000/queue", MessageBody=f"{number} " + "x" * 10_000)


WRITES = {"dynamodb": put_item, "s3": put_object, "sqs": send_message}


def prepare(server):
    server.s3.create_bucket(Bucket="bucket")
    server.sqs.create_queue(QueueName="queue")
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def fill(server, write) -> int:
    """Writes until that is refused; returns how often it was not."""
    for number in range(2_000):
        try:
            write(server, number)
        except botocore.exceptions.ClientError as error:
            check_refusal(error)
            return number
    raise AssertionError("never refused")


def check_refusal(error):
    """The words say what is wrong and what to do."""
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503)
    assert error.response["Error"]["Code"].removeprefix("AWS.SimpleQueueService.") == "ServiceUnavailable"
    message = error.response["Error"]["Message"]
    assert "memory" in message and "nothing was changed" in message and "--memory-limit" in message, message


@pytest.fixture(params=["ephemeral", "durable"])
def limited(request, start, tmp_path):
    server = start("--memory-limit", LIMIT, directory=tmp_path / "data" if request.param == "durable" else None)
    prepare(server)
    return server


@pytest.mark.parametrize("service", WRITES)
def test_writes_are_refused_reads_go_on_and_deletes_make_room(limited, service):
    count = fill(limited, WRITES[service])
    assert count > 50
    state = health(limited)
    assert state["status"] == "full" and "memory" in state["error"]
    assert state["memory"]["limit_bytes"] == 1 << 20
    assert 900_000 < state["memory"]["state_bytes"] < 1_100_000
    assert request(limited, "GET", "/health").status == 200

    if service == "dynamodb":
        assert limited.dynamodb.scan(TableName="table", Select="COUNT")["Count"] == count
        assert limited.dynamodb.get_item(TableName="table", Key={"id": {"S": "0"}})["Item"]["id"] == {"S": "0"}
        for number in range(count):
            limited.dynamodb.delete_item(TableName="table", Key={"id": {"S": f"{number}"}})
    elif service == "s3":
        assert len(limited.s3.list_objects_v2(Bucket="bucket")["Contents"]) == count
        assert limited.s3.get_object(Bucket="bucket", Key="0")["Body"].read() == b"x" * 3_000
        for number in range(count // 2):
            limited.s3.delete_object(Bucket="bucket", Key=f"{number}")
        rest = [{"Key": f"{number}"} for number in range(count // 2, count)]
        limited.s3.delete_objects(Bucket="bucket", Delete={"Objects": rest})
    else:
        drain(limited, count)

    state = health(limited)
    assert (state["status"], state["error"]) == ("healthy", None)
    assert state["memory"]["state_bytes"] < 500_000
    for number in range(count // 2):
        WRITES[service](limited, number)


def drain(server, count):
    """Messages can be received, and so deleted, however full it is."""
    url = f"{server.url}/000000000000/queue"
    seen = 0
    while messages := server.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        seen += len(messages)
        entries = [{"Id": f"{i}", "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
        assert "Failed" not in server.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert seen == count


@pytest.mark.parametrize("service", WRITES)
@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_sdks_try_again_by_themselves(start, service, mode):
    server = start("--memory-limit", "300KiB")
    prepare(server)
    fill(server, WRITES[service])
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        WRITES[service](server, 1_000_000, retries={"total_max_attempts": 3, "mode": mode})
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 2


def test_a_lower_limit_than_the_state_opens_serves_reads_and_deletes(start, tmp_path):
    server = start(directory=tmp_path / "data")
    prepare(server)
    for number in range(60):
        put_item(server, number)
    server.stop()
    server.arguments = ["--memory-limit", "100KiB"]
    server.start()
    assert server.dynamodb.scan(TableName="table", Select="COUNT")["Count"] == 60
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        put_item(server, 60)
    check_refusal(refused.value)
    put_item(server, 0, bytes=10)
    for number in range(58):
        server.dynamodb.delete_item(TableName="table", Key={"id": {"S": f"{number}"}})
    put_item(server, 60)


def test_the_limit_is_told_at_start(start):
    assert re.search(r"^  memory +up to [\d.]+ GiB for the state, 50% of [\d.]+ GiB$", start().log, re.MULTILINE)
    server = start("--memory-limit", "64MiB")
    assert re.search(r"^  memory +up to 64 MiB for the state$", server.log, re.MULTILINE)
    assert health(server)["memory"]["limit_bytes"] == 64 << 20
    server = start(env={"CUMULOG_MEMORY_LIMIT": "25%"})
    assert "25% of" in server.log


def announced(server, bytes: int) -> socket.socket:
    """A request to DynamoDB that announces so many bytes and waits until they are wanted."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\nExpect: 100-continue\r\n"
        f"X-Amz-Target: DynamoDB_20120810.ListTables\r\nContent-Length: {bytes}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def is_wanted(connection, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(100).startswith(b"HTTP/1.1 100 ")
    except TimeoutError:
        return False


def finish(connection, bytes: int) -> None:
    connection.sendall(b"{" + b" " * (bytes - 2) + b"}")
    connection.settimeout(20)
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_large_requests_take_turns_and_small_ones_do_not_wait(start):
    server = start("--memory-limit", "16MiB")  # room for 20 MiB of bodies, as many as one may have
    bytes = 12 << 20
    first, second, third = (announced(server, bytes) for _ in range(3))
    waiting = [connection for connection in (first, second, third) if not is_wanted(connection, 1)]
    assert len(waiting) == 2
    assert server.dynamodb.list_tables()["TableNames"] == []
    (at_work,) = {first, second, third} - set(waiting)
    finish(at_work, bytes)
    # One gives up; the other gets its turn.
    waiting[0].close()
    assert is_wanted(waiting[1], 20)
    finish(waiting[1], bytes)
