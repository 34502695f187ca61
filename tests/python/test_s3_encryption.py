"""Encryption as far as clients can tell: which key is said to be used, and whether the client's own is the right one."""

import base64
import hashlib
import json

import pytest
from botocore.exceptions import ClientError
from cumulog import error_code, request, restarted

KEY, OTHER = b"k" * 32, b"o" * 32


def customer(key, prefix=""):
    return {f"{prefix}SSECustomerAlgorithm": "AES256", f"{prefix}SSECustomerKey": key}


def md5(key):
    return base64.b64encode(hashlib.md5(key).digest()).decode()


def refused(code, call, **parameters):
    assert error_code(call, **parameters) == code


def put_default(s3, bucket, algorithm, key=None, bucket_key=None):
    by_default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    rule = {"ApplyServerSideEncryptionByDefault": by_default}
    if bucket_key is not None:
        rule["BucketKeyEnabled"] = bucket_key
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_the_default_of_buckets(s3, bucket):
    def rules():
        return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]

    usual = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    assert rules() == usual
    put_default(s3, bucket, "aws:kms", "some-key", True)
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "some-key"}
    assert rules() == [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}]
    for _ in range(2):
        s3.delete_bucket_encryption(Bucket=bucket)
        assert rules() == usual
    with pytest.raises(ClientError, match="a KMSMasterKeyID is not applicable"):
        put_default(s3, bucket, "AES256", "some-key")
    put = s3.put_bucket_encryption
    refused("MalformedXML", put, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": []})
    refused("MalformedXML", put, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": usual * 2})
    refused("NoSuchBucket", s3.get_bucket_encryption, Bucket=bucket + "-not")


def test_keys_of_kms_are_shown(s3, bucket):
    arn = "arn:aws:kms:us-east-1:000000000000:key/some-key"
    context = base64.b64encode(json.dumps({"a": "b"}).encode()).decode()
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "some-key", "BucketKeyEnabled": True}
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"body", SSEKMSEncryptionContext=context, **encryption)
    assert answer["SSEKMSEncryptionContext"] == context
    for answer in (answer, s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"], answer["BucketKeyEnabled"]) == ("aws:kms", arn, True)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert s3.head_object(Bucket=bucket, Key="copy")["ServerSideEncryption"] == "AES256"
    copied = s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", ServerSideEncryption="aws:kms")
    own = copied["SSEKMSKeyId"]
    assert own.startswith("arn:aws:kms:us-east-1:000000000000:key/") and own != arn
    assert s3.put_object(Bucket=bucket, Key="l", ServerSideEncryption="aws:kms:dsse")["SSEKMSKeyId"] == own
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **encryption)
    assert upload["SSEKMSKeyId"] == arn
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    assert part["SSEKMSKeyId"] == arn
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload["UploadId"], MultipartUpload=parts)
    assert done["SSEKMSKeyId"] == arn
    assert s3.head_object(Bucket=bucket, Key="parts")["SSEKMSKeyId"] == arn
    for wrong in (
        {"SSEKMSKeyId": "some-key"},
        {"SSEKMSKeyId": "some-key", "ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "nonsense"},
        {"ServerSideEncryption": "aws:fsx"},
    ):
        refused("InvalidArgument", s3.put_object, Bucket=bucket, Key="k", **wrong)


def test_the_default_applies_to_what_says_nothing(s3, bucket):
    s3.put_object(Bucket=bucket, Key="before")
    put_default(s3, bucket, "aws:kms", "some-key", True)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    assert answer["ServerSideEncryption"] == "aws:kms" and answer["BucketKeyEnabled"]
    assert answer["SSEKMSKeyId"].endswith("key/some-key")
    assert s3.put_object(Bucket=bucket, Key="k", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="before")["ServerSideEncryption"] == "AES256"
    # A bucket that says how it encrypts makes a copy onto itself a change.
    s3.copy_object(Bucket=bucket, Key="before", CopySource=f"{bucket}/before")
    assert s3.head_object(Bucket=bucket, Key="before")["ServerSideEncryption"] == "aws:kms"


def test_an_object_with_the_clients_key_needs_it(s3, bucket):
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"body", **customer(KEY))
    assert "ServerSideEncryption" not in answer
    assert (answer["SSECustomerAlgorithm"], answer["SSECustomerKeyMD5"]) == ("AES256", md5(KEY))
    answer = s3.get_object(Bucket=bucket, Key="k", **customer(KEY))
    assert answer["Body"].read() == b"body" and answer["SSECustomerKeyMD5"] == md5(KEY)
    assert s3.head_object(Bucket=bucket, Key="k", **customer(KEY))["ContentLength"] == 4
    attributes = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["ETag"]}
    # For this operation, botocore encodes nothing itself.
    encoded = {"SSECustomerKey": base64.b64encode(KEY).decode(), "SSECustomerKeyMD5": md5(KEY)}
    s3.get_object_attributes(**attributes, SSECustomerAlgorithm="AES256", **encoded)
    with pytest.raises(ClientError, match="was stored using a form of Server Side Encryption"):
        s3.get_object(Bucket=bucket, Key="k")
    refused("400", s3.head_object, Bucket=bucket, Key="k")
    refused("InvalidRequest", s3.get_object_attributes, **attributes)
    with pytest.raises(ClientError, match="must provide the correct secret key"):
        s3.get_object(Bucket=bucket, Key="k", **customer(OTHER))
    refused("403", s3.head_object, Bucket=bucket, Key="k", **customer(OTHER))
    wrong = customer(KEY) | {"SSECustomerAlgorithm": "KMS"}
    refused("InvalidEncryptionAlgorithmError", s3.get_object, Bucket=bucket, Key="k", **wrong)
    s3.put_object(Bucket=bucket, Key="open")
    with pytest.raises(ClientError, match="not applicable to this object"):
        s3.get_object(Bucket=bucket, Key="open", **customer(KEY))


