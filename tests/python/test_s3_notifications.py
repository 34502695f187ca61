"""Notifications to SQS: who is told what, in which words, and that a crash loses none."""

import json
import urllib.parse

import pytest
from botocore.exceptions import ClientError
from cumulog import ACCOUNT, error_code, restarted

REGION = "us-east-1"


@pytest.fixture
def queue_arn(sqs, queue):
    return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def configure(s3, bucket, *configurations, **options):
    configuration = {"QueueConfigurations": list(configurations)}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration, **options)


def wanting(arn, *events, **rules):
    configuration = {"QueueArn": arn, "Events": list(events or ("s3:ObjectCreated:*",))}
    if rules:
        rules = [{"Name": name, "Value": value} for name, value in rules.items()]
        configuration["Filter"] = {"Key": {"FilterRules": rules}}
    return configuration


def received(sqs, queue):
    """All messages on a queue, in order of their sequencers."""
    messages = []
    while answer := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in answer:
            messages.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return messages


def records(sqs, queue):
    found = [record for message in received(sqs, queue) for record in message.get("Records", [])]
    return sorted(found, key=lambda record: record["s3"]["object"].get("sequencer", "Z" + record["eventName"]))


def test_a_queue_is_told_that_it_is_named(s3, sqs, bucket, queue, queue_arn):
    configure(s3, bucket, wanting(queue_arn))
    [message] = received(sqs, queue)
    assert list(message) == ["Service", "Event", "Time", "Bucket", "RequestId", "HostId"]
    assert (message["Service"], message["Event"], message["Bucket"]) == ("Amazon S3", "s3:TestEvent", bucket)
    configure(s3, bucket, wanting(queue_arn), SkipDestinationValidation=True)
    assert received(sqs, queue) == []


def test_a_record_is_as_in_aws(s3, sqs, bucket, queue, queue_arn):
    configure(s3, bucket, wanting(queue_arn) | {"Id": "mine"})
    answer = s3.put_object(Bucket=bucket, Key="a b/ü+c", Body=b"body")
    [record] = records(sqs, queue)
    ids = answer["ResponseMetadata"]["HTTPHeaders"]
    object = record["s3"].pop("object")
    assert record.pop("eventTime").endswith("Z")
    assert record.pop("userIdentity")["principalId"]
    owner = record["s3"]["bucket"].pop("ownerIdentity")
    assert owner["principalId"]
    assert record == {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventName": "ObjectCreated:Put",
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": ids["x-amz-request-id"], "x-amz-id-2": ids["x-amz-id-2"]},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "mine",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
        },
    }
    assert object.pop("sequencer")
    assert object == {"key": "a+b/%C3%BC%2Bc", "size": 4, "eTag": answer["ETag"].strip('"')}
    assert urllib.parse.unquote_plus("a+b/%C3%BC%2Bc") == "a b/ü+c"


def test_every_kind_of_change_has_its_event(s3, sqs, bucket, queue, queue_arn):
    configure(s3, bucket, wanting(queue_arn, "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"))
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="was-never-there")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "parts"}]})
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    s3.put_object_tagging(Bucket=bucket, Key="copy", Tagging=tags)
    s3.delete_object_tagging(Bucket=bucket, Key="copy")
    found = [(record["eventName"], record["s3"]["object"]["key"]) for record in records(sqs, queue)]
    assert found == [
        ("ObjectCreated:Put", "k"),
        ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"),
        ("ObjectRemoved:Delete", "k"),
        ("ObjectRemoved:Delete", "parts"),
        ("ObjectTagging:Delete", "copy"),
        ("ObjectTagging:Put", "copy"),
    ]


def test_versions_are_named(s3, sqs, bucket, queue, queue_arn):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    configure(s3, bucket, wanting(queue_arn, "s3:ObjectCreated:*", "s3:ObjectRemoved:*"))
    version = s3.put_object(Bucket=bucket, Key="k")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    found = [(record["eventName"], record["s3"]["object"]["versionId"]) for record in records(sqs, queue)]
    assert found == [
        ("ObjectCreated:Put", version),
        ("ObjectRemoved:DeleteMarkerCreated", marker),
        ("ObjectRemoved:Delete", version),
    ]


