"""ACLs, who owns objects, and what public access is blocked."""

import pytest
from cumulog import error_code, request, restarted

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"
LOGS = "http://acs.amazonaws.com/groups/s3/LogDelivery"
SOMEONE = "0123456789abcdef" * 4


def refused(code, call, **parameters):
    assert error_code(call, **parameters) == code


@pytest.fixture
def open_bucket(s3, bucket):
    """A bucket with ACLs and without a block of public access."""
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.delete_public_access_block(Bucket=bucket)
    return bucket


def shown(answer):
    def name(grantee):
        return grantee.get("URI", "owner").rsplit("/")[-1] if grantee.get("ID") != SOMEONE else "someone"

    return [(name(grant["Grantee"]), grant["Permission"]) for grant in answer["Grants"]]


OWNER = [("owner", "FULL_CONTROL")]


def test_a_new_bucket_is_closed(s3, bucket):
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    s3.put_object(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    for acl in ("private", "public-read"):
        refused("AccessControlListNotSupported", s3.put_object, Bucket=bucket, Key="k", ACL=acl)
        refused("AccessControlListNotSupported", s3.create_multipart_upload, Bucket=bucket, Key="k", ACL=acl)
        refused("AccessControlListNotSupported", s3.put_object_acl, Bucket=bucket, Key="k", ACL=acl)
        refused("AccessControlListNotSupported", s3.put_bucket_acl, Bucket=bucket, ACL=acl)
        source = f"{bucket}/k"
        refused("AccessControlListNotSupported", s3.copy_object, Bucket=bucket, Key="l", CopySource=source, ACL=acl)
    assert shown(s3.get_object_acl(Bucket=bucket, Key="k")) == OWNER
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == OWNER


def test_a_new_bucket_takes_no_public_acl(s3, unique):
    refused("InvalidBucketAclWithObjectOwnership", s3.create_bucket, Bucket=unique(), ACL="public-read")
    code = "InvalidBucketAclWithBlockPublicAccessError"
    refused(code, s3.create_bucket, Bucket=unique(), ACL="public-read", ObjectOwnership="ObjectWriter")
    refused("InvalidArgument", s3.create_bucket, Bucket=unique(), ACL="everyone")
    s3.create_bucket(Bucket=unique(), ACL="private")


def test_ownership_controls_are_put_and_deleted(s3, bucket, unique):
    other = unique("other")
    s3.create_bucket(Bucket=other, ObjectOwnership="BucketOwnerPreferred")
    rules = s3.get_bucket_ownership_controls(Bucket=other)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    for _ in range(2):
        s3.delete_bucket_ownership_controls(Bucket=bucket)
        refused("OwnershipControlsNotFoundError", s3.get_bucket_ownership_controls, Bucket=bucket)
    put = s3.put_bucket_ownership_controls
    refused("MalformedXML", put, Bucket=bucket, OwnershipControls={"Rules": []})
    refused("MalformedXML", put, Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "Nobody"}]})
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    refused("InvalidBucketAclWithObjectOwnership", put, Bucket=bucket, OwnershipControls=enforced)


def test_the_block_of_public_access_is_put_and_deleted(s3, bucket):
    for _ in range(2):
        s3.delete_public_access_block(Bucket=bucket)
        refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=bucket)
    refused("InvalidRequest", s3.put_public_access_block, Bucket=bucket, PublicAccessBlockConfiguration={})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert [name for name, on in block.items() if on] == ["BlockPublicAcls"] and len(block) == 4
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    refused("AccessDenied", s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="k", ACL="public-read")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="k", GrantRead=f'uri="{EVERYONE}"')
    s3.put_object(Bucket=bucket, Key="k", ACL="private")


def test_canned_acls_are_shown_as_grants(s3, open_bucket):
    bucket = open_bucket
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ACL="public-read")
    assert shown(s3.get_object_acl(Bucket=bucket, Key="k")) == [*OWNER, ("AllUsers", "READ")]
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    assert shown(s3.get_object_acl(Bucket=bucket, Key="k")) == [*OWNER, ("AuthenticatedUsers", "READ")]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert shown(s3.get_object_acl(Bucket=bucket, Key="copy")) == OWNER
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [*OWNER, ("AllUsers", "READ"), ("AllUsers", "WRITE")]
    s3.put_bucket_acl(Bucket=bucket, ACL="log-delivery-write")
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [*OWNER, ("LogDelivery", "WRITE"), ("LogDelivery", "READ_ACP")]


