"""Items that expire, and indexes that are filled, while the server is killed and writers go on."""

import time

from cumulog import plain, restarted, wait_for

TABLE = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def write(dynamodb, table, items):
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={table: requests})


def expiring(id, seconds):
    return {"id": {"S": str(id)}, "at": {"N": str(int(time.time() + seconds))}}


def turn_on(dynamodb, table):
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "at"})


def ids(dynamodb, table):
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    return sorted(item["id"]["S"] for page in pages for item in page["Items"])


def test_items_go_within_a_second_of_their_time(dynamodb, table):
    write(dynamodb, table, [expiring("before", -60), expiring("later", 3600)])
    turn_on(dynamodb, table)
    write(dynamodb, table, [expiring("past", -1), expiring("soon", 2), {"id": {"S": "never"}}])
    wait_for(lambda: ids(dynamodb, table) == ["later", "never", "soon"], 1)
    wait_for(lambda: ids(dynamodb, table) == ["later", "never"], 3)


def test_items_that_came_due_while_the_server_was_down_go_when_it_is_back(durable):
    dynamodb = durable.dynamodb
    dynamodb.create_table(TableName="table", **TABLE)
    turn_on(dynamodb, "table")
    write(dynamodb, "table", [expiring(n, 2) for n in range(300)] + [expiring("later", 3600)])
    durable.kill9()
    time.sleep(2.5)
    durable.start()
    wait_for(lambda: ids(dynamodb, "table") == ["later"], 2)
    described = restarted(durable, lambda: [dynamodb.describe_time_to_live(TableName="table"), ids(dynamodb, "table")])
    assert described[0]["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "at"}


def test_a_large_index_is_filled_across_restarts(durable):
    dynamodb = durable.dynamodb
    dynamodb.create_table(TableName="table", **TABLE)
    items = [{"id": {"S": f"{n:05}"}, "g": {"S": str(n % 7)}, "x": {"S": "x" * 2000}} for n in range(6000)]
    write(dynamodb, "table", items)
    dynamodb.update_table(
        TableName="table",
        AttributeDefinitions=TABLE["AttributeDefinitions"] + [{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-g",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    durable.restart(unclean=True)

    def index():
        return dynamodb.describe_table(TableName="table")["Table"]["GlobalSecondaryIndexes"][0]

    wait_for(lambda: index()["IndexStatus"] == "ACTIVE")
    assert index()["ItemCount"] == 6000
    query = {"TableName": "table", "IndexName": "by-g", "KeyConditionExpression": "g = :g"}
    found = dynamodb.query(**query, ExpressionAttributeValues={":g": {"S": "3"}})
    assert sorted(item["id"]["S"] for item in found["Items"]) == [f"{n:05}" for n in range(3, 6000, 7)]
    restarted(durable, lambda: plain([index(), found]))
