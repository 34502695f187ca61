"""DynamoDB Streams, as its consumers use it: DescribeStream, an iterator for each shard, GetRecords until a shard ends."""

import random
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cumulog import error_code, restarted

IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.fixture
def make(dynamodb, unique):
    """`make(view)` makes a table with the key `id` and a stream; gives its name and the stream's ARN."""

    def make(view="NEW_AND_OLD_IMAGES", client=dynamodb):
        name = unique("table")
        table = client.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )["TableDescription"]
        return name, table["LatestStreamArn"]

    return make


def put(dynamodb, table, id, **attributes):
    item = {"id": {"S": id}} | {name: {"N": str(value)} for name, value in attributes.items()}
    dynamodb.put_item(TableName=table, Item=item)


def iterators(streams, arn, kind="TRIM_HORIZON"):
    """An iterator for each shard, found page by page."""
    found, start = [], {}
    while True:
        page = streams.describe_stream(StreamArn=arn, Limit=1, **start)["StreamDescription"]
        for shard in page["Shards"]:
            where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
            found.append(streams.get_shard_iterator(**where)["ShardIterator"])
        if "LastEvaluatedShardId" not in page:
            return found
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}


def drain(streams, iterator, **options):
    """The records from an iterator on, and where to go on; `None`: the shard is closed."""
    records = []
    while iterator:
        page = streams.get_records(ShardIterator=iterator, **options)
        records += page["Records"]
        iterator = page.get("NextShardIterator")
        if not page["Records"]:
            break
    return records, iterator


def read(streams, arn):
    return [record for iterator in iterators(streams, arn) for record in drain(streams, iterator)[0]]


def told(records):
    return [(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"]) for record in records]


def test_every_kind_of_write_is_recorded(dynamodb, dynamodbstreams, make):
    table, arn = make()
    key = {"id": {"S": "a"}}
    put(dynamodb, table, "a", n=1)
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    dynamodb.delete_item(TableName=table, Key=key)
    requests = [{"PutRequest": {"Item": {"id": {"S": id}}}} for id in "bc"]
    dynamodb.batch_write_item(RequestItems={table: requests})
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": table, "Item": {"id": {"S": "d"}}}},
            {"Delete": {"TableName": table, "Key": {"id": {"S": "b"}}}},
            {"Delete": {"TableName": table, "Key": {"id": {"S": "missing"}}}},
        ]
    )
    failing = [
        {"Put": {"TableName": table, "Item": {"id": {"S": "e"}}}},
        {
            "ConditionCheck": {
                "TableName": table,
                "Key": key,
                "ConditionExpression": "attribute_exists(id)",
            }
        },
    ]
    assert error_code(dynamodb.transact_write_items, TransactItems=failing) == "TransactionCanceledException"
    records = read(dynamodbstreams, arn)
    assert told(records) == [
        ("INSERT", "a"),
        ("MODIFY", "a"),
        ("REMOVE", "a"),
        ("INSERT", "b"),
        ("INSERT", "c"),
        ("INSERT", "d"),
        ("REMOVE", "b"),
    ]
    change = records[1]["dynamodb"]
    assert change["OldImage"] == {"id": {"S": "a"}, "n": {"N": "1"}}
    assert change["NewImage"] == {"id": {"S": "a"}, "n": {"N": "2"}}
    assert "NewImage" not in records[2]["dynamodb"]
    for record in records:
        assert record["eventSource"] == "aws:dynamodb"
        assert record["eventVersion"] == "1.1"
        assert record["awsRegion"] == "us-east-1"
        assert "userIdentity" not in record
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert all(len(number) >= 21 and number.isdecimal() for number in numbers)
    assert [int(number) for number in numbers] == sorted({int(number) for number in numbers})
    assert len({record["eventID"] for record in records}) == len(records)


def test_a_consumer_follows_writers(dynamodb, dynamodbstreams, make):
    """No record is lost or comes twice, while eight writers go on."""
    table, arn = make("KEYS_ONLY")
    [iterator] = iterators(dynamodbstreams, arn, "LATEST")
    writers = [
        threading.Thread(target=lambda w=w: [put(dynamodb, table, f"{w}-{n}") for n in range(50)]) for w in range(8)
    ]
    for writer in writers:
        writer.start()
    seen = []
    while len(seen) < 400:
        page = dynamodbstreams.get_records(ShardIterator=iterator, Limit=17)
        seen += [record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]]
        iterator = page["NextShardIterator"]
    for writer in writers:
        writer.join()
    assert drain(dynamodbstreams, iterator)[0] == []
    assert len(set(seen)) == len(seen) == 400
    for w in range(8):
        assert [id for id in seen if id.startswith(f"{w}-")] == [f"{w}-{n}" for n in range(50)]


