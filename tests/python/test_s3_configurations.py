"""Configurations of buckets: put, shown, listed, deleted, refused; and the same after a restart."""

import pytest
from botocore.exceptions import ClientError
from cumulog import error_code, plain, restarted

ROLE = "arn:aws:iam::000000000000:role/replication"


def refused(code, call, **parameters):
    assert error_code(call, **parameters) == code


def test_a_new_bucket_has_defaults(s3, bucket):
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Disabled"}
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=bucket)
    refused("NoSuchWebsiteConfiguration", s3.get_bucket_website, Bucket=bucket)
    refused("ReplicationConfigurationNotFoundError", s3.get_bucket_replication, Bucket=bucket)
    for delete in (s3.delete_bucket_cors, s3.delete_bucket_website, s3.delete_bucket_replication):
        delete(Bucket=bucket)
        refused("NoSuchBucket", delete, Bucket=bucket + "-not")


def test_logging_names_a_bucket_that_is_there(s3, bucket, unique):
    to = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "log"}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=to)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == to["LoggingEnabled"]
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    group = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
    to["LoggingEnabled"]["TargetGrants"] = [{"Grantee": group, "Permission": "READ_ACP"}]
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=to)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == to["LoggingEnabled"]
    far = unique("far")
    s3.create_bucket(Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    to["LoggingEnabled"]["TargetBucket"] = far
    refused("CrossLocationLoggingProhibitted", s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus=to)
    to["LoggingEnabled"]["TargetBucket"] = bucket + "-not"
    refused("InvalidTargetBucketForLogging", s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus=to)


def test_replication_needs_versions_on_both_sides(s3, bucket, unique):
    to = unique("to")
    s3.create_bucket(Bucket=to)
    rule = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": "a"},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{to}"},
    }

    def put(*rules):
        s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": ROLE, "Rules": list(rules)})

    with pytest.raises(ClientError, match="Versioning must be 'Enabled' on the bucket"):
        put(rule)
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    with pytest.raises(ClientError, match="Destination bucket must have versioning enabled"):
        put(rule)
    s3.put_bucket_versioning(Bucket=to, VersioningConfiguration=enabled)
    with pytest.raises(ClientError, match="MalformedXML"):
        put()
    put(rule)
    shown = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    assert shown["Rules"][0].pop("ID")
    assert shown == {"Role": ROLE, "Rules": [rule]}
    s3.delete_bucket_replication(Bucket=bucket)
    refused("ReplicationConfigurationNotFoundError", s3.get_bucket_replication, Bucket=bucket)


def test_payment_and_acceleration_are_kept(s3, bucket, unique):
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    wrong = {"Payer": "Nobody"}
    refused("MalformedXML", s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration=wrong)
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    dotted = unique("a.b")
    s3.create_bucket(Bucket=dotted)
    on = {"Status": "Enabled"}
    refused("InvalidRequest", s3.put_bucket_accelerate_configuration, Bucket=dotted, AccelerateConfiguration=on)
    refused("MalformedXML", s3.put_bucket_accelerate_configuration, Bucket=bucket, AccelerateConfiguration={})


def inventory(id):
    to = {"S3BucketDestination": {"Bucket": "arn:aws:s3:::reports", "Format": "CSV"}}
    schedule = {"Frequency": "Daily"}
    return {"Id": id, "Destination": to, "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": schedule}


