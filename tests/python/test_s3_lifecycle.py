"""Lifecycle rules, and archived objects that are restored. What takes days is tested beside the code, by a clock that
tests move.
"""

import time
from datetime import datetime, timezone

import pytest
from botocore.exceptions import ClientError

from cumulog import error_code, restarted

RULE = {"ID": "r", "Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": 7}}


def put_rules(s3, bucket, *rules, **parameters):
    configuration = {"Rules": list(rules)}
    return s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration=configuration, **parameters
    )


def eventually(check, seconds=20):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_rules_are_kept_as_they_came(s3, bucket):
    call = s3.get_bucket_lifecycle_configuration
    assert error_code(call, Bucket=bucket) == "NoSuchLifecycleConfiguration"
    rules = [
        RULE,
        {
            "ID": "all",
            "Filter": {
                "And": {
                    "Prefix": "p",
                    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
                    "ObjectSizeGreaterThan": 10,
                    "ObjectSizeLessThan": 100,
                }
            },
            "Status": "Disabled",
            "Transitions": [
                {"Days": 30, "StorageClass": "STANDARD_IA"},
                {"Days": 90, "StorageClass": "GLACIER"},
            ],
            "NoncurrentVersionTransitions": [{"NoncurrentDays": 5, "StorageClass": "GLACIER"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 3},
        },
        {
            "ID": "uploads",
            "Filter": {},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
        {"ID": "old", "Prefix": "x/", "Status": "Enabled", "Expiration": {"ExpiredObjectDeleteMarker": True}},
    ]
    answer = put_rules(s3, bucket, *rules, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    assert answer["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    found = call(Bucket=bucket)
    assert found["Rules"] == rules
    assert found["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    nameless = {key: value for key, value in RULE.items() if key != "ID"}
    put_rules(s3, bucket, nameless)
    assert call(Bucket=bucket)["Rules"][0]["ID"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert error_code(call, Bucket=bucket) == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Filter": None}, "MalformedXML"),
        ({"Prefix": "x"}, "MalformedXML"),
        ({"ID": "x" * 256}, "InvalidArgument"),
        ({"Expiration": {}}, "MalformedXML"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({"Expiration": {"Date": datetime(2030, 1, 1, 2, tzinfo=timezone.utc)}}, "InvalidArgument"),
        ({"Expiration": None}, "InvalidRequest"),
        ({"Filter": {"Prefix": "", "ObjectSizeGreaterThan": 5}}, "MalformedXML"),
        ({"Filter": {"And": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}}}, "InvalidRequest"),
        ({"NoncurrentVersionExpiration": {}}, "MalformedXML"),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}, "InvalidArgument"),
        ({"Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument"),
        ({"Transitions": [{"Days": 7, "StorageClass": "GLACIER"}]}, "InvalidArgument"),
        ({"Transitions": [{"Days": 1}]}, "MalformedXML"),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}, "InvalidArgument"),
    ],
)
def test_rules_that_cannot_be_are_refused(s3, bucket, change, code):
    rule = {key: value for key, value in (RULE | change).items() if value is not None}
    assert error_code(put_rules, s3, bucket, rule) == code


def test_objects_say_when_they_expire(s3, bucket):
    put_rules(s3, bucket, RULE | {"Filter": {"Prefix": "log"}})
    said = s3.put_object(Bucket=bucket, Key="log/1", Body=b"")["Expiration"]
    assert 'GMT", rule-id="r"' in said and said.startswith('expiry-date="')
    assert s3.head_object(Bucket=bucket, Key="log/1")["Expiration"] == said
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="other", Body=b"")


def test_a_rule_whose_date_is_over_acts_at_once(s3, bucket):
    for at in range(3):
        s3.put_object(Bucket=bucket, Key=f"old/{at}", Body=b"")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"")
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    put_rules(s3, bucket, RULE | {"Filter": {"Prefix": "old/"}, "Expiration": {"Date": past}})
    eventually(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1)


def test_archived_objects_are_read_once_restored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", StorageClass="GLACIER")
    assert error_code(s3.get_object, Bucket=bucket, Key="k") == "InvalidObjectState"
    source = f"{bucket}/k"
    assert error_code(s3.copy_object, Bucket=bucket, Key="c", CopySource=source) == "InvalidObjectState"

    def restore(days=1, key="k", tier="Expedited"):
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        answer = s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    assert restore() == 202
    assert s3.head_object(Bucket=bucket, Key="k")["Restore"] == 'ongoing-request="true"'
    assert error_code(restore) == "RestoreAlreadyInProgress"
    eventually(lambda: "false" in s3.head_object(Bucket=bucket, Key="k")["Restore"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    said = s3.head_object(Bucket=bucket, Key="k")["Restore"]
    assert 'expiry-date="' in said and "00:00:00 GMT" in said
    assert restore(days=9) == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Restore"] != said
    [listed] = s3.list_objects_v2(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    assert listed["RestoreStatus"]["IsRestoreInProgress"] is False
    s3.put_object(Bucket=bucket, Key="warm", Body=b"")
    assert error_code(restore, key="warm") == "InvalidObjectState"
    s3.put_object(Bucket=bucket, Key="deep", Body=b"", StorageClass="DEEP_ARCHIVE")
    assert error_code(restore, key="deep") == "InvalidArgument"
    with pytest.raises(ClientError):
        restore(days=0)


def test_rules_and_restores_survive(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    put_rules(s3, "bucket", RULE)
    s3.put_object(Bucket="bucket", Key="k", Body=b"1", StorageClass="GLACIER")
    s3.restore_object(
        Bucket="bucket", Key="k", RestoreRequest={"Days": 2, "GlacierJobParameters": {"Tier": "Expedited"}}
    )
    eventually(lambda: "false" in s3.head_object(Bucket="bucket", Key="k")["Restore"])

    def read():
        return [
            s3.get_bucket_lifecycle_configuration(Bucket="bucket"),
            s3.get_object(Bucket="bucket", Key="k"),
        ]

    restarted(durable, read)