def test_a_closed_shard_ends_and_a_new_stream_begins(dynamodb, dynamodbstreams, make):
    table, arn = make()
    put(dynamodb, table, "a")
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    put(dynamodb, table, "unseen")
    description = dynamodbstreams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert description["StreamStatus"] == "DISABLED"
    [iterator] = iterators(dynamodbstreams, arn)
    assert [told(records) for records in [drain(dynamodbstreams, iterator)[0]]] == [[("INSERT", "a")]]
    assert drain(dynamodbstreams, iterator)[1] is None
    again = dynamodb.update_table(TableName=table, StreamSpecification=IMAGES)["TableDescription"]
    assert again["LatestStreamArn"] != arn
    put(dynamodb, table, "b")
    assert told(read(dynamodbstreams, again["LatestStreamArn"])) == [("INSERT", "b")]
    assert told(read(dynamodbstreams, arn)) == [("INSERT", "a")]
    listed = dynamodbstreams.list_streams(TableName=table)["Streams"]
    assert [stream["StreamArn"] for stream in listed] == [arn, again["LatestStreamArn"]]
    dynamodb.delete_table(TableName=table)
    assert told(read(dynamodbstreams, arn)) == [("INSERT", "a")]


def test_streams_and_iterators_survive_a_restart(durable, make):
    dynamodb, streams = durable.dynamodb, durable.dynamodbstreams
    table, arn = make(client=dynamodb)
    put(dynamodb, table, "a", n=1)
    [iterator] = iterators(streams, arn)
    first = streams.get_records(ShardIterator=iterator)
    put(dynamodb, table, "b", n=2)

    def look():
        page = streams.get_records(ShardIterator=first["NextShardIterator"])
        return [
            page["Records"],
            streams.get_records(ShardIterator=iterator)["Records"],
            streams.describe_stream(StreamArn=arn),
            streams.list_streams(),
            read(streams, arn),
        ]

    page, whole, *_ = restarted(durable, look)
    assert told(page) == [("INSERT", "b")]
    assert told(whole) == [("INSERT", "a"), ("INSERT", "b")]
    put(dynamodb, table, "c")
    assert told(read(streams, arn)) == [("INSERT", "a"), ("INSERT", "b"), ("INSERT", "c")]
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    dynamodb.delete_table(TableName=table)
    restarted(durable, look)


def test_a_stream_tells_exactly_what_a_table_holds_after_kill9(durable, make):
    """Record and change are one transaction: applied in their order, the records give the table, wherever it was cut."""
    dynamodb, streams = durable.dynamodb, durable.dynamodbstreams
    table, arn = make(client=dynamodb)

    def write(writer):
        choice = random.Random(writer)
        try:
            for n in range(100_000):
                key = {"id": {"S": str(choice.randrange(30))}}
                if choice.random() < 0.3:
                    dynamodb.delete_item(TableName=table, Key=key)
                else:
                    dynamodb.put_item(TableName=table, Item=key | {"n": {"N": str(choice.randrange(3))}})
        except (BotoCoreError, ClientError):
            pass  # It was killed.

    for wait in (0.3, 0.7):
        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(wait)
        durable.kill9()
        for writer in writers:
            writer.join()
        durable.start()
        state = {}
        records = read(streams, arn)
        for record in records:
            change = record["dynamodb"]
            id = change["Keys"]["id"]["S"]
            assert state.pop(id, None) == change.get("OldImage")
            if "NewImage" in change:
                state[id] = change["NewImage"]
        items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        assert state == {item["id"]["S"]: item for item in items}
        assert len(records) > 20


def test_what_is_not_there_is_refused(dynamodb, dynamodbstreams, make):
    table, arn = make()
    streams = dynamodbstreams
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    missing = arn[:-3] + "000" if not arn.endswith("000") else arn[:-3] + "001"
    assert error_code(streams.describe_stream, StreamArn=missing) == "ResourceNotFoundException"
    where = {"StreamArn": arn, "ShardIteratorType": "LATEST"}
    assert error_code(streams.get_shard_iterator, ShardId=shard + "0", **where) == "ResourceNotFoundException"
    assert error_code(streams.get_records, ShardIterator="nonsense") == "ValidationException"
    assert error_code(streams.list_streams, Limit=101) == "ValidationException"
    with pytest.raises(streams.exceptions.ResourceNotFoundException) as refused:
        streams.describe_stream(StreamArn=missing)
    assert refused.value.response["Error"]["Message"] == f"Requested resource not found: Stream: {missing} not found"
