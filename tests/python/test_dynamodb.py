"""DynamoDB as boto3 sees it: tables, items, expressions, indexes, pages, batches, transactions."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from cumulog import ACCOUNT, REGION, plain, restarted

KB = 1024


def wire(value):
    """A Python value as DynamoDB's JSON has it."""
    return TypeSerializer().serialize(value)


def wired(**attributes):
    return {name: wire(value) for name, value in attributes.items()}


def native(item):
    return item and {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def refused(call, **arguments):
    """The code and words with which `call` is refused."""
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def schema(hash_key, range_key=None):
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else [])


def definitions(**types):
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def index(name, keys, projection="ALL", attributes=None):
    chosen = {"ProjectionType": projection} | ({"NonKeyAttributes": attributes} if attributes else {})
    return {"IndexName": name, "KeySchema": keys, "Projection": chosen}


@pytest.fixture
def ranged(dynamodb, unique):
    """A table with keys `p` (S) and `n` (N), a local index on `l` and two global ones on `g`."""
    name = unique("ranged")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=definitions(p="S", n="N", l="S", g="S"),
        KeySchema=schema("p", "n"),
        LocalSecondaryIndexes=[index("local", schema("p", "l"), "INCLUDE", ["extra"])],
        GlobalSecondaryIndexes=[
            index("global", schema("g", "n"), "KEYS_ONLY"),
            index("everything", schema("g")),
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def resource(server):
    """The table resource, which speaks in Python values."""
    session = boto3.session.Session()
    return lambda name: session.resource(
        "dynamodb",
        endpoint_url=server.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).Table(name)


# Tables


def test_a_table_is_described_as_it_was_made(dynamodb, unique):
    name = unique("table")
    made = dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=definitions(p="S", n="N", g="B"),
        KeySchema=schema("p", "n"),
        GlobalSecondaryIndexes=[
            index("gsi", schema("g", "n"), "INCLUDE", ["x"])
            | {"ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}}
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/mine"},
        TableClass="STANDARD_INFREQUENT_ACCESS",
        Tags=[{"Key": "team", "Value": "log"}],
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    table = dynamodb.describe_table(TableName=name)["Table"]
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    assert (table["TableStatus"], table["TableArn"], table["TableId"]) == ("ACTIVE", arn, made["TableId"])
    assert table["KeySchema"] == schema("p", "n")
    assert table["AttributeDefinitions"] == definitions(p="S", n="N", g="B")
    throughput = {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 1, "WriteCapacityUnits": 2}
    assert table["ProvisionedThroughput"] == throughput
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert table["LatestStreamArn"] == f"{arn}/stream/{table['LatestStreamLabel']}"
    assert table["SSEDescription"]["KMSMasterKeyArn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine"
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert (table["ItemCount"], table["TableSizeBytes"], table["DeletionProtectionEnabled"]) == (0, 0, False)
    (gsi,) = table["GlobalSecondaryIndexes"]
    assert (gsi["IndexName"], gsi["IndexStatus"], gsi["IndexArn"]) == ("gsi", "ACTIVE", f"{arn}/index/gsi")
    assert gsi["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
    assert dynamodb.describe_table(TableName=arn)["Table"]["TableName"] == name


def test_counts_and_sizes_are_true(dynamodb, ranged):
    def counts():
        table = dynamodb.describe_table(TableName=ranged)["Table"]
        indexes = table["GlobalSecondaryIndexes"] + table["LocalSecondaryIndexes"]
        return (table["ItemCount"], table["TableSizeBytes"]), {
            i["IndexName"]: (i["ItemCount"], i["IndexSizeBytes"]) for i in indexes
        }

    dynamodb.put_item(TableName=ranged, Item=wired(p="ab", n=12, g="x", other="1234567890"))
    # p + ab, n + 12 in two bytes, g + x, other + ten
    assert counts() == ((1, 23), {"global": (1, 8), "everything": (1, 23), "local": (0, 0)})
    dynamodb.put_item(TableName=ranged, Item=wired(p="ab", n=12, l="y", extra="z"))
    assert counts() == ((1, 14), {"global": (0, 0), "everything": (0, 0), "local": (1, 14)})
    dynamodb.delete_item(TableName=ranged, Key=wired(p="ab", n=12))
    assert counts() == ((0, 0), {"global": (0, 0), "everything": (0, 0), "local": (0, 0)})


def test_tables_are_listed_in_pages(dynamodb, server, unique):
    client = server.client("dynamodb", access_key="123456789012")
    names = sorted(unique(letter * 3) for letter in "abc")
    for name in names:
        client.create_table(
            TableName=name,
            AttributeDefinitions=definitions(p="S"),
            KeySchema=schema("p"),
            BillingMode="PAY_PER_REQUEST",
        )
    assert plain(client.list_tables(Limit=2)) == {"TableNames": names[:2], "LastEvaluatedTableName": names[1]}
    pages = client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
    assert [name for page in pages for name in page["TableNames"]] == names
    # Another account and another region see none of them.
    assert not set(names) & set(dynamodb.list_tables()["TableNames"])
    elsewhere = server.client("dynamodb", access_key="123456789012", region="eu-west-1")
    assert elsewhere.list_tables()["TableNames"] == []


def test_a_deleted_table_leaves_nothing_behind(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=wired(id="a"))
    deleted = dynamodb.delete_table(TableName=table)["TableDescription"]
    assert (deleted["TableStatus"], deleted["ItemCount"]) == ("DELETING", 1)
    dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    message = f"Requested resource not found: Table: {table} not found"
    assert refused(dynamodb.describe_table, TableName=table) == ("ResourceNotFoundException", message)
    assert refused(dynamodb.get_item, TableName=table, Key=wired(id="a")) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=definitions(id="S"),
        KeySchema=schema("id"),
        BillingMode="PAY_PER_REQUEST",
    )
    assert dynamodb.scan(TableName=table)["Items"] == []


def test_a_protected_table_is_not_deleted(dynamodb, unique):
    name = unique("protected")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=definitions(p="S"),
        KeySchema=schema("p"),
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    code, message = refused(dynamodb.delete_table, TableName=name)
    assert (code, "protected against deletion" in message) == ("ValidationException", True)


def test_indexes_come_and_go(dynamodb, table):
    for i in range(5):
        dynamodb.put_item(TableName=table, Item=wired(id=f"i{i}", g="x" if i % 2 else i))
    create = index("late", schema("g", "id"), "KEYS_ONLY")
    changed = dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=definitions(g="S", id="S"),
        GlobalSecondaryIndexUpdates=[{"Create": create}],
    )["TableDescription"]
    assert (changed["TableStatus"], changed["GlobalSecondaryIndexes"][0]["IndexStatus"]) == ("UPDATING", "CREATING")
    late = dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0]
    assert (late["IndexStatus"], late["ItemCount"]) == ("ACTIVE", 2)

    def members():
        return sorted(native(item)["id"] for item in dynamodb.scan(TableName=table, IndexName="late")["Items"])

    assert members() == ["i1", "i3"]
    # What was unfit for the index before there was one can still be changed otherwise, and made fit.
    set_ = lambda name, value: dynamodb.update_item(
        TableName=table,
        Key=wired(id="i0"),
        UpdateExpression=f"SET {name} = :v",
        ExpressionAttributeValues={":v": wire(value)},
    )
    set_("v", 1)
    assert members() == ["i1", "i3"]
    set_("g", "x")
    assert members() == ["i0", "i1", "i3"]
    delete = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "late"}}]}
    described = dynamodb.update_table(TableName=table, **delete)["TableDescription"]
    assert "GlobalSecondaryIndexes" not in described and described["AttributeDefinitions"] == definitions(id="S")
    assert refused(dynamodb.scan, TableName=table, IndexName="late")[0] == "ValidationException"
    assert refused(dynamodb.update_table, TableName=table, **delete)[0] == "ResourceNotFoundException"


