"""SQS as boto3 sees it: by JSON, and by the query protocol that older SDKs speak."""

import hashlib
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

import pytest
from botocore.exceptions import ClientError

from cumulog import ACCOUNT, plain, restarted

MESSAGE_BYTES_MAX = 1_048_576


def bodies(answer):
    return [message["Body"] for message in answer.get("Messages", [])]


def handles(answer):
    return [message["ReceiptHandle"] for message in answer.get("Messages", [])]


def refused(call, **arguments):
    """The code and words with which `call` is refused."""
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def count(sqs, queue):
    names = ["", "NotVisible", "Delayed"]
    names = [f"ApproximateNumberOfMessages{name}" for name in names]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return [int(attributes[name]) for name in names]


@pytest.fixture
def fifo(sqs, unique):
    """A new FIFO queue's URL."""
    return sqs.create_queue(QueueName=unique("q") + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]


# Queues.


def test_a_queue_is_made_once(sqs, unique):
    name = unique()
    attributes = {"VisibilityTimeout": "20", "DelaySeconds": "5"}
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    assert url.endswith(f"/{ACCOUNT}/{name}")
    assert sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"] == url
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    assert refused(sqs.create_queue, QueueName=name, Attributes={"DelaySeconds": "6"}) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute DelaySeconds",
    )
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    sqs.delete_queue(QueueUrl=url)
    missing = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
    assert refused(sqs.get_queue_url, QueueName=name) == missing
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == missing


def test_modelled_errors_have_their_class(sqs, queue):
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="missing")
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle="garbage")
    with pytest.raises(sqs.exceptions.EmptyBatchRequest):
        sqs.send_message_batch(QueueUrl=queue, Entries=[])


def test_attributes_have_the_defaults_of_aws(sqs, queue):
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    name = queue.rsplit("/", 1)[1]
    assert abs(int(attributes.pop("CreatedTimestamp")) - time.time()) < 10
    assert abs(int(attributes.pop("LastModifiedTimestamp")) - time.time()) < 10
    assert attributes == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }


def test_attributes_are_set_and_removed(sqs, queue):
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "69", "Policy": policy})

    def get():
        names = ["VisibilityTimeout", "Policy"]
        return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]

    assert get() == {"VisibilityTimeout": "69", "Policy": policy}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    assert get() == {"VisibilityTimeout": "69"}
    assert refused(sqs.set_queue_attributes, QueueUrl=queue, Attributes={"FifoQueue": "true"}) == (
        "InvalidAttributeName",
        "Unknown Attribute FifoQueue.",
    )


def test_queues_are_listed_in_pages(sqs, unique):
    prefix = unique()
    urls = [sqs.create_queue(QueueName=f"{prefix}-{number}")["QueueUrl"] for number in range(5)]
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == urls
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=prefix + "-x")
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2})
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]


def test_tags(sqs, unique):
    url = sqs.create_queue(QueueName=unique(), tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2", "c": ""})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "1", "b": "2", "c": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "b", "c"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)


def test_regions_and_accounts_are_separate(server, unique):
    name = unique()
    clients = [
        server.client("sqs"),
        server.client("sqs", region="eu-west-1"),
        server.client("sqs", access_key="111122223333"),
    ]
    urls = [client.create_queue(QueueName=name)["QueueUrl"] for client in clients]
    assert urls[2].endswith(f"/111122223333/{name}")
    for client, url in zip(clients, urls):
        client.send_message(QueueUrl=url, MessageBody=str(client.meta.region_name))
        assert client.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url]
        assert count(client, url) == [1, 0, 0]


@pytest.mark.parametrize(
    "form",
    [
        "http://anything.example/{account}/{name}",
        "https://sqs.us-east-1.amazonaws.com/{account}/{name}",
        "https://queue.amazonaws.com/{account}/{name}",
        "http://sqs.us-east-1.localhost.localstack.cloud:4566/{account}/{name}",
        "http://us-east-1.queue.localhost.localstack.cloud:4566/{account}/{name}",
        "http://localhost:4566/queue/us-east-1/{account}/{name}",
    ],
)
def test_a_queue_is_found_by_every_form_of_url(sqs, queue, form):
    url = form.format(account=ACCOUNT, name=queue.rsplit("/", 1)[1])
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["x"]


# Messages.


