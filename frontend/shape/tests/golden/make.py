#!/usr/bin/env python3
"""Makes requests.json, answers.json and errors.json, which `tests/wire/golden.rs` holds the codecs to.

Requests are what botocore sends. Answers and errors are what the codecs write, kept only once botocore has parsed them
back to what they should say.

    cargo build -p cumulog-shape --example oracle
    LEGACY_BOTOCORE=… ./make.py
"""

import base64
import datetime
import json
import pathlib

from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError
from botocore.parsers import create_parser

from wire import Client, Oracle, normal

HERE = pathlib.Path(__file__).parent


def at(ms):
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc).replace(microsecond=ms % 1000 * 1000)


QUEUE = "http://localhost:4566/000000000000/jobs"
OBJECT = {"Bucket": "bucket", "Key": "a//b/../ü +%.txt"}

# (service, operation, input, output)
CASES = [
    ("s3", "CreateBucket", {"Bucket": "bucket"}, {"Location": "/bucket"}),
    ("s3", "CreateBucket", {"Bucket": "bucket", "ACL": "private", "ObjectLockEnabledForBucket": True,
                            "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1",
                                                          "Tags": [{"Key": "a", "Value": "<&>"}]}},
     {"Location": "http://bucket.s3.amazonaws.com/", "BucketArn": "arn:aws:s3:::bucket"}),
    ("s3", "ListBuckets", {"MaxBuckets": 2, "Prefix": "b c"},
     {"Buckets": [{"Name": "bucket", "CreationDate": at(1700000000123), "BucketRegion": "us-east-1"},
                  {"Name": "other", "CreationDate": at(1700000001000)}],
      "Owner": {"DisplayName": "me", "ID": "75aa57f0"}, "ContinuationToken": "next", "Prefix": "b c"}),
    ("s3", "ListBuckets", {}, {"Buckets": []}),
    ("s3", "HeadBucket", {"Bucket": "bucket", "ExpectedBucketOwner": "000000000000"},
     {"BucketRegion": "us-east-1", "AccessPointAlias": False}),
    ("s3", "DeleteBucket", {"Bucket": "bucket"}, {}),
    ("s3", "GetBucketLocation", {"Bucket": "bucket"}, {"LocationConstraint": "eu-west-1"}),
    ("s3", "GetBucketLocation", {"Bucket": "bucket"}, {}),
    ("s3", "PutObject", {**OBJECT, "Body": b"hello\n", "ContentType": "text/plain", "ContentLength": 6,
                         "Metadata": {"author": "me", "x-y": "a, b"}, "Tagging": "a=1&b=2", "StorageClass": "STANDARD",
                         "ObjectLockRetainUntilDate": at(1700000000000), "IfNoneMatch": "*"},
     {"ETag": '"b1946ac92492d2347c6235b4d2611184"', "ServerSideEncryption": "AES256", "ChecksumCRC32": "NhCmhg==",
      "ChecksumType": "FULL_OBJECT", "Size": 6}),
    ("s3", "GetObject", {**OBJECT, "Range": "bytes=0-4", "IfModifiedSince": at(1700000000000), "VersionId": "null",
                         "ResponseContentType": "text/plain; charset=utf-8", "ResponseExpires": at(1700000000000),
                         "PartNumber": 1},
     {"Body": b"hello", "ContentLength": 5, "ContentRange": "bytes 0-4/6", "ContentType": "text/plain",
      "LastModified": at(1700000000000), "ETag": '"b1946ac92492d2347c6235b4d2611184"', "AcceptRanges": "bytes",
      "Metadata": {"author": "me", "x-y": "a, b"}, "DeleteMarker": False, "TagCount": 2}),
    ("s3", "GetObject", OBJECT, {"Body": b"", "ContentLength": 0}),
    ("s3", "HeadObject", {**OBJECT, "IfMatch": '"a"', "ChecksumMode": "ENABLED"},
     {"ContentLength": 6, "ContentType": "text/plain", "LastModified": at(1700000000000), "ETag": '"a"',
      "Metadata": {"author": "me"}, "ObjectLockRetainUntilDate": at(1700000000123), "MissingMeta": 0}),
    ("s3", "DeleteObject", {**OBJECT, "VersionId": "v1", "BypassGovernanceRetention": True},
     {"DeleteMarker": True, "VersionId": "v2"}),
    ("s3", "DeleteObjects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": " a&b<c> "}, {"Key": "ü", "VersionId": "v"}],
                                                            "Quiet": True}},
     {"Deleted": [{"Key": " a&b<c> ", "DeleteMarker": True, "DeleteMarkerVersionId": "d"}, {"Key": "ü", "VersionId": "v"}],
      "Errors": [{"Key": "x", "Code": "AccessDenied", "Message": "Access Denied"}]}),
    ("s3", "CopyObject", {**OBJECT, "CopySource": {"Bucket": "other", "Key": "ü b/c"}, "MetadataDirective": "REPLACE",
                          "Metadata": {"k": "v"}, "CopySourceIfUnmodifiedSince": at(1700000000000)},
     {"CopyObjectResult": {"ETag": '"a"', "LastModified": at(1700000000123), "ChecksumCRC32": "NhCmhg=="},
      "CopySourceVersionId": "v"}),
    ("s3", "ListObjects", {"Bucket": "bucket", "Prefix": "a b/", "Delimiter": "/", "Marker": "m", "MaxKeys": 2},
     {"IsTruncated": True, "Marker": "m", "NextMarker": "n", "Name": "bucket", "Prefix": "a b/", "Delimiter": "/", "MaxKeys": 2,
      "Contents": [{"Key": "a b/ü&", "LastModified": at(1700000000123), "ETag": '"a"', "Size": 5, "StorageClass": "STANDARD",
                    "Owner": {"ID": "75aa57f0"}}],
      "CommonPrefixes": [{"Prefix": "a b/x/"}, {"Prefix": "a b/y/"}]}),
    ("s3", "ListObjectsV2", {"Bucket": "bucket", "ContinuationToken": "a+b/c=", "FetchOwner": True, "StartAfter": "ü",
                             "OptionalObjectAttributes": ["RestoreStatus"]},
     {"IsTruncated": False, "Name": "bucket", "Prefix": "", "MaxKeys": 1000, "KeyCount": 1, "StartAfter": "ü",
      "Contents": [{"Key": " x\r\ny", "Size": 4294967296, "ChecksumAlgorithm": ["CRC32", "SHA1"], "ChecksumType": "COMPOSITE"}]}),
    ("s3", "CreateMultipartUpload", {**OBJECT, "ContentType": "text/plain", "Metadata": {"a": "b"}, "ACL": "private"},
     {"Bucket": "bucket", "Key": "k", "UploadId": "u", "AbortDate": at(1700000000000), "AbortRuleId": "r"}),
    ("s3", "UploadPart", {**OBJECT, "UploadId": "a+b", "PartNumber": 10000, "Body": b"part"}, {"ETag": '"p"'}),
    ("s3", "CompleteMultipartUpload", {**OBJECT, "UploadId": "u", "MultipartUpload": {
        "Parts": [{"ETag": '"a"', "PartNumber": 1}, {"ETag": "b", "PartNumber": 2, "ChecksumCRC32": "NhCmhg=="}]}},
     {"Location": "http://localhost:4566/bucket/k", "Bucket": "bucket", "Key": "k", "ETag": '"c-2"'}),
    ("s3", "AbortMultipartUpload", {**OBJECT, "UploadId": "u", "IfMatchInitiatedTime": at(1700000000000)}, {}),
    ("s3", "ListParts", {**OBJECT, "UploadId": "u", "PartNumberMarker": 1, "MaxParts": 2},
     {"Bucket": "bucket", "Key": "k", "UploadId": "u", "PartNumberMarker": 1, "NextPartNumberMarker": 2, "MaxParts": 2,
      "IsTruncated": False, "Parts": [{"PartNumber": 2, "LastModified": at(1700000000123), "ETag": '"p"', "Size": 5242880}],
      "Initiator": {"ID": "i"}, "Owner": {"ID": "o"}, "StorageClass": "STANDARD"}),
    ("s3", "ListMultipartUploads", {"Bucket": "bucket", "KeyMarker": "k", "UploadIdMarker": "u", "MaxUploads": 1},
     {"Bucket": "bucket", "KeyMarker": "k", "IsTruncated": True, "MaxUploads": 1,
      "Uploads": [{"UploadId": "u", "Key": "k", "Initiated": at(1700000000123), "StorageClass": "STANDARD"}],
      "CommonPrefixes": [{"Prefix": "p/"}]}),

    ("sts", "GetCallerIdentity", {}, {"UserId": "AKIA", "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root"}),

    ("sqs", "CreateQueue", {"QueueName": "jobs", "Attributes": {"DelaySeconds": "5", "Policy": '{"a": "b&c"}'},
                            "tags": {"team": "a b"}}, {"QueueUrl": QUEUE}),
    ("sqs", "GetQueueUrl", {"QueueName": "jobs", "QueueOwnerAWSAccountId": "000000000000"}, {"QueueUrl": QUEUE}),
    ("sqs", "ListQueues", {"QueueNamePrefix": "j", "MaxResults": 10}, {"QueueUrls": [QUEUE, QUEUE + "2"], "NextToken": "n"}),
    ("sqs", "ListQueues", {}, {}),
    ("sqs", "DeleteQueue", {"QueueUrl": QUEUE}, {}),
    ("sqs", "GetQueueAttributes", {"QueueUrl": QUEUE, "AttributeNames": ["All", "DelaySeconds"]},
     {"Attributes": {"DelaySeconds": "5", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:jobs"}}),
    ("sqs", "SetQueueAttributes", {"QueueUrl": QUEUE, "Attributes": {"VisibilityTimeout": "30", "DelaySeconds": "0"}}, {}),
    ("sqs", "PurgeQueue", {"QueueUrl": QUEUE}, {}),
    ("sqs", "SendMessage", {"QueueUrl": QUEUE, "MessageBody": "a+b &<ü>\n", "DelaySeconds": 0, "MessageGroupId": "g",
                            "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "1"},
                                                  "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}},
                            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}}},
     {"MD5OfMessageBody": "m", "MD5OfMessageAttributes": "a", "MessageId": "i", "SequenceNumber": "1"}),
    ("sqs", "SendMessageBatch", {"QueueUrl": QUEUE, "Entries": [
        {"Id": str(index), "MessageBody": f"body {index}", "MessageAttributes": {"a": {"DataType": "String", "StringValue": "v"}}}
        for index in range(10)] + [{"Id": "last", "MessageBody": ""}]},
     {"Successful": [{"Id": "0", "MessageId": "i", "MD5OfMessageBody": "m"}],
      "Failed": [{"Id": "1", "SenderFault": True, "Code": "InvalidMessageContents", "Message": "<bad>"}]}),
    ("sqs", "ReceiveMessage", {"QueueUrl": QUEUE, "AttributeNames": ["All"], "MessageAttributeNames": ["a.*", "b"],
                               "MaxNumberOfMessages": 10, "VisibilityTimeout": 0, "WaitTimeSeconds": 20},
     {"Messages": [{"MessageId": "i", "ReceiptHandle": "r", "MD5OfBody": "m", "Body": " a\r\n<b>\t",
                    "Attributes": {"SentTimestamp": "1", "ApproximateReceiveCount": "2"},
                    "MessageAttributes": {"b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
                                          "s": {"DataType": "String", "StringValue": "v"}}},
                   {"MessageId": "j", "Body": ""}]}),
    ("sqs", "ReceiveMessage", {"QueueUrl": QUEUE}, {}),
    ("sqs", "DeleteMessage", {"QueueUrl": QUEUE, "ReceiptHandle": "a+b/c=="}, {}),
    ("sqs", "DeleteMessageBatch", {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "ReceiptHandle": "r"}, {"Id": "2", "ReceiptHandle": "s"}]},
     {"Successful": [{"Id": "1"}], "Failed": [{"Id": "2", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}]}),
    ("sqs", "ChangeMessageVisibility", {"QueueUrl": QUEUE, "ReceiptHandle": "r", "VisibilityTimeout": 43200}, {}),
    ("sqs", "ChangeMessageVisibilityBatch", {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "ReceiptHandle": "r", "VisibilityTimeout": 0}]},
     {"Successful": [{"Id": "1"}], "Failed": []}),
    ("sqs", "TagQueue", {"QueueUrl": QUEUE, "Tags": {"a": "1", "b c": ""}}, {}),
    ("sqs", "UntagQueue", {"QueueUrl": QUEUE, "TagKeys": ["a", "b c"]}, {}),
    ("sqs", "ListQueueTags", {"QueueUrl": QUEUE}, {"Tags": {"a": "1", "b c": ""}}),
]