def test_grants_come_by_header_and_by_document(s3, open_bucket):
    bucket = open_bucket
    s3.put_object(Bucket=bucket, Key="k", GrantRead=f'uri="{LOGS}", id={SOMEONE}', GrantFullControl=f"id={SOMEONE}")
    expected = [("someone", "FULL_CONTROL"), ("LogDelivery", "READ"), ("someone", "READ")]
    assert shown(s3.get_object_acl(Bucket=bucket, Key="k")) == expected
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f'uri="{LOGS}"')
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [("LogDelivery", "WRITE")]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", GrantReadACP=f"id={SOMEONE}")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    assert shown(s3.get_object_acl(Bucket=bucket, Key="parts")) == [("someone", "READ_ACP")]
    policy = {name: s3.get_object_acl(Bucket=bucket, Key="k")[name] for name in ("Grants", "Owner")}
    s3.put_object_acl(Bucket=bucket, Key="parts", AccessControlPolicy=policy)
    assert shown(s3.get_object_acl(Bucket=bucket, Key="parts")) == expected
    policy["Grants"] = []
    s3.put_object_acl(Bucket=bucket, Key="parts", AccessControlPolicy=policy)
    assert s3.get_object_acl(Bucket=bucket, Key="parts").get("Grants", []) == []


def test_acls_that_make_no_sense_are_refused(s3, open_bucket):
    bucket = open_bucket
    s3.put_object(Bucket=bucket, Key="k")
    owner = s3.get_bucket_acl(Bucket=bucket)["Owner"]

    def code(**parameters):
        return error_code(s3.put_object_acl, Bucket=bucket, Key="k", **parameters)

    def by_document(grantee=None, permission="READ", owner=owner):
        grants = [] if grantee is None else [{"Grantee": grantee, "Permission": permission}]
        return code(AccessControlPolicy={"Grants": grants} | ({"Owner": owner} if owner else {}))

    assert code() == "MissingSecurityHeader"
    assert code(ACL="fake-acl") == "InvalidArgument"
    assert code(GrantWrite='uri="http://acs.amazonaws.com/groups/s3/FakeGroup"') == "InvalidArgument"
    assert code(GrantWrite='fakekey="1234"') == "InvalidArgument"
    assert code(GrantWrite='id="wrong-id"') == "InvalidArgument"
    assert code(GrantRead='emailAddress="a@example.com"') == "UnresolvableGrantByEmailAddress"
    assert code(ACL="private", GrantRead=f"id={SOMEONE}") == "InvalidRequest"
    assert code(ACL="private", AccessControlPolicy={"Owner": owner, "Grants": []}) == "UnexpectedContent"
    assert by_document(owner=None) == "MalformedACLError"
    assert by_document(owner={"ID": "wrong-id"}) == "InvalidArgument"
    assert by_document({"Type": "Group", "URI": "http://example.com"}) == "InvalidArgument"
    assert by_document({"Type": "CanonicalUser", "ID": "wrong-id"}) == "InvalidArgument"
    assert by_document({"Type": "Fake", "ID": SOMEONE}) == "MalformedACLError"
    assert by_document({"Type": "CanonicalUser", "ID": SOMEONE}, "FAKE") == "MalformedACLError"


def test_the_document_is_called_as_in_aws(server, bucket):
    answer = request(server, "GET", f"/{bucket}?acl", service="s3")
    assert "<AccessControlPolicy" in answer.text and 'xsi:type="CanonicalUser"' in answer.text


def test_acls_survive(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket", ObjectOwnership="ObjectWriter")
    s3.put_bucket_acl(Bucket="bucket", GrantRead=f"id={SOMEONE}")
    s3.put_object(Bucket="bucket", Key="k", GrantReadACP=f"id={SOMEONE}")
    s3.put_object(Bucket="bucket", Key="l", ACL="bucket-owner-read")

    def read():
        return [
            s3.get_bucket_acl(Bucket="bucket"),
            s3.get_object_acl(Bucket="bucket", Key="k"),
            s3.get_object_acl(Bucket="bucket", Key="l"),
            s3.get_bucket_ownership_controls(Bucket="bucket"),
            s3.get_public_access_block(Bucket="bucket"),
        ]

    assert shown(restarted(durable, read)[1]) == [("someone", "READ_ACP")]