def test_a_message_is_sent_received_and_deleted(sqs, queue):
    attributes = {
        "text": {"DataType": "String.custom", "StringValue": "grüße"},
        "number": {"DataType": "Number", "StringValue": "1.50"},
        "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
    }
    trace = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
    # boto3 itself checks the digests of bodies and attributes.
    sent = sqs.send_message(
        QueueUrl=queue,
        MessageBody="hello & <goodbye>\n\t\U0001f600",
        MessageAttributes=attributes,
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    received = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])
    (message,) = received["Messages"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "hello & <goodbye>\n\t\U0001f600"
    assert message["MessageAttributes"] == attributes
    system = message["Attributes"]
    assert abs(int(system.pop("SentTimestamp")) - time.time() * 1000) < 10_000
    assert abs(int(system.pop("ApproximateFirstReceiveTimestamp")) - time.time() * 1000) < 10_000
    assert system == {"AWSTraceHeader": trace, "ApproximateReceiveCount": "1", "SenderId": ACCOUNT}
    assert count(sqs, queue) == [0, 1, 0]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert count(sqs, queue) == [0, 0, 0]


@pytest.mark.parametrize(
    "names, expected",
    [
        ([], []),
        (["All"], ["General", "Hello", "Help.Me"]),
        ([".*"], ["General", "Hello", "Help.Me"]),
        (["Hel.*"], ["Hello", "Help.Me"]),
        (["Hello", "missing"], ["Hello"]),
    ],
)
def test_message_attributes_are_filtered(sqs, queue, names, expected):
    attributes = {name: {"DataType": "String", "StringValue": "x"} for name in ["Hello", "General", "Help.Me"]}
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=names)["Messages"]
    assert sorted(message.get("MessageAttributes", {})) == expected
    assert ("MD5OfMessageAttributes" in message) == bool(expected)


def test_what_a_message_may_not_be(sqs, queue):
    def check(code, words, **message):
        assert refused(sqs.send_message, QueueUrl=queue, **message) == (code, words)

    check("MissingParameter", "The request must contain the parameter MessageBody.", MessageBody="")
    check(
        "InvalidMessageContents",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | "
        "#x10000 to #x10FFFF",
        MessageBody="a\u0001",
    )
    check(
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        MessageBody="a" * (MESSAGE_BYTES_MAX + 1),
    )
    check(
        "InvalidParameterValue",
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        MessageBody="x",
        DelaySeconds=901,
    )
    sqs.send_message(QueueUrl=queue, MessageBody="a" * MESSAGE_BYTES_MAX)
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["MD5OfBody"] == hashlib.md5(b"a" * MESSAGE_BYTES_MAX).hexdigest()


def test_what_a_receive_may_not_ask(sqs, queue):
    def check(words, **arguments):
        refusal = refused(sqs.receive_message, QueueUrl=queue, **arguments)
        assert refusal == ("InvalidParameterValue", words)

    for value in (0, 11):
        reason = "Must be between 1 and 10, if provided."
        check(
            f"Value {value} for parameter MaxNumberOfMessages is invalid. Reason: {reason}", MaxNumberOfMessages=value
        )
    for value in (-1, 21):
        reason = "Must be >= 0 and <= 20, if provided."
        check(f"Value {value} for parameter WaitTimeSeconds is invalid. Reason: {reason}", WaitTimeSeconds=value)


def test_a_delayed_message_comes_later(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="late", DelaySeconds=1)
    assert bodies(sqs.receive_message(QueueUrl=queue)) == []
    assert count(sqs, queue) == [0, 0, 1]
    started = time.monotonic()
    assert bodies(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)) == ["late"]
    assert 0.5 < time.monotonic() - started < 5


def test_visibility_can_be_changed(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (handle,) = handles(sqs.receive_message(QueueUrl=queue, VisibilityTimeout=600))
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
    received = sqs.receive_message(QueueUrl=queue, AttributeNames=["ApproximateReceiveCount"])
    assert received["Messages"][0]["Attributes"] == {"ApproximateReceiveCount": "2"}
    code, words = refused(sqs.change_message_visibility, QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=1)
    assert code == "InvalidParameterValue"
    assert words.endswith("Reason: Message does not exist or is not available for visibility timeout change.")


def test_a_long_poll_wakes_on_arrival(server, sqs, queue):
    got = []

    def poll():
        answer = server.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20)
        got.extend((body, time.monotonic()) for body in bodies(answer))

    waiting = [threading.Thread(target=poll) for _ in range(5)]
    for thread in waiting:
        thread.start()
    time.sleep(1)
    sent = time.monotonic()
    for number in range(5):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    for thread in waiting:
        thread.join()
    assert sorted(body for body, _ in got) == ["0", "1", "2", "3", "4"]
    assert max(at for _, at in got) - sent < 2