def test_filters_choose_keys_and_events(s3, sqs, bucket, queue, queue_arn):
    configure(s3, bucket, wanting(queue_arn, "s3:ObjectCreated:Copy", PREFIX="in/", suffix=".txt"))
    shown = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"][0]
    assert shown.pop("Id")
    assert shown["Filter"] == {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".txt"}]}}
    s3.put_object(Bucket=bucket, Key="in/a.txt")
    for key in ("in/b.txt", "in/c.csv", "out/d.txt"):
        s3.copy_object(Bucket=bucket, Key=key, CopySource=f"{bucket}/in/a.txt")
    assert [record["s3"]["object"]["key"] for record in records(sqs, queue)] == ["in/b.txt"]
    configure(s3, bucket)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.copy_object(Bucket=bucket, Key="in/e.txt", CopySource=f"{bucket}/in/a.txt")
    assert records(sqs, queue) == []


def test_a_refused_change_is_not_told(s3, sqs, bucket, queue, queue_arn):
    configure(s3, bucket, wanting(queue_arn))
    s3.put_object(Bucket=bucket, Key="k")
    assert error_code(s3.put_object, Bucket=bucket, Key="k", IfNoneMatch="*") == "PreconditionFailed"
    assert len(records(sqs, queue)) == 1


def test_destinations_must_be_there(s3, bucket, queue_arn):
    nowhere = f"arn:aws:sqs:{REGION}:{ACCOUNT}:not-there"
    with pytest.raises(ClientError) as refusal:
        configure(s3, bucket, wanting(nowhere), wanting(nowhere + "-2", "s3:ObjectRemoved:*"))
    error = refusal.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidArgument", "Unable to validate the following destination configurations")
    assert (error["ArgumentName1"], error["ArgumentValue1"]) == (nowhere, "The destination queue does not exist")
    assert error["ArgumentName2"] == nowhere + "-2"
    configure(s3, bucket, wanting(nowhere), SkipDestinationValidation=True)
    s3.put_object(Bucket=bucket, Key="nobody-is-told")
    for options in ({}, {"SkipDestinationValidation": True}):
        with pytest.raises(ClientError, match="The ARN could not be parsed"):
            configure(s3, bucket, wanting("invalid-queue"), **options)
    with pytest.raises(ClientError, match="filter rule name must be either prefix or suffix"):
        configure(s3, bucket, wanting(queue_arn, INVALID="x"))
    with pytest.raises(ClientError, match="not supported for notifications"):
        configure(s3, bucket, wanting(queue_arn, "s3:ObjectCreated:Magic"))
    with pytest.raises(ClientError, match="ambiguously defined"):
        configure(s3, bucket, wanting(queue_arn, Prefix="a"), wanting(queue_arn, "s3:ObjectCreated:Put", Prefix="ab"))
    configure(s3, bucket, wanting(queue_arn, Prefix="a"), wanting(queue_arn, Prefix="b"))


def test_other_destinations_are_refused_by_name(s3, bucket):
    put = s3.put_bucket_notification_configuration
    events = ["s3:ObjectCreated:*"]
    for configuration in (
        {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Events": events}]},
        {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": "arn:aws:lambda:us-east-1:000000000000:f", "Events": events}]},
        {"EventBridgeConfiguration": {}},
    ):
        assert error_code(put, Bucket=bucket, NotificationConfiguration=configuration) == "NotImplemented"


def test_the_change_and_its_message_survive_together(durable):
    s3, sqs = durable.s3, durable.sqs
    s3.create_bucket(Bucket="bucket")
    queue = sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
    configure(s3, "bucket", wanting(arn), SkipDestinationValidation=True)
    s3.put_object(Bucket="bucket", Key="before")

    def read():
        count = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
        return [count, s3.get_bucket_notification_configuration(Bucket="bucket"), s3.head_object(Bucket="bucket", Key="before")]

    restarted(durable, read)
    s3.put_object(Bucket="bucket", Key="after")
    keys = [record["s3"]["object"]["key"] for record in records(sqs, queue)]
    assert keys == ["before", "after"]
