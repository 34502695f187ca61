"""S3 as boto3 sees it: what is stored, what comes back, and what is refused in which words."""

import base64
import hashlib
import http.client
import io
import os
import socket
import threading
import time
import zlib
from datetime import datetime, timedelta, timezone

import boto3
import pytest
from botocore.exceptions import ClientError

from cumulog import Cumulog, plain

MIB = 1 << 20
ETAG_OF_BODY = '"841a2d689ad86bd1611447453c22c6fc"'


def refused(code, call, *arguments, **parameters):
    """The error of a call that must fail with `code`."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return caught.value.response


def content(size, seed=1):
    """Bytes that repeat nowhere near."""
    block = hashlib.shake_128(str(seed).encode()).digest(min(size, MIB))
    return (block * (size // max(len(block), 1) + 1))[:size]


def keys(listing):
    return [entry["Key"] for entry in listing.get("Contents", [])]


def prefixes(listing):
    return [entry["Prefix"] for entry in listing.get("CommonPrefixes", [])]


# Buckets.


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Upper",
        "under_score",
        "-dash",
        "dash-",
        "two..dots",
        "dot.-dash",
        "192.168.0.1",
        "xn--bucket",
        "x-s3alias",
    ],
)
def test_bucket_names_that_break_the_rules_are_refused(server, name):
    error = refused("InvalidBucketName", unchecked(server).create_bucket, Bucket=name)["Error"]
    assert error["BucketName"] == name
    assert error["Message"] == "The specified bucket is not valid."


def unchecked(server, **config):
    """A client that sends names and values that boto3 would refuse itself."""
    client = server.client("s3", parameter_validation=False, **config)
    for operation in ("CreateBucket", "HeadBucket"):
        client.meta.events.unregister(f"before-parameter-build.s3.{operation}")
    client.meta.events.unregister("before-parameter-build.s3", boto3_validate_bucket_name())
    return client


def boto3_validate_bucket_name():
    from botocore.handlers import validate_bucket_name

    return validate_bucket_name


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", None, None),
        ("us-east-1", "eu-west-1", None),
        ("us-east-1", "EU", None),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "nowhere", "InvalidLocationConstraint"),
        ("eu-west-1", "eu-west-1", None),
        ("eu-west-1", "EU", None),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "us-west-1", "IllegalLocationConstraintException"),
    ],
)
def test_locations_follow_the_endpoint(server, unique, region, constraint, code):
    client, name = server.client("s3", region=region), unique()
    wanted = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    if code:
        refused(code, client.create_bucket, Bucket=name, **wanted)
        return
    client.create_bucket(Bucket=name, **wanted)
    assert client.get_bucket_location(Bucket=name)["LocationConstraint"] == constraint
    region = {None: "us-east-1", "EU": "eu-west-1"}.get(constraint, constraint)
    assert client.head_bucket(Bucket=name)["BucketRegion"] == region


def test_a_bucket_belongs_to_one_account(server, unique):
    ours, theirs = server.client("s3"), server.client("s3", access_key="111111111111")
    west = server.client("s3", region="us-west-2")
    name, western = unique(), unique()
    ours.create_bucket(Bucket=name)
    ours.create_bucket(Bucket=name)
    refused("BucketAlreadyExists", theirs.create_bucket, Bucket=name)
    location = {"LocationConstraint": "us-west-2"}
    west.create_bucket(Bucket=western, CreateBucketConfiguration=location)
    refused("BucketAlreadyOwnedByYou", west.create_bucket, Bucket=western, CreateBucketConfiguration=location)
    ours.head_bucket(Bucket=name, ExpectedBucketOwner="000000000000")
    assert refused("403", ours.head_bucket, Bucket=name, ExpectedBucketOwner="111111111111")
    refused("InvalidBucketOwnerAWSAccountID", ours.list_objects_v2, Bucket=name, ExpectedBucketOwner="me")


def test_buckets_are_listed_by_name_and_page(start):
    client = start().s3
    names = sorted(f"{letter}-bucket" for letter in "dbace")
    for name in reversed(names):
        client.create_bucket(Bucket=name)
    listing = client.list_buckets()
    assert [bucket["Name"] for bucket in listing["Buckets"]] == names
    assert listing["Buckets"][0]["CreationDate"].microsecond == 0
    assert len(listing["Owner"]["ID"]) == 64
    pages = client.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})
    assert [[bucket["Name"] for bucket in page["Buckets"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert [bucket["Name"] for bucket in client.list_buckets(Prefix="c")["Buckets"]] == ["c-bucket"]
    assert client.list_buckets(BucketRegion="eu-west-1")["Buckets"] == []
    refused("InvalidArgument", client.list_buckets, MaxBuckets=10_001)


def test_only_empty_buckets_are_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 409
    s3.delete_object(Bucket=bucket, Key="k")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"part")
    s3.delete_bucket(Bucket=bucket)
    refused("NoSuchBucket", s3.delete_bucket, Bucket=bucket)
    refused("404", s3.head_bucket, Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


# Objects.


def test_an_object_comes_back_as_it_was_put(s3, bucket):
    given = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentEncoding": "gzip, br",
        "ContentLanguage": "de",
        "ContentType": "text/plain; charset=utf-8",
        "Expires": datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "Metadata": {"color": "blue", "empty": ""},
        "StorageClass": "STANDARD_IA",
        "WebsiteRedirectLocation": "/elsewhere",
    }
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"body", Tagging="b=2&a=1", **given)
    assert put["ETag"] == ETAG_OF_BODY
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"body"
    head = s3.head_object(Bucket=bucket, Key="k")
    for answer in (got, head):
        assert answer["ETag"] == ETAG_OF_BODY
        assert answer["ContentLength"] == 4
        assert answer["AcceptRanges"] == "bytes"
        assert answer["TagCount"] == 2
        assert answer["ServerSideEncryption"] == "AES256"
        given_back = {name: answer[name] for name in given if name != "Expires"}
        assert given_back == {name: value for name, value in given.items() if name != "Expires"}
        assert answer["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert listed["LastModified"] == head["LastModified"]
    assert (listed["Size"], listed["StorageClass"], listed["ETag"]) == (4, "STANDARD_IA", ETAG_OF_BODY)


def test_defaults_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ContentType"] == "binary/octet-stream"
    assert head["ContentLength"] == 0
    assert head["Metadata"] == {}
    assert head["ETag"] == f'"{hashlib.md5(b"").hexdigest()}"'
    for absent in ("StorageClass", "TagCount", "CacheControl", "ContentEncoding", "VersionId", "PartsCount"):
        assert absent not in head
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b""


@pytest.mark.parametrize("size", [1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 7])
def test_bodies_of_any_length_come_back(s3, bucket, size):
    body = content(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    middle = f"bytes={size // 2}-{size // 2 + 300_000}"
    assert s3.get_object(Bucket=bucket, Key="k", Range=middle)["Body"].read() == body[size // 2 :][:300_001]


@pytest.mark.parametrize(
    "key",
    [
        "a//b",
        "../up",
        "a/../b",
        "/lead",
        "trail/",
        " space ",
        "p+l?u&s=",
        "é",
        "日本",
        "\U0001f600",
        "%2F",
        "a\\b",
        "*'()!~",
    ],
)
def test_keys_survive_as_they_came(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    for listing in (s3.list_objects, s3.list_objects_v2):
        assert keys(listing(Bucket=bucket)) == [key]
    assert [entry["Key"] for entry in s3.list_object_versions(Bucket=bucket)["Versions"]] == [key]
    s3.copy_object(Bucket=bucket, Key=key + ".copy", CopySource={"Bucket": bucket, "Key": key})
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": key + ".copy"}]})
    assert [entry["Key"] for entry in deleted["Deleted"]] == [key, key + ".copy"]
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []


def test_what_is_not_there_is_named(s3, bucket, unique):
    missing = refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="absent")
    assert missing["Error"]["Key"] == "absent"
    assert missing["Error"]["Message"] == "The specified key does not exist."
    nowhere = unique()
    missing = refused("NoSuchBucket", s3.put_object, Bucket=nowhere, Key="k", Body=b"")
    assert missing["Error"]["BucketName"] == nowhere
    refused("404", s3.head_object, Bucket=bucket, Key="absent")
    refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="absent", VersionId="other")
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"body"


def test_limits_of_names_and_metadata(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"")
    refused("KeyTooLongError", s3.put_object, Bucket=bucket, Key="é" * 513, Body=b"")
    s3.put_object(Bucket=bucket, Key="k", Metadata={"name": "v" * 2044})
    refused("MetadataTooLarge", s3.put_object, Bucket=bucket, Key="k", Metadata={"name": "v" * 2045})


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("plain ~ text", "plain ~ text"),
        ("=?UTF-8?B?YWJj?=", "abc"),
        ("=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?=", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?="),
        ("ÄMÄZÕÑ S3", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?="),
    ],
)
def test_metadata_beyond_ascii_comes_as_encoded_words(server, s3, bucket, sent, shown):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("PUT", f"/{bucket}/k", b"body", {"x-amz-meta-m": sent.encode()})
    assert connection.getresponse().status == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"m": shown}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"StorageClass": "FAST"}, "InvalidStorageClass"),
        ({"ServerSideEncryption": "AES257"}, "InvalidArgument"),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 31}, "InvalidArgument"),
        ({"GrantRead": "id=1"}, "InvalidArgument"),
        ({"ACL": "everyone"}, "InvalidArgument"),
        ({"ObjectLockMode": "GOVERNANCE"}, "InvalidArgument"),
        ({"WebsiteRedirectLocation": "nowhere"}, "InvalidArgument"),
        ({"Tagging": "a=1&a=2"}, "InvalidArgument"),
        ({"Tagging": "aws:a=1"}, "InvalidTag"),
        ({"ContentMD5": "nonsense"}, "InvalidDigest"),
        ({"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA256": "nonsense"}, "InvalidRequest"),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumCRC32": "AAAAAA==", "ChecksumCRC32C": "AAAAAA=="}, "InvalidRequest"),
        ({"ExpectedBucketOwner": "111111111111"}, "AccessDenied"),
        ({"WriteOffsetBytes": 4}, "NotImplemented"),
    ],
)
def test_what_a_put_cannot_have_is_refused_and_changes_nothing(server, s3, bucket, parameters, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    refused(code, unchecked(server).put_object, Bucket=bucket, Key="k", Body=b"after", **parameters)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before"


def test_bodies_longer_than_the_limit_are_refused_before_they_are_sent(start):
    s3 = start("--object-bytes-max", 1000).s3
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=bytes(1000))
    error = refused("EntityTooLarge", s3.put_object, Bucket="bucket", Key="k", Body=bytes(1001))["Error"]
    assert (error["ProposedSize"], error["MaxSizeAllowed"]) == ("1001", "1000")
    assert s3.head_object(Bucket="bucket", Key="k")["ContentLength"] == 1000


# Ranges, parts and conditions of reads.


@pytest.mark.parametrize(
    ("wanted", "shown", "body"),
    [
        ("bytes=0-0", "bytes 0-0/10", b"0"),
        ("bytes=2-4", "bytes 2-4/10", b"234"),
        ("bytes=7-", "bytes 7-9/10", b"789"),
        ("bytes=7-100", "bytes 7-9/10", b"789"),
        ("bytes=-3", "bytes 7-9/10", b"789"),
        ("bytes=-100", "bytes 0-9/10", b"0123456789"),
        ("bytes=5-2", None, b"0123456789"),
        ("bytes=0-1,4-5", None, b"0123456789"),
        ("nonsense", None, b"0123456789"),
    ],
)
def test_ranges(s3, bucket, wanted, shown, body):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=wanted)
    assert got["Body"].read() == body
    assert got.get("ContentRange") == shown
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)
    head = s3.head_object(Bucket=bucket, Key="k", Range=wanted)
    assert head["ContentLength"] == len(body)
    assert head["ResponseMetadata"]["HTTPStatusCode"] == (206 if shown else 200)


def test_ranges_past_the_end_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for wanted in ("bytes=10-", "bytes=10-20", "bytes=-0"):
        error = refused("InvalidRange", s3.get_object, Bucket=bucket, Key="k", Range=wanted)
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 416
        assert error["Error"]["RangeRequested"] == wanted
        assert error["Error"]["ActualObjectSize"] == "10"
    refused("416", s3.head_object, Bucket=bucket, Key="k", Range="bytes=10-")


def test_an_object_that_came_whole_has_one_part(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["ContentRange"] == "bytes 0-9/10"
    assert "PartsCount" not in got
    refused("InvalidPartNumber", s3.get_object, Bucket=bucket, Key="k", PartNumber=2)
    refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="k", PartNumber=0)
    refused("InvalidRequest", s3.get_object, Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("match", "unmodified", "none_match", "modified", "status"),
    [
        (ETAG_OF_BODY, None, None, None, 200),
        ("*", None, None, None, 200),
        ('"other"', None, None, None, 412),
        (None, HOUR, None, None, 200),
        (None, -HOUR, None, None, 412),
        (ETAG_OF_BODY, -HOUR, None, None, 200),
        (None, None, ETAG_OF_BODY, None, 304),
        (None, None, '"other"', None, 200),
        (None, None, None, -HOUR, 200),
        (None, None, None, timedelta(0), 304),
        (None, None, ETAG_OF_BODY, -HOUR, 304),
        (None, None, '"other"', timedelta(0), 200),
        ('"other"', None, ETAG_OF_BODY, None, 412),
    ],
)
def test_conditions_of_reads(s3, bucket, match, unmodified, none_match, modified, status):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    now = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    conditions = {
        "IfMatch": match,
        "IfUnmodifiedSince": None if unmodified is None else now + unmodified,
        "IfNoneMatch": none_match,
        "IfModifiedSince": None if modified is None else now + modified,
    }
    conditions = {name: value for name, value in conditions.items() if value is not None}
    for call in (s3.get_object, s3.head_object):
        try:
            found = call(Bucket=bucket, Key="k", **conditions)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            found = error.response["ResponseMetadata"]["HTTPStatusCode"]
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            assert status != 304 or headers["etag"] == ETAG_OF_BODY
        assert found == status


def test_response_headers_can_be_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseCacheControl="no-cache",
        ResponseContentDisposition="inline",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
        ResponseContentType="a/b",
        ResponseExpires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    )
    shown = [
        got[name]
        for name in ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType")
    ]
    assert shown == ["no-cache", "inline", "br", "fr", "a/b"]
    assert got["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"


def test_an_archived_object_must_be_restored_first(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", StorageClass="GLACIER")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "GLACIER"
    assert refused("InvalidObjectState", s3.get_object, Bucket=bucket, Key="k")["Error"]["StorageClass"] == "GLACIER"
    refused("InvalidObjectState", s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")


def test_tags_are_kept_and_checked(s3, bucket, unique):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    for put, get, delete, where in (
        (s3.put_object_tagging, s3.get_object_tagging, s3.delete_object_tagging, {"Bucket": bucket, "Key": "k"}),
        (s3.put_bucket_tagging, s3.get_bucket_tagging, s3.delete_bucket_tagging, {"Bucket": bucket}),
    ):
        put(**where, Tagging={"TagSet": tags[::-1]})
        assert get(**where)["TagSet"] == tags
        for key, value in (("a", ""), ("aws:x", ""), ("a,b", ""), ("c", "a,b"), ("k" * 129, "")):
            refused("InvalidTag", put, **where, Tagging={"TagSet": [*tags, {"Key": key, "Value": value}]})
        many = [{"Key": str(number), "Value": ""} for number in range(51)]
        refused("BadRequest", put, **where, Tagging={"TagSet": many})
        assert get(**where)["TagSet"] == tags
        delete(**where)
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    tagged = unique()
    s3.create_bucket(Bucket=tagged, CreateBucketConfiguration={"LocationConstraint": "eu-west-1", "Tags": tags})
    assert s3.get_bucket_tagging(Bucket=tagged)["TagSet"] == tags


# Conditions of writes.


def test_conditions_of_writes(server, s3, bucket):
    put = lambda **parameters: s3.put_object(Bucket=bucket, Key="k", Body=b"body", **parameters)
    refused("NoSuchKey", put, IfMatch=ETAG_OF_BODY)
    put(IfNoneMatch="*")
    error = refused("PreconditionFailed", put, IfNoneMatch="*")
    assert error["Error"]["Condition"] == "If-None-Match"
    put(IfMatch=ETAG_OF_BODY)
    assert refused("PreconditionFailed", put, IfMatch='"other"')["Error"]["Condition"] == "If-Match"
    refused("NotImplemented", put, IfMatch="*")
    refused("NotImplemented", put, IfNoneMatch=ETAG_OF_BODY)
    refused("NotImplemented", put, IfMatch=ETAG_OF_BODY, IfNoneMatch="*")
    refused("PreconditionFailed", s3.delete_object, Bucket=bucket, Key="k", IfMatch='"other"')
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=ETAG_OF_BODY)
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=ETAG_OF_BODY)


def test_one_of_many_conditional_creations_wins(server, bucket):
    outcomes = []

    def create(number):
        try:
            server.client("s3").put_object(Bucket=bucket, Key="k", Body=str(number).encode(), IfNoneMatch="*")
            outcomes.append("created")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(outcomes) == ["PreconditionFailed"] * 7 + ["created"]


# Deletions.


def test_deletions_answer_per_key(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    result = s3.delete_objects(
        Bucket=bucket,
        Delete={
            "Objects": [
                {"Key": "a"},
                {"Key": "absent"},
                {"Key": "b", "ETag": '"other"'},
                {"Key": "c", "VersionId": "x"},
            ]
        },
    )
    assert [entry["Key"] for entry in result["Deleted"]] == ["a", "absent"]
    errors = {entry["Key"]: entry["Code"] for entry in result["Errors"]}
    assert errors == {"b": "PreconditionFailed", "c": "NoSuchVersion"}
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Quiet": True, "Objects": [{"Key": "b"}, {"Key": "c"}]})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []


def test_at_most_a_thousand_keys_are_deleted_at_once(s3, bucket):
    names = [{"Key": f"{number:04}"} for number in range(1001)]
    refused("MalformedXML", s3.delete_objects, Bucket=bucket, Delete={"Objects": names})
    refused("MalformedXML", s3.delete_objects, Bucket=bucket, Delete={"Objects": []})
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": names[:1000]})["Deleted"]) == 1000


def test_a_deletion_of_many_needs_a_digest(server, bucket):
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"

    def delete(**headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", f"/{bucket}?delete", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    crc32 = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert delete(Content_MD5=md5)[0] == 200
    assert delete(x_amz_checksum_crc32=crc32)[0] == 200
    status, text = delete()
    assert status == 400 and "Missing required header for this request: Content-MD5" in text
    status, text = delete(Content_MD5=base64.b64encode(bytes(16)).decode())
    assert status == 400 and "<Code>BadDigest</Code>" in text


@pytest.mark.parametrize(
    ("method", "target", "body", "code"),
    [
        ("POST", "?delete", b"", "MissingRequestBodyError"),
        ("POST", "?delete", b"<Delete/>", "MalformedXML"),
        ("POST", "?delete", b"<Delete><Object/></Delete>", "MalformedXML"),
        ("PUT", "/k?partNumber=1", b"part", "InvalidArgument"),
        ("GET", "/k?attributes", b"", "MissingSecurityHeader"),
        ("PUT", "/k?acl", b"", "MissingSecurityHeader"),
        ("GET", "?max-keys=many", b"", "InvalidArgument"),
        ("POST", "/k", b"body", "MethodNotAllowed"),
    ],
)
def test_incomplete_requests_are_refused_in_the_words_of_s3(server, s3, bucket, method, target, body, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    connection.request(method, f"/{bucket}{target}", body, {"Content-MD5": md5})
    assert f"<Code>{code}</Code>" in connection.getresponse().read().decode()


# Copies.


def test_copies_take_or_replace_what_the_source_says(s3, bucket):
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"body",
        ContentType="a/b",
        Metadata={"m": "1"},
        Tagging="t=1",
        CacheControl="no-cache",
    )
    copied = s3.copy_object(
        Bucket=bucket, Key="same", CopySource={"Bucket": bucket, "Key": "k"}, Metadata={"m": "ignored"}
    )
    assert copied["CopyObjectResult"]["ETag"] == ETAG_OF_BODY
    same = s3.head_object(Bucket=bucket, Key="same")
    assert (same["ContentType"], same["Metadata"], same["CacheControl"], same["TagCount"]) == (
        "a/b",
        {"m": "1"},
        "no-cache",
        1,
    )
    s3.copy_object(
        Bucket=bucket,
        Key="other",
        CopySource=f"/{bucket}/k",
        MetadataDirective="REPLACE",
        Metadata={"n": "2"},
        TaggingDirective="REPLACE",
    )
    other = s3.head_object(Bucket=bucket, Key="other")
    assert (other["ContentType"], other["Metadata"]) == ("binary/octet-stream", {"n": "2"})
    assert "CacheControl" not in other and "TagCount" not in other
    for key in ("k", "same"):
        s3.delete_object(Bucket=bucket, Key=key)
    assert s3.get_object(Bucket=bucket, Key="other")["Body"].read() == b"body"


def test_a_copy_to_itself_must_change_something(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    copy = lambda **parameters: s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", **parameters)
    refused("InvalidRequest", copy)
    copy(MetadataDirective="REPLACE", Metadata={"m": "1"})
    copy(StorageClass="STANDARD_IA")
    copy(ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize(
    ("conditions", "failing"),
    [
        ({"CopySourceIfMatch": ETAG_OF_BODY}, None),
        ({"CopySourceIfMatch": '"other"'}, "x-amz-copy-source-If-Match"),
        ({"CopySourceIfNoneMatch": '"other"'}, None),
        ({"CopySourceIfNoneMatch": ETAG_OF_BODY}, "x-amz-copy-source-If-None-Match"),
        ({"CopySourceIfModifiedSince": datetime(2020, 1, 1)}, None),
        ({"CopySourceIfUnmodifiedSince": datetime(2020, 1, 1)}, "x-amz-copy-source-If-Unmodified-Since"),
        ({"CopySourceIfMatch": ETAG_OF_BODY, "CopySourceIfUnmodifiedSince": datetime(2020, 1, 1)}, None),
        ({"IfNoneMatch": "*"}, None),
    ],
)
def test_conditions_of_copies(s3, bucket, conditions, failing):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    copy = lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", **conditions)
    if failing is None:
        copy()
    else:
        assert refused("PreconditionFailed", copy)["Error"]["Condition"] == failing


def test_sources_that_cannot_be_copied_are_named(s3, bucket, unique):
    copy = lambda source: s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert refused("NoSuchKey", copy, f"{bucket}/absent")["Error"]["Key"] == "absent"
    refused("NoSuchBucket", copy, f"{unique()}/k")
    refused("InvalidArgument", copy, bucket)
    refused("InvalidArgument", copy, f"{bucket}/k?versionId=x")


# Listings.


@pytest.fixture(scope="module")
def tree(server):
    """A bucket whose keys need byte order, nesting and encoding."""
    name = "listing-of-a-tree"
    server.s3.create_bucket(Bucket=name)
    for key in ("a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b c/d+e", "é", "\uffff", "\U0001f600"):
        server.s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


@pytest.mark.parametrize(
    ("parameters", "expected", "groups"),
    [
        ({}, ["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b c/d+e", "é", "\uffff", "\U0001f600"], []),
        ({"Delimiter": "/"}, ["a", "a0", "é", "\uffff", "\U0001f600"], ["a/", "b c/"]),
        ({"Delimiter": "/", "Prefix": "a/"}, ["a/", "a/1"], ["a/2/"]),
        ({"Delimiter": "/2/", "Prefix": "a"}, ["a", "a/", "a/1", "a0"], ["a/2/"]),
        ({"Delimiter": ""}, ["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b c/d+e", "é", "\uffff", "\U0001f600"], []),
        ({"Prefix": "a/2"}, ["a/2/x", "a/2/y"], []),
        ({"Prefix": "zzz"}, [], []),
        ({"MaxKeys": 0}, [], []),
    ],
)
def test_listings(s3, tree, parameters, expected, groups):
    for listing in (s3.list_objects, s3.list_objects_v2):
        found = listing(Bucket=tree, **parameters)
        assert (keys(found), prefixes(found)) == (expected, groups)
        assert not found["IsTruncated"]
        assert found["Prefix"] == parameters.get("Prefix", "")
        assert found.get("Delimiter", "") == parameters.get("Delimiter", "")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("delimiter", ["", "/", "2"])
def test_pages_join_to_the_whole(s3, tree, size, delimiter):
    for operation in ("list_objects", "list_objects_v2", "list_object_versions"):
        entries = "Versions" if operation == "list_object_versions" else "Contents"
        whole = getattr(s3, operation)(Bucket=tree, Delimiter=delimiter)
        pages = list(
            s3.get_paginator(operation).paginate(Bucket=tree, Delimiter=delimiter, PaginationConfig={"PageSize": size})
        )
        assert [entry["Key"] for page in pages for entry in page.get(entries, [])] == [
            entry["Key"] for entry in whole[entries]
        ]
        assert [group for page in pages for group in prefixes(page)] == prefixes(whole)
        assert all(len(page.get(entries, [])) + len(prefixes(page)) == size for page in pages[:-1])


def test_where_listings_start(s3, tree):
    assert keys(s3.list_objects(Bucket=tree, Marker="b"))[0] == "b c/d+e"
    assert keys(s3.list_objects_v2(Bucket=tree, StartAfter="a/2/x"))[:2] == ["a/2/y", "a0"]
    inside = s3.list_objects(Bucket=tree, Marker="a/1", Delimiter="/", MaxKeys=2)
    assert (keys(inside), prefixes(inside), inside["NextMarker"]) == (["a0"], ["b c/"], "b c/")
    assert "NextMarker" not in s3.list_objects(Bucket=tree, MaxKeys=2)
    first = s3.list_objects_v2(Bucket=tree, MaxKeys=2)
    assert first["KeyCount"] == 2
    after = s3.list_objects_v2(Bucket=tree, ContinuationToken=first["NextContinuationToken"], StartAfter="z")
    assert keys(after)[0] == "a/1"
    refused("InvalidArgument", s3.list_objects_v2, Bucket=tree, ContinuationToken="nonsense")
    refused("InvalidArgument", s3.list_objects_v2, Bucket=tree, MaxKeys=-1)


def test_owners_are_listed_when_asked_for(s3, tree):
    assert "Owner" not in s3.list_objects_v2(Bucket=tree)["Contents"][0]
    assert len(s3.list_objects_v2(Bucket=tree, FetchOwner=True)["Contents"][0]["Owner"]["ID"]) == 64
    assert len(s3.list_objects(Bucket=tree)["Contents"][0]["Owner"]["ID"]) == 64


def test_keys_that_xml_cannot_hold_are_listed_encoded(s3, bucket):
    key = "tab\tline\nbell\x07end"
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert keys(s3.list_objects_v2(Bucket=bucket)) == [key]
    assert keys(s3.list_objects_v2(Bucket=bucket, EncodingType="url")) == ["tab%09line%0Abell%07end"]
    refused("InvalidArgument", s3.list_objects_v2, Bucket=bucket, EncodingType="rot13")


def test_more_than_a_thousand_keys_come_in_pages(s3, bucket):
    for number in range(1005):
        s3.put_object(Bucket=bucket, Key=f"{number:04}", Body=b"")
    first = s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)
    assert (first["KeyCount"], first["MaxKeys"], first["IsTruncated"]) == (1000, 1000, True)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    assert [key for page in pages for key in keys(page)] == [f"{number:04}" for number in range(1005)]


# Checksums.

DIGESTS = {
    "CRC32": "mTHzRA==",
    "SHA1": base64.b64encode(hashlib.sha1(b"body").digest()).decode(),
    "SHA256": base64.b64encode(hashlib.sha256(b"body").digest()).decode(),
    "SHA512": base64.b64encode(hashlib.sha512(b"body").digest()).decode(),
    "MD5": base64.b64encode(hashlib.md5(b"body").digest()).decode(),
}
DIGESTS["CRC32"] = base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_checksums_are_verified_stored_and_given_back(s3, bucket, algorithm):
    member, value = f"Checksum{algorithm}", DIGESTS[algorithm]
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"body", **{member: value})
    assert (put[member], put["ChecksumType"]) == (value, "FULL_OBJECT")
    assert member not in s3.head_object(Bucket=bucket, Key="k")
    for call in (s3.head_object, s3.get_object):
        assert call(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == value
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert copied["CopyObjectResult"][member] == value
    ranged = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=0-1")
    assert member not in ranged


def test_an_object_without_a_checksum_gets_one(server, bucket):
    client = server.client("s3", request_checksum_calculation="when_required")
    put = client.put_object(Bucket=bucket, Key="k", Body=b"hello world")
    assert (put["ChecksumCRC64NVME"], put["ChecksumType"]) == ("jSnVw/bqjr4=", "FULL_OBJECT")


# Uploads in parts.


def upload(s3, bucket, parts, key="k", complete=None, **parameters):
    """Uploads `parts`; the answer to the completion."""
    identifier = s3.create_multipart_upload(Bucket=bucket, Key=key, **parameters)["UploadId"]
    where = {"Bucket": bucket, "Key": key, "UploadId": identifier}
    done = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(**where, PartNumber=number, Body=body)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        done.append(
            {"PartNumber": number, "ETag": answer["ETag"]} | (sums if "ChecksumAlgorithm" in parameters else {})
        )
    return s3.complete_multipart_upload(**where, MultipartUpload={"Parts": done}, **(complete or {}))


PARTS = [content(5 * MIB, 1), content(5 * MIB + 1, 2), b"the end"]


def etag_of_parts(parts):
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'


def test_parts_become_one_object(s3, bucket):
    done = upload(s3, bucket, PARTS, ContentType="a/b", Metadata={"m": "1"}, Tagging="t=1", StorageClass="STANDARD_IA")
    assert done["ETag"] == etag_of_parts(PARTS)
    assert done["Location"].endswith(f"/{bucket}/k")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"".join(PARTS)
    assert (got["ContentType"], got["Metadata"], got["TagCount"], got["StorageClass"]) == (
        "a/b",
        {"m": "1"},
        1,
        "STANDARD_IA",
    )
    edge = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")["Body"].read()
    assert edge == b"".join(PARTS)[5 * MIB - 2 : 5 * MIB + 2]
    for number, part in enumerate(PARTS, 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert (got["Body"].read(), got["PartsCount"]) == (part, 3)
    refused("InvalidPartNumber", s3.get_object, Bucket=bucket, Key="k", PartNumber=4)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.delete_object(Bucket=bucket, Key="k")
    copy = s3.get_object(Bucket=bucket, Key="copy")
    assert copy["Body"].read() == b"".join(PARTS)
    assert copy["ETag"] == f'"{hashlib.md5(b"".join(PARTS)).hexdigest()}"'


@pytest.mark.parametrize(
    ("algorithm", "kind", "stored"),
    [
        ("CRC32", "COMPOSITE", None),
        ("CRC32", "FULL_OBJECT", base64.b64encode(zlib.crc32(b"".join(PARTS)).to_bytes(4, "big")).decode()),
        ("SHA256", "COMPOSITE", None),
    ],
)
def test_checksums_of_parts_are_combined(s3, bucket, algorithm, kind, stored):
    member = f"Checksum{algorithm}"
    if stored is None:
        digest = (
            (lambda data: zlib.crc32(data).to_bytes(4, "big"))
            if algorithm == "CRC32"
            else (lambda data: hashlib.sha256(data).digest())
        )
        stored = base64.b64encode(digest(b"".join(map(digest, PARTS)))).decode() + "-3"

    def parts_with_checksums(identifier):
        for number, body in enumerate(PARTS, 1):
            yield (
                number,
                s3.upload_part(
                    Bucket=bucket,
                    Key="k",
                    UploadId=identifier,
                    PartNumber=number,
                    Body=body,
                    ChecksumAlgorithm=algorithm,
                ),
            )

    created = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (created["ChecksumAlgorithm"], created["ChecksumType"]) == (algorithm, kind)
    where = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
    done = [
        {"PartNumber": number, "ETag": part["ETag"], member: part[member]}
        for number, part in parts_with_checksums(created["UploadId"])
    ]
    listed = s3.list_parts(**where)
    assert [part[member] for part in listed["Parts"]] == [part[member] for part in done]
    refused(
        "BadDigest", s3.complete_multipart_upload, **where, MultipartUpload={"Parts": done}, **{member: done[0][member]}
    )
    completed = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": done}, **{member: stored})
    assert (completed[member], completed["ChecksumType"]) == (stored, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[member], head["ChecksumType"]) == (stored, kind)


def test_an_upload_without_an_algorithm_gets_a_checksum_of_the_whole(s3, bucket):
    done = upload(s3, bucket, [b"hello world"])
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == ("jSnVw/bqjr4=", "FULL_OBJECT")


def test_completions_that_name_other_parts_are_refused(s3, bucket):
    where = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    small = [s3.upload_part(**where, PartNumber=number, Body=b"small")["ETag"] for number in (1, 2)]

    def complete(*parts):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})

    refused("InvalidRequest", complete)
    refused("MalformedXML", s3.complete_multipart_upload, **where)
    refused("InvalidPartOrder", complete, (2, small[1]), (1, small[0]))
    refused("InvalidPartOrder", complete, (1, small[0]), (1, small[0]))
    error = refused("InvalidPart", complete, (1, '"other"'))["Error"]
    assert (error["PartNumber"], error["ETag"]) == ("1", "other")
    refused("InvalidPart", complete, (3, small[0]))
    error = refused("EntityTooSmall", complete, (1, small[0]), (2, small[1]))["Error"]
    assert (error["ProposedSize"], error["MinSizeAllowed"], error["PartNumber"]) == ("5", "5242880", "1")
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")
    first = complete((2, small[1]))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"small"
    again = complete((2, small[1]))
    assert plain(again) == plain(first)
    s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    refused("NoSuchUpload", complete, (2, small[1]))


def test_a_part_can_be_replaced_and_an_upload_given_up(s3, bucket):
    where = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    for body in (b"first", b"second!"):
        s3.upload_part(**where, PartNumber=7, Body=body)
    assert [(part["PartNumber"], part["Size"]) for part in s3.list_parts(**where)["Parts"]] == [(7, 7)]
    refused("InvalidArgument", s3.upload_part, **where, PartNumber=0, Body=b"")
    refused("InvalidArgument", s3.upload_part, **where, PartNumber=10_001, Body=b"")
    s3.abort_multipart_upload(**where)
    for call in (s3.list_parts, s3.abort_multipart_upload):
        refused("NoSuchUpload", call, **where)
    refused("NoSuchUpload", s3.upload_part, **where, PartNumber=1, Body=b"late")
    assert refused("NoSuchUpload", s3.list_parts, Bucket=bucket, Key="other", UploadId="x")["Error"]["UploadId"] == "x"


def test_parts_and_uploads_are_listed_in_pages(s3, bucket):
    identifiers = {}
    for key in ("a/1", "a/1", "a/2", "b"):
        identifiers.setdefault(key, []).append(s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
        time.sleep(0.002)
    expected = [(key, identifier) for key in sorted(identifiers) for identifier in identifiers[key]]
    for size in (1, 2, 5):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        assert [(entry["Key"], entry["UploadId"]) for page in pages for entry in page.get("Uploads", [])] == expected
    after = s3.list_multipart_uploads(Bucket=bucket, Prefix="b", KeyMarker="a/1", UploadIdMarker=identifiers["a/1"][0])
    assert [entry["Key"] for entry in after["Uploads"]] == ["b"]
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert ([entry["Key"] for entry in grouped["Uploads"]], prefixes(grouped)) == (["b"], ["a/"])
    assert [entry["Key"] for entry in s3.list_multipart_uploads(Bucket=bucket, Prefix="a/2")["Uploads"]] == ["a/2"]
    where = {"Bucket": bucket, "Key": "b", "UploadId": identifiers["b"][0]}
    for number in (3, 1, 20):
        s3.upload_part(**where, PartNumber=number, Body=b"part")
    pages = list(s3.get_paginator("list_parts").paginate(**where, PaginationConfig={"PageSize": 2}))
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[1, 3], [20]]


def test_parts_can_be_copied(s3, bucket):
    source = content(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    where = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    copy = lambda number, **parameters: s3.upload_part_copy(
        **where, PartNumber=number, CopySource=f"{bucket}/source", **parameters
    )
    whole = copy(1)["CopyPartResult"]["ETag"]
    assert whole == f'"{hashlib.md5(source).hexdigest()}"'
    part = copy(2, CopySourceRange=f"bytes=300000-{300000 + 600000}")["CopyPartResult"]["ETag"]
    refused("InvalidArgument", copy, 3, CopySourceRange=f"bytes=0-{6 * MIB}")
    refused("PreconditionFailed", copy, 3, CopySourceIfMatch='"other"')
    s3.delete_object(Bucket=bucket, Key="source")
    parts = [{"PartNumber": 1, "ETag": whole}, {"PartNumber": 2, "ETag": part}]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == source + source[300000:900001]


def test_a_conditional_completion_sees_what_came_between(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    time.sleep(0.005)
    refused("PreconditionFailed", upload, s3, bucket, [b"part"], complete={"IfNoneMatch": "*"})
    refused("PreconditionFailed", upload, s3, bucket, [b"part"], complete={"IfMatch": '"other"'})
    identifier = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": identifier}
    parts = {"Parts": [{"PartNumber": 1, "ETag": s3.upload_part(**where, PartNumber=1, Body=b"part")["ETag"]}]}
    s3.delete_object(Bucket=bucket, Key="k")
    error = refused(
        "ConditionalRequestConflict", s3.complete_multipart_upload, **where, MultipartUpload=parts, IfNoneMatch="*"
    )
    assert error["Error"]["Condition"] == "If-None-Match"
    upload(s3, bucket, [b"part"], complete={"IfNoneMatch": "*"})


def test_a_presigned_url_carries_headers_in_its_query(s3, bucket):
    """As the JavaScript SDK makes them; boto3 signs headers that the user has to send."""
    import urllib.request

    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    url += "&x-amz-meta-color=light%20blue&x-amz-storage-class=STANDARD_IA&x-amz-tagging=a%3D1"
    urllib.request.urlopen(urllib.request.Request(url, data=b"body", method="PUT")).close()
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["StorageClass"], head["TagCount"]) == ({"color": "light blue"}, "STANDARD_IA", 1)


# The high-level interfaces.


def test_the_transfer_manager_and_the_resource(server, s3, bucket, tmp_path):
    body = content(20 * MIB + 3)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(body)
    s3.upload_file(str(source), bucket, "file", ExtraArgs={"Metadata": {"m": "1"}})
    s3.download_file(bucket, "file", str(target))
    assert target.read_bytes() == body
    s3.upload_fileobj(io.BytesIO(body), bucket, "stream")
    s3.copy({"Bucket": bucket, "Key": "file"}, bucket, "copy")
    session = boto3.session.Session("test", "test", region_name="us-east-1")
    resource = session.resource("s3", endpoint_url=server.url).Bucket(bucket)
    assert sorted(entry.key for entry in resource.objects.all()) == ["copy", "file", "stream"]
    assert all(entry.get()["Body"].read() == body for entry in resource.objects.all())
    resource.objects.all().delete()
    assert list(resource.objects.all()) == []


def test_the_command_line_syncs_a_tree(server, bucket, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    files = {"x": b"1", "a/sp ace+é": b"2", "a/b/large": content(9 * MIB), "empty": b""}
    for name, body in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(body)
        # S3 tells times in whole seconds: a file of this very second would look newer than its copy.
        os.utime(source / name, (1_700_000_000, 1_700_000_000))

    def aws(*arguments):
        result = server.aws("s3", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    aws("sync", source, f"s3://{bucket}/tree")
    assert aws("sync", source, f"s3://{bucket}/tree") == ""
    aws("cp", "--recursive", f"s3://{bucket}/tree", f"s3://{bucket}/copy")
    aws("sync", f"s3://{bucket}/copy", target)
    assert {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()} == files
    assert "PRE copy/" in aws("ls", f"s3://{bucket}")
    aws("rb", "--force", f"s3://{bucket}")
    assert bucket not in aws("ls")


# Bodies on their way, and what survives.


def test_a_download_is_not_disturbed_by_a_replacement(server, s3, bucket):
    body = content(24 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    stream = s3.get_object(Bucket=bucket, Key="k")["Body"]
    first = stream.read(MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=b"other")
    s3.delete_object(Bucket=bucket, Key="k")
    assert first + stream.read() == body


def test_an_upload_that_breaks_off_leaves_the_old_object(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    for sent in (0, 1000, 2 * MIB):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {3 * MIB}\r\n\r\n"
            connection.sendall(head.encode() + bytes(sent))
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before"


@pytest.mark.parametrize(
    ("key", "length", "expects", "closes"),
    [
        ("k", 0, False, False),
        ("k", 5, False, False),
        ("k", 5, True, False),
        # No 100 is sent for an empty body, and none for one that is refused unread: clients must not go on.
        ("k", 0, True, True),
        ("k" * 1025, 5, True, True),
        ("k" * 1025, 5_000_000, False, True),
    ],
)
def test_a_connection_goes_on_only_after_its_body_was_read(server, bucket, key, length, expects, closes):
    expect = "Expect: 100-continue\r\n" if expects else ""
    head = f"PUT /{bucket}/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{expect}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b""
        if length == 5:
            if expects and not closes:
                assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            if not closes:
                connection.sendall(b"hello")
        answer = connection.recv(10_000).lower()
        assert (b"connection: close" in answer) == closes, answer


def test_everything_is_there_after_a_kill(durable):
    """Small and large objects, an upload under way and its parts, tags and listings: all as before."""
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="small", Body=b"body", Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket="bucket", Key="large", Body=content(3 * MIB))
    upload(s3, "bucket", PARTS, key="parts")
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/parts")
    where = {
        "Bucket": "bucket",
        "Key": "open",
        "UploadId": s3.create_multipart_upload(Bucket="bucket", Key="open")["UploadId"],
    }
    etag = s3.upload_part(**where, PartNumber=1, Body=PARTS[0])["ETag"]

    def state():
        listing = s3.list_objects_v2(Bucket="bucket")
        objects = [plain(s3.get_object(Bucket="bucket", Key=key, ChecksumMode="ENABLED")) for key in keys(listing)]
        rest = [s3.list_buckets(), s3.list_multipart_uploads(Bucket="bucket"), s3.list_parts(**where)]
        return objects, plain(listing), plain(rest), plain(s3.get_object_tagging(Bucket="bucket", Key="small"))

    before = state()
    durable.restart(unclean=True)
    assert state() == before
    s3.delete_object(Bucket="bucket", Key="parts")
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    durable.restart()
    assert s3.get_object(Bucket="bucket", Key="copy")["Body"].read() == b"".join(PARTS)
    assert s3.get_object(Bucket="bucket", Key="open")["Body"].read() == PARTS[0]
    refused("NoSuchKey", s3.get_object, Bucket="bucket", Key="parts")


def test_a_kill_during_an_upload_leaves_the_old_object(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"before")
    with socket.create_connection(("127.0.0.1", durable.port), timeout=10) as connection:
        head = f"PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {8 * MIB}\r\n\r\n"
        connection.sendall(head.encode() + bytes(4 * MIB))
        time.sleep(0.3)
        durable.kill9()
    durable.start()
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"before"
    s3.put_object(Bucket="bucket", Key="k", Body=b"after")
    durable.restart(unclean=True)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"after"


def test_attributes_of_objects(s3, bucket):
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    s3.put_object(Bucket=bucket, Key="whole", Body=b"hello world", ChecksumAlgorithm="CRC64NVME", ChecksumCRC64NVME="jSnVw/bqjr4=")
    whole = s3.get_object_attributes(Bucket=bucket, Key="whole", ObjectAttributes=wanted)
    assert whole["ETag"] == hashlib.md5(b"hello world").hexdigest()
    assert whole["Checksum"] == {"ChecksumCRC64NVME": "jSnVw/bqjr4=", "ChecksumType": "FULL_OBJECT"}
    assert (whole["StorageClass"], whole["ObjectSize"], "ObjectParts" in whole) == ("STANDARD", 11, False)
    where = {"Bucket": bucket, "Key": "parts"}
    identifier = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    done = []
    for number, body in enumerate(PARTS, 1):
        part = s3.upload_part(**where, UploadId=identifier, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        done.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(**where, UploadId=identifier, MultipartUpload={"Parts": done})
    first = s3.get_object_attributes(**where, ObjectAttributes=wanted, MaxParts=2)["ObjectParts"]
    assert (first["TotalPartsCount"], first["IsTruncated"], first["NextPartNumberMarker"]) == (3, True, 2)
    assert [part["ChecksumSHA256"] for part in first["Parts"]] == [part["ChecksumSHA256"] for part in done[:2]]
    second = s3.get_object_attributes(**where, ObjectAttributes=wanted, PartNumberMarker=2)["ObjectParts"]
    assert ([part["Size"] for part in second["Parts"]], second["IsTruncated"]) == ([len(PARTS[2])], False)
    refused("NoSuchKey", s3.get_object_attributes, Bucket=bucket, Key="absent", ObjectAttributes=wanted)