def test_a_client_that_hangs_up_swallows_no_message(server, sqs, queue):
    gone = server.client("sqs", read_timeout=1)
    with pytest.raises(Exception, match="[Tt]ime"):
        gone.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
    time.sleep(0.2)
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    assert bodies(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)) == ["x"]


# Batches.


def test_a_batch_succeeds_and_fails_by_entry(sqs, queue):
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(9)]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=[*entries, {"Id": "bad", "MessageBody": "\u0001"}])
    assert [entry["Id"] for entry in answer["Successful"]] == [entry["Id"] for entry in entries]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)

    received = handles(sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10))
    assert len(received) == 9
    entries = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(received)]
    changes = [{**entry, "VisibilityTimeout": 60} for entry in entries]
    answer = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=changes)
    assert len(answer["Successful"]) == 9
    assert "Failed" not in answer
    answer = sqs.delete_message_batch(QueueUrl=queue, Entries=[*entries, {"Id": "bad", "ReceiptHandle": "x"}])
    assert len(answer["Successful"]) == 9
    (failed,) = answer["Failed"]
    assert (failed["Code"], failed["Message"]) == (
        "ReceiptHandleIsInvalid",
        'The input receipt handle "x" is not a valid receipt handle.',
    )
    assert count(sqs, queue) == [0, 0, 0]


def test_what_a_batch_may_not_be(sqs, queue):
    def check(code, words, entries):
        refusal = refused(sqs.send_message_batch, QueueUrl=queue, Entries=entries)
        assert refusal == (f"AWS.SimpleQueueService.{code}", words)

    def entry(id, body="x"):
        return {"Id": id, "MessageBody": body}

    check("EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request.", [])
    check(
        "TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 20.",
        [entry(str(number)) for number in range(20)],
    )
    check("BatchEntryIdsNotDistinct", "Id a repeated.", [entry("a"), entry("b"), entry("a")])
    invalid = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 "
        "letters long."
    )
    check("InvalidBatchEntryId", invalid, [entry("a b")])
    check(
        "BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        [entry("a", "x" * MESSAGE_BYTES_MAX), entry("b")],
    )


# FIFO.


def test_fifo_queues_keep_order_and_block_groups(sqs, fifo):
    numbers = []
    for group in "ab":
        for number in range(3):
            sent = sqs.send_message(
                QueueUrl=fifo,
                MessageBody=f"{group}{number}",
                MessageGroupId=group,
                MessageDeduplicationId=f"{group}{number}",
            )
            numbers.append(int(sent["SequenceNumber"]))
    assert numbers == sorted(numbers)
    first = sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=2, AttributeNames=["All"])
    assert bodies(first) == ["a0", "a1"]
    attributes = first["Messages"][0]["Attributes"]
    assert attributes["MessageGroupId"] == "a"
    assert attributes["MessageDeduplicationId"] == "a0"
    assert int(attributes["SequenceNumber"]) == numbers[0]
    assert bodies(sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10)) == ["b0", "b1", "b2"]
    assert bodies(sqs.receive_message(QueueUrl=fifo)) == []
    for handle in handles(first):
        sqs.delete_message(QueueUrl=fifo, ReceiptHandle=handle)
    assert bodies(sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10)) == ["a2"]


def test_what_a_fifo_queue_demands(sqs, fifo):
    def check(code, words, **message):
        assert refused(sqs.send_message, QueueUrl=fifo, MessageBody="x", **message) == (code, words)

    check("MissingParameter", "The request must contain the parameter MessageGroupId.")
    check(
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        MessageGroupId="a",
    )
    check(
        "InvalidParameterValue",
        "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for "
        "this queue type.",
        MessageGroupId="a",
        MessageDeduplicationId="a",
        DelaySeconds=2,
    )
    check(
        "InvalidParameterValue",
        "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and "
        "punctuation characters. 1 to 128 in length.",
        MessageGroupId="a b",
        MessageDeduplicationId="a",
    )


def test_standard_queues_take_message_groups(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="tenant")
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId="tenant")
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"])
    assert [message["Attributes"] for message in received["Messages"]] == [{"MessageGroupId": "tenant"}] * 2


# Dead letters.