LISTED = [
    ("inventory", "Inventory", inventory),
    ("analytics", "Analytics", lambda id: {"Id": id, "StorageClassAnalysis": {}, "Filter": {"Prefix": "a"}}),
    ("metrics", "Metrics", lambda id: {"Id": id, "Filter": {"Prefix": "logs/"}}),
    (
        "intelligent_tiering",
        "IntelligentTiering",
        lambda id: {"Id": id, "Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]},
    ),
]


@pytest.mark.parametrize("kind, name, make", LISTED)
def test_kinds_that_a_bucket_has_many_of(s3, bucket, kind, name, make):
    put, get, delete = (getattr(s3, f"{verb}_bucket_{kind}_configuration") for verb in ("put", "get", "delete"))
    list_page = getattr(s3, f"list_bucket_{kind}_configurations")
    key, items = f"{name}Configuration", f"{name}ConfigurationList"
    assert items not in list_page(Bucket=bucket)
    refused("NoSuchConfiguration", get, Bucket=bucket, Id="a")
    refused("NoSuchConfiguration", delete, Bucket=bucket, Id="a")
    ids = [f"id-{number:03}" for number in range(103)]
    for id in ids:
        answer = put(Bucket=bucket, Id=id, **{key: make(id)})
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert get(Bucket=bucket, Id="id-001")[key] == make("id-001")
    first = list_page(Bucket=bucket)
    assert first["IsTruncated"] and len(first[items]) == 100
    second = list_page(Bucket=bucket, ContinuationToken=first["NextContinuationToken"])
    assert not second["IsTruncated"]
    assert [item["Id"] for item in first[items] + second[items]] == ids
    delete(Bucket=bucket, Id="id-001")
    refused("NoSuchConfiguration", get, Bucket=bucket, Id="id-001")
    refused("IdMismatch", put, Bucket=bucket, Id="x", **{key: make("y")})
    refused("InvalidConfigurationId", put, Bucket=bucket, Id="a b", **{key: make("a b")})
    refused("NoSuchBucket", list_page, Bucket=bucket + "-not")


def test_what_lists_refuse(s3, bucket):
    wrong = {"Id": "a", "Filter": {"Prefix": "a", "Tag": {"Key": "k", "Value": "v"}}}
    refused("MalformedXML", s3.put_bucket_metrics_configuration, Bucket=bucket, Id="a", MetricsConfiguration=wrong)
    wrong = inventory("a") | {"Schedule": {"Frequency": "Hourly"}}
    refused("MalformedXML", s3.put_bucket_inventory_configuration, Bucket=bucket, Id="a", InventoryConfiguration=wrong)
    wrong = inventory("a")
    wrong["Destination"]["S3BucketDestination"]["Bucket"] = "reports"
    put = s3.put_bucket_inventory_configuration
    refused("InvalidS3DestinationBucket", put, Bucket=bucket, Id="a", InventoryConfiguration=wrong)
    for tiers in ([], [{"Days": 1, "AccessTier": "ARCHIVE_ACCESS"}], [{"Days": 90, "AccessTier": "DEEP_ARCHIVE_ACCESS"}]):
        wrong = {"Id": "a", "Status": "Enabled", "Tierings": tiers}
        put = s3.put_bucket_intelligent_tiering_configuration
        refused("MalformedXML", put, Bucket=bucket, Id="a", IntelligentTieringConfiguration=wrong)


def test_configurations_survive_and_go_with_their_bucket(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket="bucket", CORSConfiguration={"CORSRules": [rule]})
    s3.put_bucket_website(Bucket="bucket", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_bucket_metrics_configuration(Bucket="bucket", Id="a", MetricsConfiguration={"Id": "a"})
    logging = {"LoggingEnabled": {"TargetBucket": "bucket", "TargetPrefix": ""}}
    s3.put_bucket_logging(Bucket="bucket", BucketLoggingStatus=logging)
    s3.put_bucket_request_payment(Bucket="bucket", RequestPaymentConfiguration={"Payer": "Requester"})

    def read():
        return [
            s3.get_bucket_cors(Bucket="bucket"),
            s3.get_bucket_website(Bucket="bucket"),
            s3.list_bucket_metrics_configurations(Bucket="bucket"),
            s3.get_bucket_logging(Bucket="bucket"),
            s3.get_bucket_request_payment(Bucket="bucket"),
        ]

    restarted(durable, read)
    s3.delete_bucket(Bucket="bucket")
    s3.create_bucket(Bucket="bucket")
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket="bucket")
    assert "MetricsConfigurationList" not in s3.list_bucket_metrics_configurations(Bucket="bucket")
    assert plain(s3.get_bucket_request_payment(Bucket="bucket")) == {"Payer": "BucketOwner"}
