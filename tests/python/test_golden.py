"""Data directories that earlier versions wrote are read by this one, with all that is in them.

`tests/golden/<version>.tar.xz` is a directory that `write_state` filled and `kill -9` ended; in
`<version>-compacted.tar.xz` it was compacted in between, so that it has a manifest and snapshots. A released one is never
changed. `CUMULOG_GOLDEN=write ./test python -k golden` makes the one of the version that is being worked on anew; if that is
necessary, every user's directory is unreadable too, and it needs a very good reason.
"""

import os
import subprocess
import tarfile
import time

import pytest

from cumulog import ROOT, Cumulog, binary, plain, request

GOLDEN = ROOT / "tests" / "golden"
MESSAGE = {
    "MessageBody": "body ü",
    "MessageAttributes": {"bytes": {"DataType": "Binary.x", "BinaryValue": b"\x00\xff"}},
}
ITEM = {
    "id": {"S": "ü"},
    "n": {"N": "-1.5"},
    "all": {"L": [{"B": b"\x00\xff"}, {"BOOL": True}, {"NULL": True}, {"M": {"e": {"S": ""}}}]},
    "sets": {"M": {"s": {"SS": ["a", "b"]}, "n": {"NS": ["1"]}, "b": {"BS": [b"\x01"]}}},
}
TABLE = {
    "TableName": "table",
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "n", "AttributeType": "N"},
    ],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-number",
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


def write_state(server):
    """Something of every kind of row. What is added here later must not be expected of older directories."""
    s3, sqs, dynamodb = server.s3, server.sqs, server.dynamodb
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(
        Bucket="bucket",
        Key="a//b ü",
        Body=b"small",
        Metadata={"k": "v"},
        ContentType="text/x-test",
        ChecksumAlgorithm="SHA256",
        Tagging="t=1",
    )
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(range(256)) * 2000)
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/large")
    s3.put_object(Bucket="bucket", Key="huge", Body=bytes(range(256)) * 8000)
    s3.put_object(Bucket="bucket", Key="gone", Body=b"x")
    s3.delete_object(Bucket="bucket", Key="gone")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=3, Body=b"part")
    url = sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "5"}, tags={"a": "b"})["QueueUrl"]
    fifo = sqs.create_queue(QueueName="queue.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, **MESSAGE)
    sqs.send_message(QueueUrl=url, MessageBody="deleted")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)["Messages"]:
        if message["Body"] == "deleted":
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    for number in range(3):
        sqs.send_message(QueueUrl=fifo, MessageBody=str(number), MessageGroupId="g", MessageDeduplicationId=str(number))
    dynamodb.create_table(**TABLE)
    dynamodb.put_item(TableName="table", Item=ITEM)
    dynamodb.put_item(TableName="table", Item=ITEM | {"n": {"N": "12345678901234567890123456789012345678"}})
    dynamodb.put_item(TableName="table", Item={"id": {"S": "gone"}, "n": {"N": "0"}})
    dynamodb.delete_item(TableName="table", Key={"id": {"S": "gone"}, "n": {"N": "0"}})
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.create_table(**TABLE | {"TableName": "streamed", "StreamSpecification": stream})
    ttl = {"Enabled": True, "AttributeName": "at"}
    dynamodb.update_time_to_live(TableName="streamed", TimeToLiveSpecification=ttl)
    dynamodb.put_item(TableName="streamed", Item=ITEM | {"at": {"N": "9000000000"}})