def test_messages_received_too_often_become_dead_letters(sqs, queue, unique):
    source = sqs.create_queue(QueueName=unique("source"))["QueueUrl"]
    names = ["QueueArn"]
    arn, source_arn = (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]["QueueArn"]
        for url in (queue, source)
    )
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": "1"}
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": json.dumps(policy)})
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison")
    assert bodies(sqs.receive_message(QueueUrl=source, VisibilityTimeout=0)) == ["poison"]
    assert bodies(sqs.receive_message(QueueUrl=source)) == []
    (letter,) = sqs.receive_message(QueueUrl=queue, AttributeNames=["All"])["Messages"]
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == source_arn
    assert letter["Attributes"]["ApproximateReceiveCount"] == "2"


# Durability.


def test_everything_survives_a_restart(durable):
    sqs = durable.sqs
    jobs = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "600"}, tags={"a": "b"})["QueueUrl"]
    fifo = sqs.create_queue(QueueName="jobs.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for number in range(4):
        sqs.send_message(QueueUrl=jobs, MessageBody=str(number), DelaySeconds=600 if number == 3 else 0)
    (held,) = handles(sqs.receive_message(QueueUrl=jobs))
    (dropped,) = handles(sqs.receive_message(QueueUrl=jobs))
    sqs.delete_message(QueueUrl=jobs, ReceiptHandle=dropped)

    def send():
        return sqs.send_message(QueueUrl=fifo, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")[
            "MessageId"
        ]

    sent = send()

    def read():
        return [
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in (jobs, fifo)
        ] + [sqs.list_queues()["QueueUrls"], sqs.list_queue_tags(QueueUrl=jobs)["Tags"], plain(send())]

    restarted(durable, read)
    assert send() == sent
    assert count(sqs, fifo) == [1, 0, 0]
    assert count(sqs, jobs) == [1, 1, 1]
    sqs.change_message_visibility(QueueUrl=jobs, ReceiptHandle=held, VisibilityTimeout=0)
    assert bodies(sqs.receive_message(QueueUrl=jobs, MaxNumberOfMessages=10)) == ["2", "0"]


# The query protocol.

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def query(url, action, **parameters):
    """The status and the parsed answer."""
    form = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **parameters})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=form.encode())) as answer:
            return answer.status, xml.fromstring(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, xml.fromstring(error.read())


def texts(tree, name):
    return [element.text for element in tree.iter(NAMESPACE + name)]


def test_the_query_protocol_names_the_queue_by_path(queue):
    status, sent = query(
        queue,
        "SendMessage",
        MessageBody="a & b",
        **{
            "MessageAttribute.1.Name": "color",
            "MessageAttribute.1.Value.DataType": "String",
            "MessageAttribute.1.Value.StringValue": "red",
        },
    )
    assert status == 200
    assert texts(sent, "MD5OfMessageBody") == [hashlib.md5(b"a & b").hexdigest()]
    _, received = query(queue, "ReceiveMessage", **{"AttributeName.1": "All", "MessageAttributeName.1": "All"})
    assert texts(received, "Body") == ["a & b"]
    assert texts(received, "StringValue") == ["red"]
    (handle,) = texts(received, "ReceiptHandle")
    status, deleted = query(queue, "DeleteMessage", ReceiptHandle=handle)
    assert (status, deleted.tag) == (200, NAMESPACE + "DeleteMessageResponse")


@pytest.mark.parametrize(
    "action, parameters, status, code, words",
    [
        (
            "GetQueueUrl",
            {"QueueName": "missing"},
            400,
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist for this wsdl version.",
        ),
        ("SendMessage", {}, 400, "MissingParameter", "The request must contain the parameter MessageBody."),
        ("DeleteMessage", {}, 400, "MissingParameter", "The request must contain the parameter ReceiptHandle."),
        (
            "DeleteMessage",
            {"ReceiptHandle": "x"},
            404,
            "ReceiptHandleIsInvalid",
            'The input receipt handle "x" is not a valid receipt handle.',
        ),
        (
            "DeleteMessageBatch",
            {},
            400,
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one DeleteMessageBatchRequestEntry in the request.",
        ),
    ],
)
def test_errors_of_the_query_protocol(queue, action, parameters, status, code, words):
    answered, error = query(queue, action, **parameters)
    assert (answered, texts(error, "Code"), texts(error, "Message")) == (status, [code], [words])
    assert texts(error, "Type") == ["Sender"]