# (service and call that gets it, error, what the client then knows besides code, message and status)
ERRORS = [
    ("s3", "GetObject", {"protocol": "rest-xml", "service": "s3", "code": "NoSuchKey", "status": 404,
                         "message": "The specified key does not exist.", "fields": {"Key": "a&<b>"}}, {"Key": "a&<b>"}),
    ("s3", "GetObject", {"protocol": "rest-xml", "code": "NotImplemented", "status": 501, "sender": False,
                         "message": "cumulog does not implement s3.GetObjectAcl"}, {}),
    ("sts", "GetCallerIdentity", {"protocol": "query", "service": "sts", "code": "ExpiredTokenException", "status": 403,
                                  "message": "expired"}, {"Type": "Sender"}),
    ("sts", "GetCallerIdentity", {"protocol": "query", "service": "sts", "code": "InternalFailure", "status": 500,
                                  "sender": False, "message": "disk <full>"}, {"Type": "Receiver"}),
    ("sqs", "PurgeQueue", {"protocol": "query", "service": "sqs", "code": "QueueDoesNotExist", "status": 400,
                           "message": "The specified queue does not exist."}, {"Type": "Sender"}),
    ("sqs", "PurgeQueue", {"protocol": "query", "service": "sqs", "code": "SomethingElse",
                           "query_code": "InvalidParameterValue", "status": 400, "message": "m"}, {"Type": "Sender"}),
    (None, None, {"protocol": "json", "service": "sqs", "code": "QueueDoesNotExist", "status": 404,
                  "message": "The specified \"queue\" does not exist."}, None),
    (None, None, {"protocol": "json", "service": "sqs", "code": "UnknownOperationException", "status": 400, "message": "m"}, None),
    (None, None, {"protocol": "json", "code": "NotImplemented", "status": 501, "message": "m"}, None),
    (None, None, {"protocol": "rest-json", "code": "ResourceNotFoundException", "status": 404, "message": "m"}, None),
    (None, None, {"protocol": "cbor", "service": "sqs", "code": "QueueDoesNotExist", "status": 400, "message": "m"}, None),
    (None, None, {"protocol": "ec2", "code": "InvalidInstanceID.Malformed", "status": 400, "message": "m"}, None),
    (None, None, {"protocol": "rest-xml", "service": "s3", "code": "NotModified", "status": 304, "message": ""}, None),
]
# What the legacy query model calls these errors.
QUERY_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue", "SomethingElse": "InvalidParameterValue"}