def test_billing_and_settings_change(dynamodb, table):
    units = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
    dynamodb.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    got = dynamodb.describe_table(TableName=table)["Table"]
    assert got["ProvisionedThroughput"] == units | {"NumberOfDecreasesToday": 0}
    assert (got["TableStatus"], got["DeletionProtectionEnabled"]) == ("ACTIVE", True)
    assert refused(dynamodb.delete_table, TableName=table)[0] == "ValidationException"
    code, message = refused(dynamodb.update_table, TableName=table, ProvisionedThroughput=units)
    assert (code, "will not change" in message) == ("ValidationException", True)
    dynamodb.update_table(TableName=table, BillingMode="PAY_PER_REQUEST")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    got = dynamodb.describe_table(TableName=table)["Table"]
    assert got["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    dynamodb.delete_table(TableName=table)


def test_what_a_table_does_not_do_is_said(dynamodb, table):
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}
    none = f"{table}-none"
    assert refused(dynamodb.describe_continuous_backups, TableName=none)[0] == "TableNotFoundException"


def test_tables_have_tags(dynamodb, table):
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    tags = lambda: {t["Key"]: t["Value"] for t in dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]}
    assert tags() == {}
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}])
    assert tags() == {"a": "2", "b": ""}
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["b", "none"])
    assert tags() == {"a": "2"}
    gone = f"{arn}-none"
    message = f"Requested resource not found: ResourceArn: {gone} not found"
    assert refused(dynamodb.list_tags_of_resource, ResourceArn=gone) == ("ResourceNotFoundException", message)


