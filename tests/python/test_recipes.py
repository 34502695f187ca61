"""The three recipes that the product is for, each on a real process that is killed and started again."""

import time

from cumulog import plain, restarted


def test_an_s3_object_survives_a_restart(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="reports")
    put = s3.put_object(
        Bucket="reports",
        Key="2026/11/summary.txt",
        Body=b"all is well\n",
        ContentType="text/plain",
        Metadata={"author": "ann"},
    )

    def read():
        head = plain(s3.head_object(Bucket="reports", Key="2026/11/summary.txt"))
        get = plain(s3.get_object(Bucket="reports", Key="2026/11/summary.txt"))
        return [head, get, s3.list_objects_v2(Bucket="reports"), s3.list_buckets()["Buckets"]]

    _, get, _, _ = restarted(durable, read)
    assert get["Body"] == b"all is well\n"
    assert get["ETag"] == put["ETag"]
    assert get["ContentType"] == "text/plain"
    assert get["Metadata"] == {"author": "ann"}


def test_a_dynamodb_item_survives_an_unclean_shutdown(durable):
    dynamodb = durable.dynamodb
    dynamodb.create_table(
        TableName="orders",
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {
        "customer": {"S": "ann"},
        "number": {"N": "1"},
        "total": {"N": "3.14159265358979323846264338327950288419"[:39]},
        "lines": {"L": [{"M": {"sku": {"S": "ü-1"}, "count": {"N": "2"}}}, {"NULL": True}]},
        "photo": {"B": bytes(range(256))},
        "tags": {"SS": ["a", "b"]},
        "paid": {"BOOL": False},
    }
    key = {"customer": item["customer"], "number": item["number"]}
    dynamodb.put_item(TableName="orders", Item=item)
    dynamodb.update_item(
        TableName="orders",
        Key=key,
        UpdateExpression="SET paid = :yes ADD attempts :one",
        ExpressionAttributeValues={":yes": {"BOOL": True}, ":one": {"N": "1"}},
    )
    durable.kill9()
    durable.start()

    def read():
        get = dynamodb.get_item(TableName="orders", Key=key, ConsistentRead=True)["Item"]
        query = dynamodb.query(
            TableName="orders",
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": {"S": "ann"}},
        )["Items"]
        return [get, query, dynamodb.describe_table(TableName="orders")["Table"]]

    get, query, table = restarted(durable, read)
    assert get == item | {"paid": {"BOOL": True}, "attempts": {"N": "1"}}
    assert query == [get]
    assert table["TableStatus"] == "ACTIVE"


def test_half_processed_queue_work_resumes(durable):
    """Nothing is lost, nothing that was deleted comes back, and what was taken stays taken until its
    deadline: the workers that took it can still finish it.
    """
    sqs = durable.sqs
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "6"})["QueueUrl"]
    jobs = {f"job {number}" for number in range(12)}
    for job in sorted(jobs):
        sqs.send_message(QueueUrl=url, MessageBody=job)

    def receive(**parameters):
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **parameters)
        return {message["Body"]: message["ReceiptHandle"] for message in answer.get("Messages", [])}

    def take(count, **parameters):
        taken = {}
        while len(taken) < count:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count - len(taken), **parameters)
            messages = answer.get("Messages", [])
            assert messages, f"{len(taken)} of {count} messages"
            taken |= {message["Body"]: message["ReceiptHandle"] for message in messages}
        return taken

    done = take(4)
    for handle in done.values():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    slow = take(3, VisibilityTimeout=600)
    taken_at = time.monotonic()
    abandoned = take(3)
    assert not (done.keys() & slow.keys() or slow.keys() & abandoned.keys())

    time.sleep(3)
    durable.kill9()
    durable.start()
    restarted_at = time.monotonic()

    # Only what nobody had taken is to be had.
    fresh = receive(VisibilityTimeout=600)
    if time.monotonic() - taken_at < 5:
        assert fresh.keys() == jobs - done.keys() - slow.keys() - abandoned.keys()
    # The slow worker finishes with the handles it had before the kill.
    for handle in slow.values():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    for handle in fresh.values():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    # What the dead worker had taken comes back when its time is up, counted from before the kill.
    again = {}
    deadline = time.monotonic() + 20
    while len(again) < len(abandoned.keys() - fresh.keys()) and time.monotonic() < deadline:
        again |= receive(WaitTimeSeconds=5, VisibilityTimeout=600)
    waited = time.monotonic() - restarted_at
    assert again.keys() == abandoned.keys() - fresh.keys()
    assert waited < 6, "the deadlines began anew at the restart"
    for handle in again.values():
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    durable.restart(unclean=True)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert done.keys() | slow.keys() | fresh.keys() | again.keys() == jobs