def main():
    oracle = Oracle()
    clients = {service: Client(service) for service in ("s3", "sqs", "sts")}
    requests, answers, errors = [], [], []
    for service, operation, params, output in CASES:
        client = clients[service]
        model = client.model(operation)
        output = normal(model.output_shape, output) if output else {}
        answer = oracle.ask(do="write", service=service, operation=operation, output=output)
        parsed = client.call(operation, params, answer)
        check_answer(client, model, operation, parsed, output, answer)
        answers.append({"service": service, "operation": operation, "output": output, "answer": readable(answer)})
        found = oracle.ask(do="read", **client.request)
        check_request(model, params, found)
        requests.append({"request": readable(client.request), "found": found})
    for service, operation, failure, more in ERRORS:
        answer = oracle.ask(do="error", **failure)
        if service:
            check_error(clients[service], operation, failure, more, answer)
        else:
            check_parsed_error(failure, answer)
        errors.append({"error": failure, "answer": readable(answer)})
    for name, cases in (("requests", requests), ("answers", answers), ("errors", errors)):
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def check_request(model, params, found):
    sent = normal(model.input_shape, params) if model.input_shape else {}
    sent.pop("CopySource", None)
    assert found["operation"] == model.name and found["missing"] == [], found
    for name, value in sent.items():
        assert found["input"].get(name) == value, (name, sent, found)