INVALID = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    "change, message",
    [
        ({"TableName": "ab"}, "TableName must be at least 3 characters long and at most 255 characters long"),
        (
            {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"KeySchema": schema("q")},
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [q], "
            "AttributeDefinitions: [p]",
        ),
        (
            {"AttributeDefinitions": definitions(p="S", q="S")},
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"KeySchema": [{"AttributeName": "p", "KeyType": "RANGE"}]},
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"LocalSecondaryIndexes": [index("lsi", schema("p", "p"))]},
            INVALID + "Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex",
        ),
        ({"GlobalSecondaryIndexes": []}, INVALID + "List of GlobalSecondaryIndexes is empty"),
        (
            {"GlobalSecondaryIndexes": [index("gsi", schema("p"), "ALL", ["x"])]},
            INVALID + "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            {"GlobalSecondaryIndexes": [index("gsi", schema("p")), index("gsi", schema("p"))]},
            INVALID + "Duplicate index name: gsi",
        ),
        (
            {"GlobalSecondaryIndexes": [index(f"gsi{i}", schema("p")) for i in range(21)]},
            INVALID + "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
    ],
)
def test_a_table_that_cannot_be_is_refused(dynamodb, unique, change, message):
    table = {
        "TableName": unique("table"),
        "AttributeDefinitions": definitions(p="S"),
        "KeySchema": schema("p"),
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert refused(dynamodb.create_table, **(table | change)) == ("ValidationException", message)


def test_a_table_is_made_once(dynamodb, table):
    made = {"AttributeDefinitions": definitions(id="S"), "KeySchema": schema("id"), "BillingMode": "PAY_PER_REQUEST"}
    assert refused(dynamodb.create_table, TableName=table, **made) == (
        "ResourceInUseException",
        f"Table already exists: {table}",
    )


# Items


EVERYTHING = {
    "text": "é\u0000\U0001f600",
    "empty": "",
    "number": Decimal("-1.2345678901234567890123456789012345678E-100"),
    "large": Decimal("99999999999999999999999999999999999999"),
    "blob": b"\x00\xff",
    "yes": True,
    "nothing": None,
    "texts": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "blobs": {b"x", b""},
    "list": [1, ["deep", {"er": [None]}]],
    "map": {"": "refused"},
}


def test_every_kind_of_value_comes_back(resource, table):
    item = EVERYTHING | {"id": "all", "map": {"k": {"k": []}, "with.dot": {}}}
    resource(table).put_item(Item=item)
    found = resource(table).get_item(Key={"id": "all"})["Item"]
    assert {name: getattr(value, "value", value) for name, value in found.items()} == item


@pytest.mark.parametrize(
    "sent, kept",
    [("1e3", "1000"), ("+1.50", "1.5"), ("-0", "0"), ("0.1e126", "1" + "0" * 125), ("1E-130", "0." + "0" * 129 + "1")],
)
def test_numbers_are_spelt_one_way(dynamodb, table, sent, kept):
    dynamodb.put_item(TableName=table, Item={"id": wire("n"), "n": {"N": sent}})
    assert dynamodb.get_item(TableName=table, Key=wired(id="n"))["Item"]["n"] == {"N": kept}


@pytest.mark.parametrize(
    "value, message",
    [
        ({"N": "ten"}, "The parameter cannot be converted to a numeric value: ten"),
        ({"N": "1e126"}, "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ({"N": "1e-131"}, "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ({"N": "1" * 39}, "Attempting to store more than 38 significant digits in a Number"),
        ({"SS": []}, INVALID + "An string set  may not be empty"),
        ({"SS": ["a", "a"]}, INVALID + "Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"NULL": False}, INVALID + "Null attribute value types must have the value of true"),
        ({"S": "x" * 400 * KB}, "Item size has exceeded the maximum allowed size"),
    ],
)
def test_a_value_that_cannot_be_is_refused(dynamodb, table, value, message):
    call = dynamodb.put_item
    assert refused(call, TableName=table, Item={"id": wire("x"), "v": value}) == ("ValidationException", message)


def test_an_item_may_have_exactly_400_kb(dynamodb, table):
    item = wired(id="x", v="x" * (400 * KB - len("idxv")))
    dynamodb.put_item(TableName=table, Item=item)
    assert dynamodb.get_item(TableName=table, Key=wired(id="x"))["Item"] == item
    update = {"UpdateExpression": "SET w = :w", "ExpressionAttributeValues": {":w": wire("")}}
    assert refused(dynamodb.update_item, TableName=table, Key=wired(id="x"), **update) == (
        "ValidationException",
        "Item size to update has exceeded the maximum allowed size",
    )


@pytest.mark.parametrize(
    "item, message",
    [
        (wired(x=1), INVALID + "Missing the key id in the item"),
        (wired(id=1), INVALID + "Type mismatch for key id expected: S actual: N"),
        (
            wired(id=""),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
            "string value. Key: id",
        ),
        (wired(id="x" * 2049), INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
    ],
)
def test_an_item_without_its_key_is_refused(dynamodb, table, item, message):
    assert refused(dynamodb.put_item, TableName=table, Item=item) == ("ValidationException", message)


def test_a_key_must_match_the_schema(dynamodb, ranged):
    mismatch = ("ValidationException", "The provided key element does not match the schema")
    for key in (wired(p="a"), wired(p="a", n="1"), wired(p="a", n=1, x=1), wired(p="a", x=1)):
        assert refused(dynamodb.get_item, TableName=ranged, Key=key) == mismatch


def test_a_false_condition_changes_nothing(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=wired(id="a", v=1))
    guarded = {"ConditionExpression": "v > :v", "ExpressionAttributeValues": {":v": wire(1)}}
    failed = ("ConditionalCheckFailedException", "The conditional request failed")
    assert refused(dynamodb.put_item, TableName=table, Item=wired(id="a", v=2), **guarded) == failed
    assert refused(dynamodb.delete_item, TableName=table, Key=wired(id="a"), **guarded) == failed
    with pytest.raises(ClientError) as refusal:
        dynamodb.put_item(
            TableName=table, Item=wired(id="a"), ReturnValuesOnConditionCheckFailure="ALL_OLD", **guarded
        )
    assert native(refusal.value.response["Item"]) == {"id": "a", "v": 1}


def test_return_values_show_what_was_and_what_is(dynamodb, table):
    key = {"TableName": table, "Key": wired(id="a")}

    def update(returned, expression, **values):
        values = {f":{name}": wire(value) for name, value in values.items()}
        answer = dynamodb.update_item(
            **key, UpdateExpression=expression, ExpressionAttributeValues=values, ReturnValues=returned
        )
        return native(answer.get("Attributes"))

    assert update("ALL_OLD", "SET a = :a", a={"b": 1, "c": [1, 2, 3]}) is None
    assert update("UPDATED_NEW", "SET a.b = a.b + :n, a.c[1] = :n", n=5) == {"a": {"b": 6, "c": [5]}}
    assert update("UPDATED_OLD", "SET a.b = :n, d = :n", n=7) == {"a": {"b": 6}}
    assert update("ALL_NEW", "ADD s :s", s={"x"}) == {"id": "a", "a": {"b": 7, "c": [1, 5, 3]}, "d": 7, "s": {"x"}}
    old = dynamodb.delete_item(**key, ReturnValues="ALL_OLD")["Attributes"]
    assert native(old)["d"] == 7
    assert "Attributes" not in dynamodb.delete_item(**key, ReturnValues="ALL_OLD")


def test_counters_lose_no_update(dynamodb, table):
    def add(_):
        dynamodb.update_item(
            TableName=table,
            Key=wired(id="counter"),
            UpdateExpression="SET v = if_not_exists(v, :zero) + :one",
            ExpressionAttributeValues={":zero": wire(0), ":one": wire(1)},
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    assert native(dynamodb.get_item(TableName=table, Key=wired(id="counter"))["Item"])["v"] == 200


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"ConditionExpression": "a = :a", "Expected": {}},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{Expected} Expression parameters: {ConditionExpression}",
        ),
        (
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ConditionExpression": "a = :b"},
            "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :b",
        ),
        (
            {"ConditionExpression": "a = :a", "ExpressionAttributeValues": {":a": {"N": "1"}, ":b": {"N": "1"}}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}",
        ),
        (
            {"ConditionExpression": "status = :a", "ExpressionAttributeValues": {":a": {"N": "1"}}},
            "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: status",
        ),
        (
            {"ConditionExpression": "a == :a", "ExpressionAttributeValues": {":a": {"N": "1"}}},
            'Invalid ConditionExpression: Syntax error; token: "=", near: "== :a"',
        ),
        ({"ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(dynamodb, table, arguments, message):
    call = dynamodb.put_item
    assert refused(call, TableName=table, Item=wired(id="x"), **arguments) == ("ValidationException", message)


def test_legacy_parameters_still_work(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=wired(id="a", n=1, s={"x"}))
    dynamodb.update_item(
        TableName=table,
        Key=wired(id="a"),
        AttributeUpdates={
            "n": {"Action": "ADD", "Value": wire(2)},
            "s": {"Action": "DELETE", "Value": wire({"x"})},
            "v": {"Value": wire("new")},
        },
        Expected={"n": {"ComparisonOperator": "LT", "AttributeValueList": [wire(5)]}, "q": {"Exists": False}},
    )
    got = dynamodb.get_item(TableName=table, Key=wired(id="a"), AttributesToGet=["n", "s", "v"])["Item"]
    assert native(got) == {"n": 3, "v": "new"}
    found = dynamodb.query(
        TableName=table,
        KeyConditions={"id": {"ComparisonOperator": "EQ", "AttributeValueList": [wire("a")]}},
        QueryFilter={"n": {"ComparisonOperator": "IN", "AttributeValueList": [wire(3), wire(4)]}},
    )
    assert found["Count"] == 1
    found = dynamodb.scan(
        TableName=table,
        ScanFilter={
            "n": {"ComparisonOperator": "GT", "AttributeValueList": [wire(9)]},
            "v": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [wire("ne")]},
        },
        ConditionalOperator="OR",
    )
    assert (found["Count"], found["ScannedCount"]) == (1, 1)


# Queries and scans


NUMBERS = [Decimal(text) for text in ("-1E+37", "-12.5", "-1", "-1E-120", "0", "1E-120", "0.5", "1", "9", "10", "1E+37")]


def test_numeric_sort_keys_are_in_order(resource, ranged):
    table = resource(ranged)
    for number in reversed(NUMBERS):
        table.put_item(Item={"p": "a", "n": number})
    query = lambda **more: [item["n"] for item in table.query(**more)["Items"]]
    assert query(KeyConditionExpression=Key("p").eq("a")) == NUMBERS
    assert query(KeyConditionExpression=Key("p").eq("a"), ScanIndexForward=False) == NUMBERS[::-1]
    assert query(KeyConditionExpression=Key("p").eq("a") & Key("n").lt(0)) == NUMBERS[:4]
    assert query(KeyConditionExpression=Key("p").eq("a") & Key("n").gte(Decimal("0.5"))) == NUMBERS[6:]
    assert query(KeyConditionExpression=Key("p").eq("a") & Key("n").between(-1, 1)) == NUMBERS[2:8]


def test_text_sort_keys_are_in_byte_order(dynamodb, unique):
    name = unique("texts")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=definitions(p="S", s="S"),
        KeySchema=schema("p", "s"),
        BillingMode="PAY_PER_REQUEST",
    )
    texts = ["\u0000", "\u0000\u0000", "a", "a\u0000", "a\u0000b", "ab", "b", "é", "\uffff", "\U0001f600"]
    for text in reversed(texts):
        dynamodb.put_item(TableName=name, Item=wired(p="a", s=text))

    def query(condition, **values):
        values = {f":{key}": wire(value) for key, value in (values | {"p": "a"}).items()}
        items = dynamodb.query(
            TableName=name, KeyConditionExpression=f"p = :p {condition}", ExpressionAttributeValues=values
        )["Items"]
        return [native(item)["s"] for item in items]

    assert query("") == texts
    assert query("AND begins_with(s, :a)", a="a\u0000") == ["a\u0000", "a\u0000b"]
    assert query("AND s > :a", a="a") == texts[3:]
    assert query("AND s <= :a", a="a") == texts[:3]
    assert query("AND s = :a", a="a\u0000") == ["a\u0000"]


@pytest.fixture
def filled(dynamodb, ranged):
    """`ranged` with 30 items in three partitions; every third one is in the global indexes."""
    for i in range(30):
        attributes = {"p": f"p{i % 3}", "n": i, "extra": "e", "rest": "o", "l": f"{99 - i}"}
        dynamodb.put_item(TableName=ranged, Item=wired(**attributes | ({"g": f"g{i % 2}"} if i % 3 == 0 else {})))
    return ranged


def test_indexes_hold_what_they_project(dynamodb, filled):
    def query(index, attribute, value, **more):
        answer = dynamodb.query(
            TableName=filled,
            IndexName=index,
            KeyConditionExpression=f"{attribute} = :v",
            ExpressionAttributeValues={":v": wire(value)},
            **more,
        )
        return [native(item) for item in answer["Items"]]

    assert query("global", "g", "g0") == [{"p": "p0", "n": n, "g": "g0"} for n in (0, 6, 12, 18, 24)]
    local = query("local", "p", "p1")
    assert [item["n"] for item in local] == list(range(28, 0, -3))
    assert set(local[0]) == {"p", "n", "l", "extra"}
    # A local index fetches what it lacks; a global one can't.
    assert set(query("local", "p", "p1", Select="ALL_ATTRIBUTES")[0]) == {"p", "n", "l", "extra", "rest"}
    assert query("local", "p", "p1", ProjectionExpression="rest")[0] == {"rest": "o"}
    condition = {"KeyConditionExpression": "g = :v", "ExpressionAttributeValues": {":v": wire("g0")}}
    refuse = lambda **more: refused(dynamodb.query, TableName=filled, **condition, **more)[1]
    assert refuse(IndexName="global", ProjectionExpression="rest") == (
        INVALID + "Global secondary index global does not project [rest]"
    )
    assert refuse(IndexName="global", ConsistentRead=True) == (
        "Consistent reads are not supported on global secondary indexes"
    )
    assert refuse(IndexName="none") == "The table does not have the specified index: none"


def test_indexes_follow_every_write(dynamodb, filled):
    def members():
        scanned = dynamodb.scan(TableName=filled, IndexName="everything")
        return {(item["p"], int(item["n"])): item["g"] for item in map(native, scanned["Items"])}

    before = members()
    assert len(before) == 10
    key = {"TableName": filled, "Key": wired(p="p0", n=0)}
    dynamodb.update_item(
        **key, UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": wire("moved")}
    )
    assert members() == before | {("p0", 0): "moved"}
    dynamodb.update_item(**key, UpdateExpression="REMOVE g")
    assert members() == {place: g for place, g in before.items() if place != ("p0", 0)}
    dynamodb.delete_item(TableName=filled, Key=wired(p="p0", n=3))
    assert len(members()) == 8
    wrong = {"UpdateExpression": "SET g = :g", "ExpressionAttributeValues": {":g": wire(1)}}
    assert refused(dynamodb.update_item, **key, **wrong)[1] == (
        INVALID + "Type mismatch for Index Key g Expected: S Actual: N IndexName: global"
    )


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_pages_add_up(dynamodb, filled, size):
    paginate = lambda operation, **more: [
        native(item)
        for page in dynamodb.get_paginator(operation).paginate(
            TableName=filled, PaginationConfig={"PageSize": size}, **more
        )
        for item in page["Items"]
    ]
    condition = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": wire("p2")}}
    numbers = list(range(2, 30, 3))
    assert [item["n"] for item in paginate("query", **condition)] == numbers
    assert [item["n"] for item in paginate("query", ScanIndexForward=False, **condition)] == numbers[::-1]
    assert [item["n"] for item in paginate("query", IndexName="local", **condition)] == numbers[::-1]
    assert sorted(item["n"] for item in paginate("scan")) == list(range(30))
    assert sorted(item["n"] for item in paginate("scan", IndexName="global")) == list(range(0, 30, 3))


def test_segments_share_a_scan(dynamodb, filled):
    for total in (1, 2, 3, 5, 1000):
        with ThreadPoolExecutor(8) as pool:
            scan = lambda segment: dynamodb.scan(TableName=filled, Segment=segment, TotalSegments=total)["Items"]
            items = [native(item)["n"] for part in pool.map(scan, range(total)) for item in part]
        assert sorted(items) == list(range(30)), total


def test_a_page_ends_at_one_megabyte(dynamodb, ranged):
    text = "x" * 100_000
    for n in range(25):
        dynamodb.put_item(TableName=ranged, Item=wired(p="a", n=n, text=text))
    condition = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": wire("a")}}
    first = dynamodb.query(TableName=ranged, **condition)
    assert (first["Count"], native(first["LastEvaluatedKey"])) == (11, {"p": "a", "n": 10})
    pages = dynamodb.get_paginator("query").paginate(TableName=ranged, Select="COUNT", **condition)
    assert [page["Count"] for page in pages] == [11, 11, 3]


def test_filters_count_what_they_drop(dynamodb, filled):
    answer = dynamodb.query(
        TableName=filled,
        KeyConditionExpression="p = :p",
        FilterExpression="g = :g OR l > :l",
        ExpressionAttributeValues={":p": wire("p0"), ":g": wire("g0"), ":l": wire("97")},
        Limit=4,
        ReturnConsumedCapacity="TOTAL",
    )
    assert (answer["Count"], answer["ScannedCount"]) == (2, 4)
    assert native(answer["LastEvaluatedKey"]) == {"p": "p0", "n": 9}
    assert answer["ConsumedCapacity"] == {"TableName": filled, "CapacityUnits": 0.5}
    refusal = refused(
        dynamodb.query,
        TableName=filled,
        KeyConditionExpression="p = :p",
        FilterExpression="n > :n",
        ExpressionAttributeValues={":p": wire("p0"), ":n": wire(1)},
    )
    words = "Filter Expression can only contain non-primary key attributes: Primary key attribute: n"
    assert refusal == ("ValidationException", words)


def test_conditions_of_the_resource_work(resource, filled):
    table = resource(filled)
    found = table.scan(FilterExpression=Attr("n").is_in([1, 2]) & Attr("g").not_exists() & Attr("l").contains("9"))
    assert sorted(item["n"] for item in found["Items"]) == [1, 2]
    found = table.scan(FilterExpression=Attr("extra").size().eq(1) & ~Attr("n").between(1, 99))
    assert [item["n"] for item in found["Items"]] == [0]
    projected = table.query(
        KeyConditionExpression=Key("p").eq("p0") & Key("n").eq(0),
        ProjectionExpression="#o, l",
        ExpressionAttributeNames={"#o": "rest"},
    )
    assert projected["Items"] == [{"rest": "o", "l": "99"}]


# Capacity


def test_capacity_is_counted_as_aws_counts_it(dynamodb, ranged):
    item = wired(p="a", n=1, l="l", g="g", text="x" * 2000)
    put = lambda item: dynamodb.put_item(TableName=ranged, Item=item, ReturnConsumedCapacity="INDEXES")
    units = lambda answer: answer["ConsumedCapacity"]
    assert units(put(item)) == {
        "TableName": ranged,
        "CapacityUnits": 6.0,
        "Table": {"CapacityUnits": 2.0},
        "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1.0}, "everything": {"CapacityUnits": 2.0}},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 1.0}},
    }
    # Nothing of the small indexes changes.
    assert units(put(item | wired(text="y" * 2000)))["CapacityUnits"] == 4.0
    read = dynamodb.get_item(
        TableName=ranged, Key=wired(p="a", n=1), ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
    )
    assert units(read) == {"TableName": ranged, "CapacityUnits": 1.0}
    metrics = dynamodb.put_item(TableName=ranged, Item=item, ReturnItemCollectionMetrics="SIZE")
    assert metrics["ItemCollectionMetrics"] == {"ItemCollectionKey": wired(p="a"), "SizeEstimateRangeGB": [0.0, 1.0]}


# Batches and transactions


def test_batches_write_and_read_many_tables(dynamodb, resource, table, ranged):
    with resource(ranged).batch_writer() as batch:
        for n in range(60):
            batch.put_item(Item={"p": "a", "n": n})
    dynamodb.batch_write_item(
        RequestItems={
            ranged: [{"DeleteRequest": {"Key": wired(p="a", n=n)}} for n in range(5)],
            table: [{"PutRequest": {"Item": wired(id=f"i{n}")}} for n in range(5)],
        }
    )
    answer = dynamodb.batch_get_item(
        RequestItems={
            ranged: {"Keys": [wired(p="a", n=n) for n in range(10)], "ProjectionExpression": "n"},
            table: {"Keys": [wired(id="i1"), wired(id="none")], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert sorted(native(item)["n"] for item in answer["Responses"][ranged]) == [5, 6, 7, 8, 9]
    assert answer["Responses"][table] == [wired(id="i1")]
    assert answer["UnprocessedKeys"] == {}
    assert {c["TableName"]: c["CapacityUnits"] for c in answer["ConsumedCapacity"]} == {ranged: 5.0, table: 2.0}


def test_batches_have_their_limits(dynamodb, table):
    put = lambda name: {"PutRequest": {"Item": wired(id=name)}}
    code, _ = refused(dynamodb.batch_write_item, RequestItems={table: [put(f"{i}") for i in range(26)]})
    assert code == "ValidationException"
    assert refused(dynamodb.batch_write_item, RequestItems={table: [put("a"), put("a")]})[1] == (
        "Provided list of item keys contains duplicates"
    )
    wrong = {"PutRequest": {"Item": wired(other=1)}}
    assert refused(dynamodb.batch_write_item, RequestItems={table: [put("b"), wrong]})[1] == (
        "The provided key element does not match the schema"
    )
    keys = [wired(id="a")] * 2
    assert refused(dynamodb.batch_get_item, RequestItems={table: {"Keys": keys}})[1] == (
        "Provided list of item keys contains duplicates"
    )
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_a_transaction_is_all_or_nothing(dynamodb, table, ranged):
    put = {"Put": {"TableName": table, "Item": wired(id="a")}}
    fails = {
        "ConditionCheck": {
            "TableName": ranged,
            "Key": wired(p="a", n=1),
            "ConditionExpression": "attribute_exists(p)",
        }
    }
    with pytest.raises(ClientError) as refusal:
        dynamodb.transact_write_items(TransactItems=[put, fails])
    response = refusal.value.response
    assert response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    )
    assert [reason["Code"] for reason in response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert dynamodb.scan(TableName=table)["Count"] == 0
    dynamodb.transact_write_items(
        TransactItems=[
            put,
            {
                "Update": {
                    "TableName": ranged,
                    "Key": wired(p="a", n=1),
                    "UpdateExpression": "ADD v :v",
                    "ExpressionAttributeValues": {":v": wire(1)},
                }
            },
        ]
    )
    got = dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": ranged, "Key": wired(p="a", n=1)}},
            {"Get": {"TableName": table, "Key": wired(id="none")}},
        ]
    )["Responses"]
    assert [native(answer.get("Item")) for answer in got] == [{"p": "a", "n": 1, "v": 1}, None]


def test_a_token_does_a_transaction_once(dynamodb, table):
    add = lambda by: {
        "ClientRequestToken": f"once-{table}"[:36],
        "TransactItems": [
            {
                "Update": {
                    "TableName": table,
                    "Key": wired(id="a"),
                    "UpdateExpression": "ADD v :v",
                    "ExpressionAttributeValues": {":v": wire(by)},
                }
            }
        ],
    }
    dynamodb.transact_write_items(**add(1))
    dynamodb.transact_write_items(**add(1))
    assert native(dynamodb.get_item(TableName=table, Key=wired(id="a"))["Item"])["v"] == 1
    assert refused(dynamodb.transact_write_items, **add(2))[0] == "IdempotentParameterMismatchException"


# Restarts


def test_every_answer_is_the_same_after_a_restart(durable):
    client = durable.dynamodb
    client.create_table(
        TableName="kept",
        AttributeDefinitions=definitions(p="S", n="N", g="S"),
        KeySchema=schema("p", "n"),
        GlobalSecondaryIndexes=[index("gsi", schema("g"), "KEYS_ONLY")],
        BillingMode="PAY_PER_REQUEST",
    )
    for i in range(50):
        item = EVERYTHING | {"p": f"p{i % 5}", "n": i, "g": f"g{i % 4}", "map": {"i": i}}
        client.put_item(TableName="kept", Item=wired(**item))
    for i in range(0, 50, 7):
        client.delete_item(TableName="kept", Key=wired(p=f"p{i % 5}", n=i))
    client.update_item(
        TableName="kept",
        Key=wired(p="p1", n=1),
        UpdateExpression="SET g = :g REMOVE #t",
        ExpressionAttributeNames={"#t": "text"},
        ExpressionAttributeValues={":g": wire("moved")},
    )
    client.create_table(
        TableName="gone",
        AttributeDefinitions=definitions(p="S"),
        KeySchema=schema("p"),
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="gone", Item=wired(p="x"))
    client.delete_table(TableName="gone")

    def answers():
        return [
            client.list_tables()["TableNames"],
            client.describe_table(TableName="kept")["Table"],
            client.scan(TableName="kept")["Items"],
            client.scan(TableName="kept", IndexName="gsi")["Items"],
            client.query(
                TableName="kept",
                KeyConditionExpression="p = :p",
                ExpressionAttributeValues={":p": wire("p1")},
                ScanIndexForward=False,
            )["Items"],
        ]

    names, *_ = restarted(durable, answers)
    assert names == ["kept"]
