"""Versions of objects, delete markers, and what keeps versions: retention and legal hold."""

import base64
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError

from cumulog import error_code, restarted

WELL_FORMED_BUT_NOBODYS = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"


def refused(call, *arguments, **parameters):
    """The response of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response


def headers(response):
    return response["ResponseMetadata"]["HTTPHeaders"]


def status(response):
    return response["ResponseMetadata"]["HTTPStatusCode"]


def versioned(s3, bucket, state="Enabled"):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": state})


def put(s3, bucket, key, body=b"", **parameters):
    return s3.put_object(Bucket=bucket, Key=key, Body=body, **parameters).get("VersionId")


def listed(s3, bucket, **parameters):
    """`key id` for each version, `*` before the latest, `-` before a delete marker."""
    answer = s3.list_object_versions(Bucket=bucket, **parameters)
    return sorted(
        ("*" if entry["IsLatest"] else "") + mark + entry["Key"] + " " + entry["VersionId"]
        for kind, mark in (("Versions", ""), ("DeleteMarkers", "-"))
        for entry in answer.get(kind, [])
    )


def test_a_bucket_says_whether_it_keeps_versions(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for state in ("Suspended", "Enabled", "Suspended"):
        versioned(s3, bucket, state)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == state
    for configuration, code in [
        ({"Status": "enabled"}, "MalformedXML"),
        ({}, "IllegalVersioningConfigurationException"),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, "NotImplemented"),
    ]:
        call = s3.put_bucket_versioning
        assert error_code(call, Bucket=bucket, VersioningConfiguration=configuration) == code


def test_versions_come_and_go(s3, bucket):
    put(s3, bucket, "k", b"null")
    versioned(s3, bucket)
    first, second = put(s3, bucket, "k", b"1"), put(s3, bucket, "k", b"2")
    assert len(first) == 32 and first != second
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    assert listed(s3, bucket) == sorted(
        [f"*-k {marker['VersionId']}", f"k {second}", f"k {first}", "k null"]
    )
    gone = refused(s3.get_object, Bucket=bucket, Key="k")
    assert gone["Error"]["Code"] == "NoSuchKey"
    assert headers(gone)["x-amz-delete-marker"] == "true"
    assert headers(gone)["x-amz-version-id"] == marker["VersionId"]
    named = refused(s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert named["Error"]["Code"] == "MethodNotAllowed"
    assert named["Error"]["ResourceType"] == "DeleteMarker"
    assert headers(named)["allow"] == "DELETE"
    for version, body in ((first, b"1"), (second, b"2"), ("null", b"null")):
        found = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert (found["VersionId"], found["Body"].read()) == (version, body)
        assert s3.head_object(Bucket=bucket, Key="k", VersionId=version)["VersionId"] == version
    deleted = s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert deleted["DeleteMarker"] is True
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == second
    deleted = s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
    assert "DeleteMarker" not in deleted
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == first
    missing = refused(s3.get_object, Bucket=bucket, Key="k", VersionId=second)
    assert missing["Error"]["Code"] == "NoSuchVersion"
    assert missing["Error"]["VersionId"] == second
    # That a version is gone is what a deletion wants; what never was an id is refused.
    assert status(s3.delete_object(Bucket=bucket, Key="k", VersionId=second)) == 204
    for call in (s3.get_object, s3.delete_object, s3.head_object):
        bad = refused(call, Bucket=bucket, Key="k", VersionId=WELL_FORMED_BUT_NOBODYS)
        assert status(bad) == 400


def test_a_suspended_bucket_writes_the_version_null(s3, bucket):
    versioned(s3, bucket)
    first = put(s3, bucket, "k", b"1")
    versioned(s3, bucket, "Suspended")
    assert put(s3, bucket, "k", b"2") is None
    assert put(s3, bucket, "k", b"3") is None
    assert listed(s3, bucket) == sorted(["*k null", f"k {first}"])
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert s3.delete_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert listed(s3, bucket) == sorted(["*-k null", f"k {first}"])
    versioned(s3, bucket)
    latest = put(s3, bucket, "k", b"4")
    assert listed(s3, bucket) == sorted([f"*k {latest}", "-k null", f"k {first}"])
    versioned(s3, bucket, "Suspended")
    put(s3, bucket, "k", b"5")
    assert listed(s3, bucket) == sorted(["*k null", f"k {latest}", f"k {first}"])


def test_what_is_about_an_object_is_about_a_version(s3, bucket):
    versioned(s3, bucket)
    old, new = put(s3, bucket, "k", b"old", Tagging="a=1"), put(s3, bucket, "k", b"new")
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=old)["TagSet"] == [{"Key": "a", "Value": "1"}]
    tagging = {"TagSet": [{"Key": "b", "Value": "2"}]}
    assert s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=old, Tagging=tagging)["VersionId"] == old
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=old)["VersionId"] == old
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="k", VersionId=old, ObjectAttributes=["ObjectSize"]
    )
    assert (attributes["VersionId"], attributes["ObjectSize"]) == (old, 3)
    copied = s3.copy_object(
        Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k", "VersionId": old}
    )
    assert copied["CopySourceVersionId"] == old
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=new)["Body"].read() == b"new"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "k", "VersionId": new},
    )
    assert part["CopySourceVersionId"] == new
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == done["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    for call in (s3.get_object_tagging, s3.delete_object_tagging):
        assert error_code(call, Bucket=bucket, Key="k") == "MethodNotAllowed"
    source = {"Bucket": bucket, "Key": "k", "VersionId": marker}
    assert error_code(s3.copy_object, Bucket=bucket, Key="x", CopySource=source) == "InvalidRequest"


def test_many_are_deleted_with_their_versions(s3, bucket):
    versioned(s3, bucket)
    version = put(s3, bucket, "a")
    wanted = [{"Key": "a"}, {"Key": "never"}, {"Key": "a", "VersionId": version}]
    wanted.append({"Key": "a", "VersionId": WELL_FORMED_BUT_NOBODYS})
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    marker, unseen, deleted = answer["Deleted"]
    assert marker["DeleteMarker"] and unseen["DeleteMarker"]
    assert deleted == {"Key": "a", "VersionId": version}
    assert [error["Code"] for error in answer["Errors"]] == ["NoSuchVersion"]
    assert error_code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    for mark in (marker, unseen):
        again = {"Key": mark["Key"], "VersionId": mark["DeleteMarkerVersionId"]}
        [gone] = s3.delete_objects(Bucket=bucket, Delete={"Objects": [again]})["Deleted"]
        assert gone["DeleteMarker"] and gone["DeleteMarkerVersionId"] == again["VersionId"]
    s3.delete_bucket(Bucket=bucket)


def test_versions_are_listed_page_by_page(s3, bucket):
    versioned(s3, bucket)
    for key in ("a", "a/1", "a/2", "b é"):
        put(s3, bucket, key)
        put(s3, bucket, key)
    s3.delete_object(Bucket=bucket, Key="b é")
    whole = listed(s3, bucket)
    paginator = s3.get_paginator("list_object_versions")
    for size in (1, 2, 3, 100):
        pages = paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        found = [
            (entry["Key"], entry["VersionId"])
            for page in pages
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]
        assert len(found) == len(set(found)) == len(whole) == 9
    grouped = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [prefix["Prefix"] for prefix in grouped["CommonPrefixes"]] == ["a/"]
    assert len(grouped["Versions"]) == 4
    only = s3.list_object_versions(Bucket=bucket, Prefix="a/", KeyMarker="a/1")
    assert {entry["Key"] for entry in only["Versions"]} == {"a/2"}
    call = s3.list_object_versions
    assert error_code(call, Bucket=bucket, VersionIdMarker="x") == "InvalidArgument"
    assert error_code(call, Bucket=bucket, KeyMarker="a", VersionIdMarker="x") == "InvalidArgument"


def test_exactly_one_conditional_write_wins(s3, bucket):
    versioned(s3, bucket)
    outcomes = []

    def race(**condition):
        try:
            put(s3, bucket, "k", b"x", **condition)
            outcomes.append("200")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    def all_at_once(**condition):
        outcomes.clear()
        threads = [threading.Thread(target=race, kwargs=condition) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(outcomes)

    assert all_at_once(IfNoneMatch="*") == ["200"] + ["PreconditionFailed"] * 11
    s3.delete_object(Bucket=bucket, Key="k")
    assert all_at_once(IfNoneMatch="*") == ["200"] + ["PreconditionFailed"] * 11
    put(s3, bucket, "k", b"y")
    tag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    assert all_at_once(IfMatch=tag) == ["200"] + ["PreconditionFailed"] * 11
    s3.delete_object(Bucket=bucket, Key="k")
    assert set(all_at_once(IfMatch=tag)) == {"NoSuchKey"}


def test_deletions_take_conditions(s3, bucket):
    put(s3, bucket, "k", b"1")
    tag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    assert error_code(s3.delete_object, Bucket=bucket, Key="k", IfMatch='"x"') == "PreconditionFailed"
    wanted = {"Objects": [{"Key": "k", "ETag": '"x"'}, {"Key": "gone", "ETag": tag}]}
    answer = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert [error["Code"] for error in answer["Errors"]] == ["PreconditionFailed"]
    assert [deleted["Key"] for deleted in answer["Deleted"]] == ["gone"]
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=tag)
    # AWS has these for directory buckets only.
    assert error_code(s3.delete_object, Bucket=bucket, Key="k", IfMatchSize=1) == "NotImplemented"


def locked(s3, unique):
    bucket = unique("locked")
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return bucket


def later(seconds):
    return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=seconds)


def test_retention_keeps_versions(s3, unique):
    bucket = locked(s3, unique)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    suspended = {"Status": "Suspended"}
    call = s3.put_bucket_versioning
    assert error_code(call, Bucket=bucket, VersioningConfiguration=suspended) == "InvalidBucketState"
    until = later(3600)
    version = put(s3, bucket, "k", b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    found = s3.head_object(Bucket=bucket, Key="k")
    assert (found["ObjectLockMode"], found["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert s3.delete_object(Bucket=bucket, Key="k")["DeleteMarker"]
    kept = refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=version)
    assert kept["Error"]["Message"] == "Access Denied because object protected by object lock."
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]

    def retain(mode, until, bypass=False):
        retention = {"Mode": mode, "RetainUntilDate": until} if mode else {}
        return s3.put_object_retention(
            Bucket=bucket, Key="k", VersionId=version, Retention=retention, BypassGovernanceRetention=bypass
        )

    retain("GOVERNANCE", later(7200))
    assert error_code(retain, "GOVERNANCE", later(60)) == "AccessDenied"
    retain("GOVERNANCE", later(60), bypass=True)
    assert error_code(retain, "GOVERNANCE", later(-60), bypass=True) == "InvalidArgument"
    retain("COMPLIANCE", later(2), bypass=True)
    for mode, seconds in (("COMPLIANCE", 1), ("GOVERNANCE", 3600), (None, 0)):
        assert error_code(retain, mode, later(seconds), bypass=True) == "AccessDenied"
    bypassed = {"BypassGovernanceRetention": True}
    assert error_code(s3.delete_object, Bucket=bucket, Key="k", VersionId=version, **bypassed) == "AccessDenied"
    time.sleep(2.5)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_a_bucket_gives_its_default_retention(s3, unique):
    bucket = locked(s3, unique)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled"
    }
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == configuration
    put(s3, bucket, "k")
    retention = s3.get_object_retention(Bucket=bucket, Key="k")["Retention"]
    assert retention["Mode"] == "COMPLIANCE"
    assert abs(retention["RetainUntilDate"] - later(2 * 86400)) < timedelta(seconds=60)
    assert error_code(s3.get_object_legal_hold, Bucket=bucket, Key="k") == "NoSuchObjectLockConfiguration"
    for bad in ({"Mode": "COMPLIANCE"}, {"Mode": "COMPLIANCE", "Days": 1, "Years": 1}, {"Days": 1}):
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": bad}}
        call = s3.put_object_lock_configuration
        assert error_code(call, Bucket=bucket, ObjectLockConfiguration=configuration) == "MalformedXML"


def test_buckets_without_a_lock_refuse_locks(s3, bucket):
    enabled = {"ObjectLockEnabled": "Enabled"}
    call = s3.put_object_lock_configuration
    assert error_code(call, Bucket=bucket, ObjectLockConfiguration=enabled) == "InvalidBucketState"
    call = s3.get_object_lock_configuration
    assert error_code(call, Bucket=bucket) == "ObjectLockConfigurationNotFoundError"
    call = s3.put_object
    assert error_code(call, Bucket=bucket, Key="k", ObjectLockLegalHoldStatus="ON") == "InvalidRequest"
    put(s3, bucket, "k")
    assert error_code(s3.get_object_retention, Bucket=bucket, Key="k") == "InvalidRequest"
    call = s3.delete_object
    assert error_code(call, Bucket=bucket, Key="k", BypassGovernanceRetention=True) == "InvalidArgument"
    versioned(s3, bucket)
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=enabled)
    put(s3, bucket, "k", ObjectLockLegalHoldStatus="ON")


def test_versions_and_locks_survive(durable):
    s3 = durable.s3
    for name, lock in (("plain", False), ("locked", True)):
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
    put(s3, "plain", "k", b"null")
    versioned(s3, "plain")
    ids = [put(s3, "plain", "k", bytes([65 + at]) * (200_000 * at)) for at in range(3)]
    s3.delete_object(Bucket="plain", Key="k")
    s3.delete_object(Bucket="plain", Key="k", VersionId=ids[1])
    held = put(s3, "locked", "k", b"1", ObjectLockLegalHoldStatus="ON")
    until = datetime(2999, 1, 1, tzinfo=timezone.utc)
    put(s3, "locked", "k", b"2", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)

    def read():
        return [
            s3.list_object_versions(Bucket="plain"),
            [s3.get_object(Bucket="plain", Key="k", VersionId=id) for id in ("null", ids[0], ids[2])],
            refused(s3.get_object, Bucket="plain", Key="k")["Error"],
            s3.get_bucket_versioning(Bucket="plain"),
            s3.get_object_lock_configuration(Bucket="locked"),
            s3.get_object_legal_hold(Bucket="locked", Key="k", VersionId=held),
            s3.get_object_retention(Bucket="locked", Key="k"),
            refused(s3.delete_object, Bucket="locked", Key="k", VersionId=held)["Error"],
        ]

    restarted(durable, read)
    assert put(s3, "plain", "k", b"again") not in ids


XXHASHES = {
    "xxhash64": ("RatnNLIeaWg=", "ChecksumXXHASH64"),
    "xxhash3": ("1Eex6kDmmIs=", "ChecksumXXHASH3"),
    "xxhash128": ("340J6T+HSQCpm4d1zBW2xw==", "ChecksumXXHASH128"),
}


@pytest.mark.parametrize("name", XXHASHES)
def test_the_newer_checksums_are_verified_and_kept(s3, bucket, name):
    value, member = XXHASHES[name]
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"hello world", **{member: value})
    assert (answer[member], answer["ChecksumType"]) == (value, "FULL_OBJECT")
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == value
    wrong = {member: base64.b64encode(bytes(len(base64.b64decode(value)))).decode()}
    assert error_code(s3.put_object, Bucket=bucket, Key="k", Body=b"hello world", **wrong) == "BadDigest"
    algorithm = {"ChecksumAlgorithm": name.upper()}
    begun = s3.create_multipart_upload(Bucket=bucket, Key="parts", **algorithm)
    assert begun["ChecksumType"] == "COMPOSITE"
    named = {"Bucket": bucket, "Key": "parts", "UploadId": begun["UploadId"]}
    part = s3.upload_part(PartNumber=1, Body=b"hello world", **named, **{member: value})
    parts = [{"PartNumber": 1, "ETag": part["ETag"], member: value}]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert done[member].endswith("-1") and done["ChecksumType"] == "COMPOSITE"
