"""Uploads by HTML forms, as `generate_presigned_post` prepares them."""

import base64
import json
import re

import pytest
from cumulog import request


def encoded(fields, file=b"body", filename="a.txt", boundary="frontier"):
    """A form's body; `fields` may be pairs. `file` of None: there is none."""
    parts = []
    for name, value in fields.items() if isinstance(fields, dict) else fields:
        value = value if isinstance(value, bytes) else str(value).encode()
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value)
    if file is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain'
        parts.append(f"{head}\r\n\r\n".encode() + file)
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


@pytest.fixture
def post(server, bucket):
    def post(fields, path=None, headers=None, **parts):
        sent = {"Content-Type": "multipart/form-data; boundary=frontier"} | (headers or {})
        return request(server, "POST", path or f"/{bucket}", sent, encoded(fields, **parts))

    return post


def signed(*conditions, expiration="2100-01-01T00:00:00Z", **fields):
    policy = json.dumps({"expiration": expiration, "conditions": list(conditions)})
    return fields | {"policy": base64.b64encode(policy.encode()).decode(), "AWSAccessKeyId": "test", "signature": "x"}


def said(answer):
    code, message = (re.search(f"<{tag}>(.*?)</{tag}>", answer.text).group(1) for tag in ("Code", "Message"))
    return answer.status, code, message.replace("&quot;", '"')


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_what_boto3_prepares_works(server, s3, bucket, post, version):
    client = server.client("s3", signature_version=version) if version == "s3v4" else server.client("s3", signature_version="s3")
    prepared = client.generate_presigned_post(
        bucket,
        "dir/${filename}",
        Fields={"acl": "bucket-owner-full-control", "Content-Type": "text/x-test", "x-amz-meta-tag": "ü"},
        Conditions=[
            {"acl": "bucket-owner-full-control"},
            ["starts-with", "$Content-Type", "text/"],
            ["starts-with", "$x-amz-meta-tag", ""],
            ["content-length-range", 1, 100],
        ],
    )
    answer = post(prepared["fields"], file=b"content", filename="C:\\dir\\a b.txt")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["location"].endswith(f"/{bucket}/dir/a%20b.txt")
    found = s3.get_object(Bucket=bucket, Key="dir/a b.txt")
    assert found["Body"].read() == b"content"
    assert found["ETag"] == answer.headers["etag"]
    assert (found["ContentType"], found["Metadata"]) == ("text/x-test", {"tag": "=?UTF-8?B?w7w=?="})


def test_fields_are_as_headers_of_a_put(s3, bucket, post):
    tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c&amp;d</Value></Tag></TagSet></Tagging>".replace("&amp;d", "")
    fields = {
        "KEY": "k",
        "Cache-Control": "no-cache",
        "Content-Disposition": "attachment",
        "tagging": tagging,
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-checksum-crc32": "e8spWQ==",
        "x-amz-server-side-encryption": "AES256",
        "submit": "Upload",
    }
    answer = post(fields, file=b"x")
    assert answer.status == 400 and "<Code>BadDigest</Code>" in answer.text
    del fields["x-amz-checksum-crc32"]
    assert post(fields, file=b"x").status == 204
    found = s3.head_object(Bucket=bucket, Key="k")
    assert (found["CacheControl"], found["ContentDisposition"], found["StorageClass"]) == ("no-cache", "attachment", "STANDARD_IA")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a b", "Value": "c"}]
    answer = post({"key": "k", "x-amz-storage-class": "FakeClass"})
    assert said(answer)[1] == "InvalidStorageClass"