def check_state(server):
    s3, sqs, dynamodb = server.s3, server.sqs, server.dynamodb
    small = plain(s3.get_object(Bucket="bucket", Key="a//b ü", ChecksumMode="ENABLED"))
    assert small["Body"] == b"small"
    assert small["Metadata"] == {"k": "v"}
    assert small["ContentType"] == "text/x-test"
    assert (
        small["ChecksumSHA256"] == "iSYTkDAaOmcA3v86uIWlLmnC/d0S7W8b7vLD9PHYSZE=" or len(small["ChecksumSHA256"]) == 44
    )
    assert s3.get_object_tagging(Bucket="bucket", Key="a//b ü")["TagSet"] == [{"Key": "t", "Value": "1"}]
    for key, count in (("large", 2000), ("copy", 2000), ("huge", 8000)):
        assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == bytes(range(256)) * count
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["a//b ü", "copy", "huge", "large"]
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    [upload] = s3.list_multipart_uploads(Bucket="bucket")["Uploads"]
    parts = s3.list_parts(Bucket="bucket", Key="parts", UploadId=upload["UploadId"])["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(3, 4)]

    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "5"
    fifo = sqs.get_queue_url(QueueName="queue.fifo")["QueueUrl"]
    assert sqs.get_queue_attributes(QueueUrl=fifo, AttributeNames=["FifoQueue"])["Attributes"]["FifoQueue"] == "true"

    items = dynamodb.query(
        TableName="table", KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": {"S": "ü"}}
    )["Items"]
    assert items == [ITEM, ITEM | {"n": {"N": "12345678901234567890123456789012345678"}}]
    indexed = dynamodb.scan(TableName="table", IndexName="by-number")["Items"]
    assert sorted(item["n"]["N"] for item in indexed) == ["-1.5", "12345678901234567890123456789012345678"]


def check_messages(server):
    """Of a directory that was just written: messages live four days at the most."""
    sqs = server.sqs
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    [message] = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"], VisibilityTimeout=0, WaitTimeSeconds=5
    )["Messages"]
    assert message["Body"] == MESSAGE["MessageBody"]
    assert message["MessageAttributes"] == MESSAGE["MessageAttributes"]
    assert int(message["Attributes"]["ApproximateReceiveCount"]) >= 2
    fifo = sqs.get_queue_url(QueueName="queue.fifo")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    assert [message["Body"] for message in messages] == ["0", "1", "2"]


def check_stream(server):
    """Of a directory that was just written: records live a day."""
    streams = server.dynamodbstreams
    [listed] = streams.list_streams(TableName="streamed")["Streams"]
    arn = listed["StreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = streams.get_shard_iterator(**where)["ShardIterator"]
    [record] = streams.get_records(ShardIterator=iterator)["Records"]
    assert record["dynamodb"]["NewImage"] == ITEM | {"at": {"N": "9000000000"}}
    ttl = server.dynamodb.describe_time_to_live(TableName="streamed")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "at"}


def version() -> str:
    told = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return told.split()[1]


def keep_golden(directory, name: str):
    """Keeps the directory for later versions, if we are asked to."""
    if os.environ.get("CUMULOG_GOLDEN") != "write":
        return
    GOLDEN.mkdir(exist_ok=True)
    with tarfile.open(GOLDEN / f"{name}.tar.xz", "w:xz") as archive:
        for part in ("MANIFEST", "snapshots", "log", "blobs"):
            if (directory / part).exists():
                archive.add(directory / part, f"data/{part}")


def compact(server):
    answer = request(server, "POST", "/_cumulog/compact")
    assert answer.status == 200, answer.body
    assert answer.json["written_bytes"] > 0


@pytest.mark.parametrize("compacted", [False, True], ids=["log", "compacted"])
def test_the_state_is_read_by_the_version_that_wrote_it(tmp_path, compacted):
    server = Cumulog(tmp_path / "data")
    try:
        server.start()
        write_state(server)
        if compacted:
            compact(server)
            # So that the log has something on top of the snapshots.
            server.s3.put_object(Bucket="bucket", Key="after", Body=b"the compaction")
            server.s3.delete_object(Bucket="bucket", Key="after")
        server.kill9()
        time.sleep(1)
        keep_golden(tmp_path / "data", version() + ("-compacted" if compacted else ""))
        for _ in range(2):
            server.start()
            check_state(server)
            check_messages(server)
            check_stream(server)
            server.kill9()
        server.start()
        compact(server)
        server.kill9()
        server.start()
        check_state(server)
        check_messages(server)
    finally:
        server.kill9()


@pytest.mark.parametrize("archive", sorted(GOLDEN.glob("*.tar.xz")), ids=lambda path: path.name)
def test_state_of_earlier_versions_is_read(archive, tmp_path):
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    server = Cumulog(tmp_path / "data")
    try:
        server.start()
        check_state(server)
        server.restart(unclean=True)
        check_state(server)
        # Compaction is also the way to a newer format.
        compact(server)
        server.restart(unclean=True)
        check_state(server)
        server.stop()
    finally:
        server.kill9()
