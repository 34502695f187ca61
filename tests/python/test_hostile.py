"""Good requests with a few bytes changed: whatever they have become, they are answered or refused, never a
5xx, never a panic, and the state stays readable.

A failure names its seed: `CUMULOG_TEST_SEED=… ./test python -k hostile`.
"""

import contextlib
import json
import os
import random
import re
import socket

import pytest

from cumulog import authorization

REQUESTS = 1500

INTERESTING = [b"\x00", b"\xff", b"\r\n", b"\n", b"%", b"%00", b"&", b"=", b"/", b"..", b"<", b">", b"]]>", b"&#0;", b'"', b"\\u",
               b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b"1e999", b"9" * 40, b"18446744073709551616", b"\xf0\x9f\x99\x82",
               b"\xed\xa0\x80", b"a" * 300, b"null", b"true", b"#", b"(", b")", b"AND", b";", b"chunk-signature="]  # fmt: skip


def http(method, path, headers, body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: bucket.localhost:1\r\nConnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return [head.encode(), b"\r\n", body]


def corpus(queue):
    """Requests that work, one or more for each protocol and shape of input."""

    def json_operation(target, value):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
        return http("POST", "/", headers, json.dumps(value).encode())

    def dynamodb(operation, **value):
        return json_operation(f"DynamoDB_20120810.{operation}", {"TableName": "table"} | value)

    def form(**fields):
        body = "&".join(f"{name.replace('__', '.')}={value}" for name, value in fields.items())
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | authorization("sqs")
        return http("POST", "/", headers, body.encode())

    key = {"id": {"S": "1"}}
    item = key | {"n": {"N": "-1.5e10"}, "l": {"L": [{"M": {"b": {"B": "AP8="}}}, {"SS": ["a", "b"]}, {"NULL": True}]}}
    chunked = b"5;chunk-signature=00ff\r\nhello\r\n0;chunk-signature=00ff\r\nx-amz-checksum-crc32:NhCmhg==\r\n"
    chunked += b"x-amz-trailer-signature:00ff\r\n\r\n"
    streaming = {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "Content-Encoding": "aws-chunked",
    }
    delete = b"<Delete><Object><Key>a&amp;b</Key></Object><Quiet>true</Quiet></Delete>"
    return [
        dynamodb("PutItem", Item=item, ConditionExpression="attribute_not_exists(#a) OR n > :n",
                 ExpressionAttributeNames={"#a": "x"}, ExpressionAttributeValues={":n": {"N": "1"}}),
        dynamodb("UpdateItem", Key=key, ReturnValues="ALL_NEW",
                 UpdateExpression="SET a.b[1] = if_not_exists(c, :v), d = d - :v REMOVE e ADD f :v DELETE g :s",
                 ExpressionAttributeValues={":v": {"N": "1"}, ":s": {"SS": ["x"]}}),
        dynamodb("Query", KeyConditionExpression="id = :id", FilterExpression="n BETWEEN :a AND :a AND contains(l, :id)",
                 ProjectionExpression="id, l[0].b", Limit=3, ExclusiveStartKey=key,
                 ExpressionAttributeValues={":id": {"S": "1"}, ":a": {"N": "5"}}),
        dynamodb("Scan", Segment=0, TotalSegments=2, Select="COUNT"),
        dynamodb("BatchGetItem", RequestItems={"table": {"Keys": [key], "ConsistentRead": True}}),
        dynamodb("BatchWriteItem", RequestItems={"table": [{"PutRequest": {"Item": item}}]}),
        dynamodb("CreateTable", BillingMode="PAY_PER_REQUEST",
                 AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                 KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}]),
        json_operation("AmazonSQS.SendMessage", {"QueueUrl": queue, "MessageBody": "x", "DelaySeconds": 0,
                       "MessageAttributes": {"a": {"DataType": "Binary.x", "BinaryValue": "AP8="}}}),
        json_operation("AmazonSQS.ReceiveMessage", {"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 1,
                       "AttributeNames": ["All"], "MessageAttributeNames": ["a.*"]}),
        json_operation("AmazonSQS.CreateQueue", {"QueueName": "made", "Attributes": {"VisibilityTimeout": "5"}}),
        form(Action="SendMessageBatch", Version="2012-11-05", QueueUrl=queue, SendMessageBatchRequestEntry__1__Id="a",
             SendMessageBatchRequestEntry__1__MessageBody="b%20c"),
        form(Action="ChangeMessageVisibility", Version="2012-11-05", QueueUrl=queue, ReceiptHandle="x", VisibilityTimeout="5"),
        form(Action="GetCallerIdentity", Version="2011-06-15"),
        http("PUT", "/a%20b/..//c?x-id=PutObject", streaming | authorization("s3"), chunked),
        http("PUT", "/k", {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg==", "x-amz-meta-a": "b", "x-amz-tagging": "a=b"}, b"hello"),
        http("PUT", "/copy", {"x-amz-copy-source": "/bucket/k?versionId=null", "x-amz-metadata-directive": "REPLACE"}),
        http("GET", "/k?response-content-type=text%2Fx&partNumber=1", {"If-None-Match": '"x"', "x-amz-checksum-mode": "ENABLED"}),
        http("GET", "/k", {"Range": "bytes=1-3", "If-Modified-Since": "Sun, 22 Nov 2026 10:00:00 GMT"}),
        http("GET", "/?list-type=2&prefix=a&delimiter=%2F&max-keys=2&start-after=b&encoding-type=url", authorization("s3")),
        http("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", {}),
        http("POST", "/?delete", {"Content-MD5": "x", "x-amz-checksum-crc32": "AAAAAA=="}, delete),
        http("POST", "/k?uploads", {}),
        http("PUT", "/k?partNumber=1&uploadId=x", {}, b"part"),
        http("POST", "/k?uploadId=x", {}, b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"),
        http("POST", "/service/AmazonSQS/operation/ListQueues", {"Smithy-Protocol": "rpc-v2-cbor"},
             b"\xbf\x6fQueueNamePrefix\x61q\x6aMaxResults\x18\x20\xff"),
    ]  # fmt: skip


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        action = rng.random()
        if action < 0.4:
            data[at:at] = rng.choice(INTERESTING)
        elif action < 0.6:
            del data[at : at + rng.choice([1, 1, 5, 50])]
        elif action < 0.8 and at < len(data):
            data[at] = rng.randrange(256)
        else:
            piece = data[at : at + rng.randrange(40)]
            data[at:at] = piece * rng.choice([1, 2, 50])
    return bytes(data)


def mutate(rng, head, blank, body):
    """Changes the head or the body; the length is right more often than not, else nobody would look further."""
    if rng.random() < 0.4:
        head = mutated(rng, head)
    if body and rng.random() < 0.7:
        body = mutated(rng, body)
    length = len(body) if rng.random() < 0.95 else rng.choice([0, 1, len(body) + 5, -1, 2**63, 2**64])
    return framed(head, blank, body, length)


def framed(head, blank, body, length=None):
    length = len(body) if length is None else length
    return head + b"Content-Length: %d\r\n" % length + blank + body


def exchange(port, data, patience_seconds=30):
    """Sends `data` and returns the answer. When none comes the server may be waiting for more: there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.settimeout(patience_seconds)
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(30)
            while piece := connection.recv(65536):
                answer += piece
        except OSError as error:
            assert not isinstance(error, TimeoutError), "the server neither answers nor hangs up"
        return answer


@pytest.mark.parametrize("part", [1, 2])
def test_changed_requests_are_answered_or_refused(durable, part):
    seed = int(os.environ.get("CUMULOG_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CUMULOG_TEST_SEED={seed}")
    rng = random.Random(seed + part)
    durable.s3.create_bucket(Bucket="bucket")
    queue = durable.sqs.create_queue(QueueName="queue")["QueueUrl"]
    requests = corpus(queue)
    for request in reversed(requests):
        assert re.match(rb"HTTP/1.1 [234]", exchange(durable.port, framed(*request))), request
    for number in range(REQUESTS):
        data = mutate(rng, *rng.choice(requests))
        answer = exchange(durable.port, data, patience_seconds=0.1)
        status = re.match(rb"HTTP/1\.[01] (\d+) ", answer)
        refused = not answer or (status and (status.group(1) < b"500" or status.group(1) == b"501"))
        assert refused, f"seed {seed}, part {part}, request {number}:\n{data!r}\n{answer!r}"
    assert "panicked" not in durable.log
    # What got in is readable, and stays so.
    durable.restart(unclean=True)
    for page in durable.s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", EncodingType="url"):
        assert page["ResponseMetadata"]["HTTPStatusCode"] == 200
    for table in durable.dynamodb.list_tables()["TableNames"]:
        durable.dynamodb.scan(TableName=table)
    durable.sqs.list_queues()
