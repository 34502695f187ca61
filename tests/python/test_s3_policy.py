"""Policies of buckets: kept as they came, refused if they are none. Whom they refuse: `access.rs`."""

import json

import pytest
from botocore.exceptions import ClientError
from cumulog import error_code, restarted


def policy(bucket, **changes):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | changes]})


def test_policies_are_put_shown_and_deleted(s3, bucket):
    for call in (s3.get_bucket_policy, s3.get_bucket_policy_status):
        assert error_code(call, Bucket=bucket) == "NoSuchBucketPolicy"
    mine = policy(bucket, Principal={"AWS": "000000000000"})
    answer = s3.put_bucket_policy(Bucket=bucket, Policy=mine, ExpectedBucketOwner="000000000000")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == mine
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert error_code(s3.put_bucket_policy, Bucket=bucket, Policy=mine, ExpectedBucketOwner="111111111111") == "AccessDenied"
    for _ in range(2):
        s3.delete_bucket_policy(Bucket=bucket)
    assert error_code(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"


def test_a_public_policy_needs_a_bucket_that_is_not_closed(s3, bucket):
    assert error_code(s3.put_bucket_policy, Bucket=bucket, Policy=policy(bucket)) == "AccessDenied"
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        ("random", "Policies must be valid JSON and the first byte must be '{'"),
        ("{}", "Missing required field Statement"),
        (policy("other"), "Policy has invalid resource"),
        (policy("BUCKET", Action="sqs:SendMessage"), "Policy has invalid action"),
        (policy("BUCKET", Principal={"AWS": "nobody"}), "Invalid principal in policy"),
        (policy("BUCKET", Action="s3:ListBucket", Resource="arn:aws:s3:::BUCKET/a"), "Action does not apply to any"),
    ],
)
def test_what_is_no_policy_is_refused(s3, bucket, text, message):
    with pytest.raises(ClientError, match=message) as refusal:
        s3.put_bucket_policy(Bucket=bucket, Policy=text.replace("BUCKET", bucket))
    assert refusal.value.response["Error"]["Code"] == "MalformedPolicy"


def test_policies_survive(durable):
    durable.s3.create_bucket(Bucket="bucket")
    durable.s3.put_bucket_policy(Bucket="bucket", Policy=policy("bucket", Principal={"AWS": "000000000000"}))
    restarted(durable, lambda: durable.s3.get_bucket_policy(Bucket="bucket"))
