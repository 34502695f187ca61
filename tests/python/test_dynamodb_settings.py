"""What tables are set to: told as it was set, changed one thing at a time, and kept across restarts."""

import json
import threading

import pytest
from botocore.exceptions import ClientError

from cumulog import error_code, restarted

KEYS = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}
PROVISIONED = {"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}
INDEX = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


@pytest.fixture
def make(dynamodb, unique):
    """`make(**settings)` makes a table; gives its name."""

    def make(client=dynamodb, **settings):
        name = unique("table")
        client.create_table(TableName=name, **(KEYS | settings))
        return name

    return make


def described(dynamodb, table):
    return dynamodb.describe_table(TableName=table)["Table"]


def refusal(call, **parameters) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def policy(table_arn, action="dynamodb:GetItem", effect="Allow"):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": effect, "Principal": {"AWS": "000000000000"}, "Action": [action], "Resource": table_arn}
        ],
    }


def test_a_request_changes_one_thing(dynamodb, make):
    table = make(**PROVISIONED)
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}
    units = {"ProvisionedThroughput": {"ReadCapacityUnits": 6, "WriteCapacityUnits": 6}}
    protection = {"DeletionProtectionEnabled": True}
    for changes, words in [
        (protection | units, "DeletionProtection modification must be the only operation in the request"),
        (protection | {"TableClass": "STANDARD"}, "TableClass modification must be the only operation in the request"),
        (
            protection | {"SSESpecification": {"Enabled": True}},
            "Server-Side Encryption modification must be the only operation in the request",
        ),
        (stream | units, "You cannot modify stream status while updating table IOPS"),
        (
            stream | {"WarmThroughput": {"ReadUnitsPerSecond": 10}},
            "WarmThroughput must be the only operation in the request",
        ),
    ]:
        found = refusal(dynamodb.update_table, TableName=table, **changes)
        assert found == f"ValidationException: One or more parameter values were invalid: {words}"
    assert "StreamSpecification" not in described(dynamodb, table)
    dynamodb.update_table(TableName=table, **ON_DEMAND, **stream)
    assert described(dynamodb, table)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    found = refusal(dynamodb.update_table, TableName=table)
    assert found.startswith("ValidationException: At least one of ProvisionedThroughput, BillingMode,")


