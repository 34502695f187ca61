"""What else must be as it was after `kill -9` and after a clean restart, service by service."""

import shutil
import time

from cumulog import error_code, plain, restarted


# S3.


def test_buckets_objects_and_their_metadata(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bodies = {
        "empty": b"",
        "a//b/../c ü": b"small",
        "inline": b"x" * 4096,
        "packed": b"y" * 100_000,
        "large": b"z" * 3_000_000,
    }
    for key, body in bodies.items():
        s3.put_object(
            Bucket="bucket",
            Key=key,
            Body=body,
            ChecksumAlgorithm="SHA256",
            Metadata={"key": "value"},
            CacheControl="no-cache",
            ContentDisposition="attachment",
            ContentLanguage="de",
            ContentType="text/x-test",
            Tagging="color=blue",
        )
    s3.delete_object(Bucket="bucket", Key="empty")
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/large")

    def read():
        objects = [
            s3.get_object(Bucket="bucket", Key=key, ChecksumMode="ENABLED")
            for key in bodies.keys() - {"empty"} | {"copy"}
        ]
        return [
            objects,
            s3.list_objects_v2(Bucket="bucket"),
            s3.list_buckets(),
            s3.get_bucket_location(Bucket="elsewhere"),
            s3.get_object_tagging(Bucket="bucket", Key="packed"),
        ]

    objects, listed, *_ = restarted(durable, read)
    assert sorted(answer["ContentLength"] for answer in objects) == [5, 4096, 100_000, 3_000_000, 3_000_000]
    assert len(listed["Contents"]) == 5


def test_an_upload_in_parts_goes_on(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k", Metadata={"a": "b"})["UploadId"]
    where = {"Bucket": "bucket", "Key": "k", "UploadId": upload}
    parts = [b"1" * (5 << 20), b"2" * 1000]
    first = s3.upload_part(**where, PartNumber=1, Body=parts[0])["ETag"]
    restarted(durable, lambda: [s3.list_parts(**where), s3.list_multipart_uploads(Bucket="bucket")])
    assert error_code(s3.head_object, Bucket="bucket", Key="k") == "404"
    second = s3.upload_part(**where, PartNumber=2, Body=parts[1])["ETag"]
    etags = {"Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]}
    s3.complete_multipart_upload(**where, MultipartUpload=etags)
    whole = restarted(durable, lambda: s3.get_object(Bucket="bucket", Key="k"))
    assert whole["Body"] == b"".join(parts)
    assert whole["Metadata"] == {"a": "b"}
    assert whole["ETag"].endswith('-2"')


# SQS.


def test_messages_keep_their_attributes_and_counts(durable):
    sqs = durable.sqs
    attributes = {"VisibilityTimeout": "77", "MessageRetentionPeriod": "3600", "DelaySeconds": "0"}
    url = sqs.create_queue(QueueName="queue", Attributes=attributes, tags={"team": "a"})["QueueUrl"]
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="a < b & ü 🙂",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "x"},
            "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
            "number": {"DataType": "Number.int", "StringValue": "5"},
        },
    )
    restarted(
        durable,
        lambda: [
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
            sqs.list_queue_tags(QueueUrl=url),
            sqs.list_queues(),
        ],
    )
    [message] = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"], VisibilityTimeout=0
    )["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "a < b & ü 🙂"
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["MessageAttributes"]["bytes"]["BinaryValue"] == bytes(range(256))
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    durable.restart(unclean=True)
    [again] = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp"):
        assert again["Attributes"][name] == message["Attributes"][name]


def test_delayed_messages_stay_hidden_until_they_are_due(durable):
    sqs = durable.sqs
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=6)
    sent = time.monotonic()
    durable.restart(unclean=True)
    early = sqs.receive_message(QueueUrl=url)
    if time.monotonic() - sent < 5.5:
        assert "Messages" not in early
    # A long poll from before it is due ends when it is due, counted from before the kill.
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=15)["Messages"][0]["Body"] == "later"
    assert 5.5 < time.monotonic() - sent < 9


def test_fifo_queues_keep_order_groups_and_deduplication(durable):
    sqs = durable.sqs
    url = sqs.create_queue(QueueName="queue.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    def send(body, group, deduplication):
        return sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=deduplication
        )

    first = send("a1", "a", "1")
    send("a2", "a", "2")
    send("b1", "b", "3")
    [held] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, VisibilityTimeout=600)["Messages"]
    assert held["Body"] == "a1"
    for unclean in (True, False):
        durable.restart(unclean=unclean)
        # Sent again within five minutes: taken, not stored, and told the first one's id.
        repeated = send("a1 again", "a", "1")
        assert repeated["MessageId"] == first["MessageId"]
        assert repeated["SequenceNumber"] == first["SequenceNumber"]
    # Group a waits for the message that is held; group b does not.
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["b1"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    durable.restart(unclean=True)
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["a2"]


def test_what_was_purged_or_deleted_stays_away(durable):
    sqs = durable.sqs
    url = sqs.create_queue(QueueName="queue")["QueueUrl"]
    gone = sqs.create_queue(QueueName="gone")["QueueUrl"]
    for number in range(30):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    sqs.purge_queue(QueueUrl=url)
    sqs.delete_queue(QueueUrl=gone)
    durable.restart(unclean=True)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert sqs.list_queues()["QueueUrls"] == [url]


# DynamoDB.


def test_tables_items_and_their_numbers(durable):
    dynamodb = durable.dynamodb
    dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "B"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
    )
    numbers = ["-1E+30", "-5", "-0.001", "0", "1E-30", "0.1", "9", "10", "99999999999999999999999999999999999999"]
    for number in reversed(numbers):
        item = {"id": {"B": b"\x00\xff"}, "n": {"N": number}, "s": {"SS": ["a"]}, "e": {"S": ""}, "m": {"M": {}}}
        dynamodb.put_item(TableName="table", Item=item)
    dynamodb.delete_item(TableName="table", Key={"id": {"B": b"\x00\xff"}, "n": {"N": "9"}})

    def read():
        query = dynamodb.query(
            TableName="table",
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": {"B": b"\x00\xff"}},
        )
        return [query["Items"], dynamodb.describe_table(TableName="table"), dynamodb.list_tables()]

    items, *_ = restarted(durable, read)
    assert [float(item["n"]["N"]) for item in items] == [float(number) for number in numbers if number != "9"]


def test_a_deleted_table_stays_away_and_its_successor_is_empty(durable):
    dynamodb = durable.dynamodb

    def create():
        dynamodb.create_table(
            TableName="table",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    create()
    for number in range(100):
        dynamodb.put_item(TableName="table", Item={"id": {"S": str(number)}})
    dynamodb.delete_table(TableName="table")
    durable.restart(unclean=True)
    assert error_code(dynamodb.describe_table, TableName="table") == "ResourceNotFoundException"
    create()
    durable.restart(unclean=True)
    assert plain(dynamodb.scan(TableName="table"))["Items"] == []


# All of them.


def test_a_directory_can_be_copied_once_it_is_closed(durable, start, tmp_path):
    """What a stopped server leaves is the whole truth: a copy of it is a copy of the state."""
    durable.s3.create_bucket(Bucket="bucket")
    durable.s3.put_object(Bucket="bucket", Key="k", Body=b"v" * 100_000)
    durable.stop()
    shutil.copytree(durable.directory, tmp_path / "copy")
    copy = start(directory=tmp_path / "copy")
    assert copy.s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"v" * 100_000
    durable.start()
    durable.s3.delete_object(Bucket="bucket", Key="k")
    assert copy.s3.head_object(Bucket="bucket", Key="k")["ContentLength"] == 100_000