def test_the_form_chooses_its_answer(s3, bucket, post):
    answer = post({"key": "a/b ü", "success_action_status": "201"})
    assert answer.status == 201
    assert f"<Bucket>{bucket}</Bucket><Key>a/b ü</Key><ETag>&quot;" in answer.text
    assert f"/{bucket}/a/b%20%C3%BC</Location>" in answer.text
    assert answer.headers["location"] in answer.text
    assert post({"key": "k", "success_action_status": "200"}).status == 200
    assert post({"key": "k", "success_action_status": "404"}).status == 204
    answer = post({"key": "a/k", "success_action_redirect": "http://localhost/done?x=y"})
    etag = s3.head_object(Bucket=bucket, Key="a/k")["ETag"].strip('"')
    assert answer.status == 303
    assert answer.headers["location"] == f"http://localhost/done?x=y&bucket={bucket}&key=a%2Fk&etag=%22{etag}%22"


def test_virtual_hosts_take_forms(s3, bucket, post):
    answer = post({"key": "k"}, path="/", headers={"Host": f"{bucket}.localhost:4566"})
    assert (answer.status, answer.headers["location"]) == (204, f"http://{bucket}.localhost:4566/k")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 4


def test_a_policy_is_kept_to(bucket, post):
    free = ["starts-with", "$key", ""]
    assert post(signed(free, key="k")).status == 204
    assert post(signed({"bucket": bucket}, {"key": "k"}, key="k")).status == 204
    for fields, expected in [
        (signed(free, expiration="2000-01-01T00:00:00Z", key="k"), (403, "AccessDenied", "Invalid according to Policy: Policy expired.")),
        (signed({"key": "l"}, key="k"), (403, "AccessDenied", 'Invalid according to Policy: Policy Condition failed: ["eq", "$key", "l"]')),
        (signed({"bucket": "other"}, free, key="k"), (403, "AccessDenied", 'Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "other"]')),
        (signed(free, key="k", acl="private"), (403, "AccessDenied", "Invalid according to Policy: Extra input fields: acl")),
        (signed(free, ["content-length-range", 5, 10], key="k"), (400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")),
        (signed(free, ["content-length-range", 0, 3], key="k"), (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")),
        (signed({}, key="k"), (400, "InvalidPolicyDocument", "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")),
        (signed(free, key="k") | {"policy": "nonsense"}, (400, "InvalidPolicyDocument", "Invalid Policy: Invalid JSON.")),
    ]:  # fmt: skip
        assert said(post(fields)) == expected


def test_what_is_missing_is_named(server, bucket, post):
    def missing(field):
        return 400, "InvalidArgument", (
            f"Bucket POST must contain a field named '{field}'.  If it is specified, please check the order of the fields."
        )  # fmt: skip

    fields = signed(["starts-with", "$key", ""], key="k")
    assert said(post({"acl": "private"})) == missing("key")
    for name, shown in (("signature", "Signature"), ("AWSAccessKeyId", "AWSAccessKeyId"), ("policy", "policy")):
        assert said(post({field: value for field, value in fields.items() if field != name})) == missing(shown)
    version_4 = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": "test/20300101/us-east-1/s3/aws4_request"}
    assert said(post({"key": "k", "policy": fields["policy"]} | version_4)) == missing("X-Amz-Signature")
    assert said(post({"key": "k"}, file=None))[2] == "POST requires exactly one file upload per request."
    assert said(post({"key": ""}))[2] == "User key must have a length greater than 0."
    assert said(post({"key": "k"}, path="/" + bucket + "-not"))[1] == "NoSuchBucket"
    assert said(post({"key": "k", "x-amz-meta-long": "x" * 30_000}))[1] == "MaxPostPreDataLengthExceeded"
    answer = request(server, "POST", f"/{bucket}", {"Content-Type": "text/plain"}, b"body")
    assert said(answer)[:2] == (412, "PreconditionFailed") and "must be of the enclosure-type multipart/form-data" in answer.text
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = request(server, "POST", f"/{bucket}", headers, b"--b\r\nno form at all")
    assert said(answer)[:2] == (400, "MalformedPOSTRequest")


def test_large_files_stream(s3, bucket, post):
    content = bytes(range(256)) * 40_000 + b"\r\n--frontie\r\n-"
    assert post({"key": "large"}, file=content).status == 204
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == content