def test_throughput_is_told_as_it_changed(dynamodb, make):
    table = make(**PROVISIONED)
    assert "BillingModeSummary" not in described(dynamodb, table)
    warm = lambda: [described(dynamodb, table)["WarmThroughput"][f"{way}UnitsPerSecond"] for way in ("Read", "Write")]
    assert warm() == [5, 5]
    for units in ((10, 5), (2, 5)):
        wanted = dict(zip(("ReadCapacityUnits", "WriteCapacityUnits"), units))
        dynamodb.update_table(TableName=table, ProvisionedThroughput=wanted)
    throughput = described(dynamodb, table)["ProvisionedThroughput"]
    assert throughput["NumberOfDecreasesToday"] == 1
    assert throughput["LastIncreaseDateTime"] <= throughput["LastDecreaseDateTime"]
    assert warm() == [10, 5]
    less = refusal(dynamodb.update_table, TableName=table, WarmThroughput={"ReadUnitsPerSecond": 9})
    assert less.endswith("is lower than current WarmThroughput, decreasing WarmThroughput is not supported")
    dynamodb.update_table(TableName=table, WarmThroughput={"WriteUnitsPerSecond": 50})
    assert warm() == [10, 50]
    limits = {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 200}
    early = refusal(dynamodb.update_table, TableName=table, OnDemandThroughput=limits)
    assert "cannot be specified when the table BillingMode is PROVISIONED" in early
    dynamodb.update_table(TableName=table, OnDemandThroughput=limits, **ON_DEMAND)
    assert described(dynamodb, table)["OnDemandThroughput"] == limits
    dynamodb.update_table(TableName=table, OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert described(dynamodb, table)["OnDemandThroughput"] == {"MaxWriteRequestUnits": 200}
    zero = refusal(dynamodb.update_table, TableName=table, OnDemandThroughput={"MaxReadRequestUnits": 0})
    assert zero.endswith("Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range")
    assert warm() == [12000, 4000]
    dynamodb.update_table(TableName=table, BillingMode="PROVISIONED", **PROVISIONED)
    table_now = described(dynamodb, table)
    assert table_now["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert "OnDemandThroughput" not in table_now
    assert warm() == [12000, 4000]


def test_class_and_encryption(dynamodb, make):
    table = make(**ON_DEMAND)
    assert not {"TableClassSummary", "SSEDescription"} & described(dynamodb, table).keys()
    dynamodb.update_table(TableName=table, TableClass="STANDARD")
    assert "TableClassSummary" not in described(dynamodb, table)
    dynamodb.update_table(TableName=table, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert described(dynamodb, table)["TableClassSummary"].keys() == {"TableClass", "LastUpdateDateTime"}
    change = lambda **to: dynamodb.update_table(TableName=table, SSESpecification=to)["TableDescription"]
    assert "already encrypted by default" in refusal(change, Enabled=False)
    assert "SSEType KMS is required" in refusal(change, Enabled=True, KMSMasterKeyId="alias/mine")
    assert "SSEType can not be specified" in refusal(change, Enabled=False, SSEType="KMS")
    change(Enabled=True)
    default = described(dynamodb, table)["SSEDescription"]
    assert (default["Status"], default["SSEType"]) == ("ENABLED", "KMS")
    other = make(**ON_DEMAND, SSESpecification={"SSEType": "KMS"})
    assert described(dynamodb, other)["SSEDescription"] == default
    assert "already encrypted with given" in refusal(change, SSEType="KMS", KMSMasterKeyId=default["KMSMasterKeyArn"])
    assert change(Enabled=False)["SSEDescription"] == default | {"Status": "UPDATING"}
    assert "SSEDescription" not in described(dynamodb, table)


def test_resource_policies(dynamodb, make):
    table = make(**ON_DEMAND, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    description = described(dynamodb, table)
    for arn in (description["TableArn"], description["LatestStreamArn"]):
        assert error_code(dynamodb.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
        assert "RevisionId" not in dynamodb.delete_resource_policy(ResourceArn=arn)
        document = policy(arn)
        first = dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document))["RevisionId"]
        got = dynamodb.get_resource_policy(ResourceArn=arn)
        assert got["RevisionId"] == first
        statement = document["Statement"][0] | {
            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
            "Action": "dynamodb:GetItem",
        }
        assert json.loads(got["Policy"]) == document | {"Statement": [statement]}
        again = dynamodb.put_resource_policy(ResourceArn=arn, Policy=got["Policy"])
        assert again["RevisionId"] == first
        second = dynamodb.put_resource_policy(
            ResourceArn=arn, Policy=json.dumps(policy(arn, "dynamodb:Query")), ExpectedRevisionId=first
        )["RevisionId"]
        assert int(second) > int(first)
        for call in (dynamodb.put_resource_policy, dynamodb.delete_resource_policy):
            extra = {"Policy": got["Policy"]} if call == dynamodb.put_resource_policy else {}
            stale = refusal(call, ResourceArn=arn, ExpectedRevisionId=first, **extra)
            assert stale.startswith("PolicyNotFoundException: ") and f"has revision id {second}." in stale
        assert dynamodb.delete_resource_policy(ResourceArn=arn)["RevisionId"] == second
        assert error_code(dynamodb.get_resource_policy, ResourceArn=arn) == "PolicyNotFoundException"
    arn = description["TableArn"]
    for wrong, words in [
        (arn.replace("us-east-1", "eu-west-1"), "Invalid resource Arn"),
        (arn.replace("000000000000", "111111111111"), "resource owner’s account"),
        (arn + "/index/x", "only table or stream is accepted"),
        (table, "ARNs must start with 'arn:'"),
    ]:
        assert words in refusal(dynamodb.get_resource_policy, ResourceArn=wrong.ljust(37, "x"))
    assert error_code(dynamodb.get_resource_policy, ResourceArn=arn + "-none") == "ResourceNotFoundException"


def test_contributor_insights(dynamodb, make):
    attributes = KEYS["AttributeDefinitions"] + [{"AttributeName": "g", "AttributeType": "S"}]
    table = make(**ON_DEMAND, AttributeDefinitions=attributes, GlobalSecondaryIndexes=[INDEX])
    describe = lambda **of: dynamodb.describe_contributor_insights(TableName=table, **of)
    update = lambda action, **of: dynamodb.update_contributor_insights(
        TableName=table, ContributorInsightsAction=action, **of
    )["ContributorInsightsStatus"]
    assert describe()["ContributorInsightsStatus"] == "DISABLED"
    assert "LastUpdateDateTime" not in describe()
    assert [update("DISABLE"), update("ENABLE"), update("ENABLE")] == ["DISABLED", "ENABLING", "ENABLED"]
    assert update("ENABLE", IndexName="by-g", ContributorInsightsMode="THROTTLED_KEYS") == "ENABLING"
    listed = dynamodb.list_contributor_insights(TableName=table)["ContributorInsightsSummaries"]
    assert [summary.get("IndexName") for summary in listed] == [None, "by-g"]
    assert describe(IndexName="by-g")["ContributorInsightsMode"] == "THROTTLED_KEYS"
    assert update("DISABLE") == "DISABLING"
    assert describe()["ContributorInsightsStatus"] == "DISABLED"
    assert error_code(describe, IndexName="none") == "ResourceNotFoundException"
    found, token = [], {}
    while token is not None:
        page = dynamodb.list_contributor_insights(MaxResults=1, **token)
        found += page["ContributorInsightsSummaries"]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
    assert [summary["IndexName"] for summary in found if summary["TableName"] == table] == ["by-g"]


def test_what_there_is_none_of(dynamodb, make):
    table = make(**ON_DEMAND)
    stream = "arn:aws:kinesis:us-east-1:000000000000:stream/events"
    destinations = dynamodb.describe_kinesis_streaming_destination(TableName=table)
    assert destinations["KinesisDataStreamDestinations"] == []
    found = refusal(dynamodb.enable_kinesis_streaming_destination, TableName=table, StreamArn=stream)
    assert found.startswith("NotImplemented: ") and "Kinesis" in found
    found = refusal(dynamodb.disable_kinesis_streaming_destination, TableName=table, StreamArn=stream)
    assert found.endswith("KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.")
    found = refusal(dynamodb.create_global_table, GlobalTableName=table, ReplicationGroup=[{"RegionName": "us-east-1"}])
    assert "DynamoDB global tables version 2017.11.29 is not supported" in found
    assert error_code(dynamodb.describe_global_table, GlobalTableName=table) == "GlobalTableNotFoundException"
    assert dynamodb.list_global_tables()["GlobalTables"] == []
    assert error_code(dynamodb.describe_table_replica_auto_scaling, TableName=table) == "ResourceNotFoundException"


def test_every_setting_survives_a_restart(durable, make):
    dynamodb = durable.dynamodb
    attributes = KEYS["AttributeDefinitions"] + [{"AttributeName": "g", "AttributeType": "S"}]
    units = PROVISIONED["ProvisionedThroughput"]
    index = INDEX | {"ProvisionedThroughput": units}
    table = make(
        client=dynamodb,
        **PROVISIONED,
        AttributeDefinitions=attributes,
        GlobalSecondaryIndexes=[index],
        SSESpecification={"SSEType": "KMS", "KMSMasterKeyId": "alias/mine"},
        DeletionProtectionEnabled=True,
        Tags=[{"Key": "team", "Value": "a"}],
    )
    arn = described(dynamodb, table)["TableArn"]
    change = lambda **to: dynamodb.update_table(TableName=table, **to)
    change(TableClass="STANDARD_INFREQUENT_ACCESS")
    change(ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 9})
    change(WarmThroughput={"ReadUnitsPerSecond": 77})
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(policy(arn)))
    dynamodb.update_contributor_insights(TableName=table, IndexName="by-g", ContributorInsightsAction="ENABLE")
    [got, *_] = restarted(
        durable,
        lambda: [
            described(dynamodb, table),
            dynamodb.get_resource_policy(ResourceArn=arn),
            dynamodb.list_contributor_insights(),
            dynamodb.list_tags_of_resource(ResourceArn=arn),
        ],
    )
    assert got["WarmThroughput"]["ReadUnitsPerSecond"] == 77
    assert error_code(dynamodb.delete_table, TableName=table) == "ValidationException"


def test_scans_go_on_while_writers_do(dynamodb, make):
    """What was there before a scan and stays is seen once, whatever writers do meanwhile; none waits for the other."""
    table = make(**ON_DEMAND)
    for start in range(0, 5000, 25):
        requests = [
            {"PutRequest": {"Item": {"id": {"S": f"stays-{n:05}"}, "x": {"S": "x" * 1000}}}}
            for n in range(start, start + 25)
        ]
        dynamodb.batch_write_item(RequestItems={table: requests})
    stop = threading.Event()
    written = []

    def write(writer):
        count = 0
        while not stop.is_set():
            key = {"id": {"S": f"comes-{writer}-{count % 50}"}}
            dynamodb.put_item(TableName=table, Item=key)
            dynamodb.delete_item(TableName=table, Key=key)
            count += 1
        written.append(count)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    pages = 0
    for _ in range(3):
        seen = []
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            pages += 1
            seen += [item["id"]["S"] for item in page["Items"] if item["id"]["S"].startswith("stays")]
        assert len(seen) == len(set(seen)) == 5000
    stop.set()
    for writer in writers:
        writer.join()
    assert pages >= 15
    assert min(written) > 0