def test_the_clients_key_is_checked(server, bucket):
    name = "x-amz-server-side-encryption-customer"

    def code(algorithm="AES256", key=KEY, key_md5=None, **more):
        headers = {f"{name}-algorithm": algorithm, f"{name}-key": key and base64.b64encode(key).decode()}
        headers[f"{name}-key-MD5"] = key_md5 or (key and md5(key))
        sent = {name: value for name, value in (headers | more).items() if value}
        answer = request(server, "PUT", f"/{bucket}/k", sent, b"body", service="s3")
        return answer.status if answer.status == 200 else answer.text.split("<Message>")[1].split("</Message>")[0]

    assert code() == 200
    assert "must provide a valid encryption algorithm" in code(algorithm=None)
    assert "must provide an appropriate secret key" in code(key=None)
    assert code(algorithm="AES128").startswith("The Encryption request you specified is not valid")
    assert code(key=b"k" * 31) == "The secret key was invalid for the specified algorithm."
    assert code(key_md5=md5(OTHER)).startswith("The calculated MD5 hash of the key did not match")
    assert "incompatible with the encryption method" in code(**{"x-amz-server-side-encryption": "AES256"})


def test_copies_take_the_keys_of_both_sides(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **customer(KEY))
    source = f"{bucket}/k"
    refused("InvalidRequest", s3.copy_object, Bucket=bucket, Key="copy", CopySource=source)
    wrong = customer(OTHER, "CopySource")
    refused("AccessDenied", s3.copy_object, Bucket=bucket, Key="copy", CopySource=source, **wrong)
    right = customer(KEY, "CopySource")
    s3.copy_object(Bucket=bucket, Key="open", CopySource=source, **right)
    assert s3.get_object(Bucket=bucket, Key="open")["Body"].read() == b"body"
    answer = s3.copy_object(Bucket=bucket, Key="k", CopySource=source, **right, **customer(OTHER))
    assert answer["SSECustomerKeyMD5"] == md5(OTHER)
    assert s3.get_object(Bucket=bucket, Key="k", **customer(OTHER))["Body"].read() == b"body"


def test_uploads_go_on_with_the_key_that_they_began_with(s3, bucket):
    begin = s3.create_multipart_upload
    upload = begin(Bucket=bucket, Key="k", **customer(KEY))
    assert upload["SSECustomerKeyMD5"] == md5(KEY)
    place = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    part = s3.upload_part(**place, PartNumber=1, Body=b"x", **customer(KEY))
    assert part["SSECustomerKeyMD5"] == md5(KEY)
    with pytest.raises(ClientError, match="must include the appropriate encryption parameters"):
        s3.upload_part(**place, PartNumber=1, Body=b"x")
    with pytest.raises(ClientError, match="did not match the ones used originally"):
        s3.upload_part(**place, PartNumber=1, Body=b"x", **customer(OTHER))
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    refused("InvalidRequest", s3.get_object, Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k", **customer(KEY))["Body"].read() == b"x"
    place["UploadId"] = begin(Bucket=bucket, Key="k")["UploadId"]
    with pytest.raises(ClientError, match="must include the appropriate encryption parameters"):
        s3.upload_part(**place, PartNumber=1, Body=b"x", **customer(KEY))
    source = {"CopySource": f"{bucket}/k"} | customer(KEY, "CopySource")
    s3.upload_part_copy(**place, PartNumber=1, **source)


def test_readers_do_not_say_how_to_encrypt(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k")
    for method in ("GET", "HEAD"):
        headers = {"x-amz-server-side-encryption": "AES256"}
        assert request(server, method, f"/{bucket}/k", headers, service="s3").status == 400


def test_an_object_gets_another_key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    arn = "arn:aws:kms:us-east-1:000000000000:key/other"
    s3.update_object_encryption(Bucket=bucket, Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": arn}})
    found = s3.get_object(Bucket=bucket, Key="k")
    assert (found["SSEKMSKeyId"], found["Body"].read()) == (arn, b"body")


def test_a_bucket_may_refuse_clients_keys(s3, bucket):
    rule = {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="k", **customer(KEY))
    s3.put_object(Bucket=bucket, Key="k")


def test_encryption_survives(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="mine", Body=b"body", **customer(KEY))
    put_default(s3, "bucket", "aws:kms", "some-key", True)
    s3.put_object(Bucket="bucket", Key="kms", Body=b"body")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts", **customer(KEY))["UploadId"]

    def read():
        return [
            s3.get_object(Bucket="bucket", Key="mine", **customer(KEY)),
            s3.get_object(Bucket="bucket", Key="kms"),
            s3.get_bucket_encryption(Bucket="bucket"),
            error_code(s3.get_object, Bucket="bucket", Key="mine"),
            error_code(s3.upload_part, Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"x"),
        ]

    restarted(durable, read)