def check_answer(client, model, operation, parsed, output, answer):
    assert parsed.pop("ResponseMetadata")["HTTPStatusCode"] == answer["status"]
    actual = normal(model.output_shape, parsed) if model.output_shape else {}
    for name, value in output.items():
        # What flattened lists cannot say, clients do not learn.
        assert value == [] or actual.get(name) == value, (operation, name, value, actual)


def check_error(client, operation, failure, more, answer):
    model = client.model(operation)
    params = {name: "x" * 3 for name in (model.input_shape.required_members if model.input_shape else [])}
    try:
        client.call(operation, params, answer)
        raise AssertionError(f"{failure} is no error to the client")
    except ClientError as error:
        code = QUERY_CODES.get(failure["code"], failure["code"])
        told = error.response["Error"]
        assert (told["Code"], told["Message"]) == (code, failure["message"]), (told, failure)
        assert all(told[name] == value for name, value in more.items()), (told, more)
        metadata = error.response["ResponseMetadata"]
        assert metadata["HTTPStatusCode"] == failure["status"], metadata


def check_parsed_error(failure, answer):
    protocol = {"cbor": "smithy-rpc-v2-cbor"}.get(failure["protocol"], failure["protocol"])
    headers = HeadersDict(answer["headers"])
    response = {"status_code": answer["status"], "headers": headers, "body": base64.b64decode(answer["body"])}
    told = create_parser(protocol).parse(response, None)["Error"]
    code = QUERY_CODES.get(failure["code"], failure["code"]) if "x-amzn-query-error" in headers else failure["code"]
    if answer["status"] != 304:
        assert (told["Code"], told["Message"]) == (code, failure["message"]), (told, failure)


def readable(message):
    """The body as text where it is text."""
    body = base64.b64decode(message["body"])
    try:
        return {**message, "body": {"text": body.decode()}}
    except UnicodeDecodeError:
        return message


if __name__ == "__main__":
    main()
