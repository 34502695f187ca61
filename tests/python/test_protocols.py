"""Requests as bytes, with no SDK in between: routing, protocols, limits, and what hostile clients send."""

import base64
import hashlib
import json
import re
import socket
import struct
import zlib

import botocore.config
import botocore.loaders
import botocore.session
import pytest

from cumulog import authorization, json_request, request

DYNAMODB = "DynamoDB_20120810."


def form_request(server, body, service="sqs", headers=None):
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
    body = body if isinstance(body, bytes) else body.encode()
    return request(server, "POST", "/", headers, body, service=service)


def exchange(server, data: bytes, close_sending=False) -> bytes:
    """Sends `data` on a connection of its own and returns all that comes until the server closes it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if close_sending:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except OSError as error:
            # Whoever is told to go away in the middle of a sentence may not hear the reason.
            assert not isinstance(error, TimeoutError), "the server keeps the connection and says nothing"
        return answer


def still_well(server):
    assert request(server, "GET", "/health").status == 200


# What is not implemented says so, by name.


@pytest.mark.parametrize(
    ("operation", "service", "send"),
    [
        ("CreateBackup", "dynamodb", lambda s: json_request(s, "dynamodb", DYNAMODB + "CreateBackup", {})),
        ("StartMessageMoveTask", "sqs", lambda s: json_request(s, "sqs", "AmazonSQS.StartMessageMoveTask", {})),
        ("AssumeRole", "sts", lambda s: form_request(s, "Action=AssumeRole&Version=2011-06-15", "sts")),
        ("GetObjectTorrent", "s3", lambda s: request(s, "GET", "/bucket/key?torrent", service="s3")),
    ],
)
def test_an_operation_that_is_not_implemented_is_named(server, operation, service, send):
    answer = send(server)
    assert answer.status == 501
    assert operation in answer.text
    assert service in answer.text.lower()
    assert "NotImplemented" in answer.text


def test_an_operation_that_does_not_exist_is_named(server):
    answer = json_request(server, "dynamodb", DYNAMODB + "Frobnicate", {})
    assert answer.status == 400
    assert answer.json["__type"].endswith("UnknownOperationException")
    answer = form_request(server, "Action=Frobnicate&Version=2012-11-05")
    assert answer.status == 400
    assert "<Code>InvalidAction</Code>" in answer.text and "Frobnicate" in answer.text
    answer = form_request(server, "Version=2012-11-05")
    assert answer.status == 400
    assert "<Code>MissingAction</Code>" in answer.text


@pytest.mark.parametrize(
    "send",
    [
        lambda s: json_request(s, "kinesis", "Kinesis_20131202.ListStreams", {}, "1.1"),
        lambda s: form_request(s, "Action=ListUsers&Version=2010-05-08", "iam"),
        lambda s: request(s, "GET", "/2015-03-31/functions", service="lambda"),
        lambda s: request(s, "POST", "/", {"X-Amz-Target": "Kinesis_20131202.ListStreams"}, b"{}"),
    ],
)
def test_a_service_that_is_not_there_is_named(server, send):
    answer = send(server)
    assert answer.status == 501
    assert "NoSuchBucket" not in answer.text
    assert re.search("kinesis|iam|lambda", answer.text, re.IGNORECASE)


# Every answer can be traced.


def test_answers_carry_request_ids(server, bucket):
    answer = request(server, "GET", f"/{bucket}/absent", service="s3")
    assert re.fullmatch("[0-9A-Z]{16}", answer.headers["x-amz-request-id"])
    assert answer.headers["x-amz-id-2"]
    assert f"<RequestId>{answer.headers['x-amz-request-id']}</RequestId>" in answer.text
    answer = json_request(server, "dynamodb", DYNAMODB + "ListTables", {})
    assert re.fullmatch("[0-9A-Z]{52}", answer.headers["x-amzn-requestid"])
    uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    answer = json_request(server, "sqs", "AmazonSQS.ListQueues", {})
    assert re.fullmatch(uuid, answer.headers["x-amzn-requestid"])
    answer = form_request(server, "Action=GetCallerIdentity&Version=2011-06-15", "sts")
    assert re.fullmatch(uuid, answer.headers["x-amzn-requestid"])
    assert f"<RequestId>{answer.headers['x-amzn-requestid']}</RequestId>" in answer.text
    seen = {json_request(server, "sqs", "AmazonSQS.ListQueues", {}).headers["x-amzn-requestid"] for _ in range(20)}
    assert len(seen) == 20


def test_dynamodb_answers_carry_their_crc32(server):
    answer = json_request(server, "dynamodb", DYNAMODB + "ListTables", {})
    assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)


def test_operations_without_output_answer_nothing(server, dynamodb, table, cbor_client):
    arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    tags = {"ResourceArn": arn, "Tags": [{"Key": "team", "Value": "a"}]}
    answer = json_request(server, "dynamodb", DYNAMODB + "TagResource", tags)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert answer.headers["x-amz-crc32"] == "0"
    cbor_client("dynamodb").untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == []
    # One with an output that says nothing this time.
    absent = {"TableName": table, "Key": {"id": {"S": "absent"}}}
    assert json_request(server, "dynamodb", DYNAMODB + "GetItem", absent).body == b"{}"


# awsJson.


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{]", b'{"Limit":}', b'{"Limit":1}x', b"\xff\xfe", b'"' + b"\\" * 1000,
     b'{"Limit":"\x00"}', b"[" * 100_000, b'{"a":' * 50_000],
)  # fmt: skip
def test_malformed_json_is_a_serialization_error(server, body):
    answer = json_request(server, "dynamodb", DYNAMODB + "PutItem", body)
    assert answer.status == 400, answer.text
    assert re.search("SerializationException|ValidationException", answer.json["__type"]), answer.text
    still_well(server)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"TableName": 5}, "NUMBER_VALUE cannot be converted to String"),
        ({"TableName": True}, "TRUE_VALUE cannot be converted to String"),
        ({"TableName": "t", "Key": "k"}, ""),
        ({"TableName": "t", "Key": {"id": {"S": 5}}}, "NUMBER_VALUE cannot be converted to String"),
    ],
)
def test_values_of_another_type_are_refused_in_aws_words(server, body, words):
    answer = json_request(server, "dynamodb", DYNAMODB + "GetItem", body)
    assert answer.status == 400
    assert answer.json["__type"].endswith("SerializationException")
    assert words in answer.text


def test_deep_nesting_is_refused_and_harms_nothing(server, table):
    body = b'{"TableName":"%s","Item":{"id":{"S":"1"},"v":%s}}' % (
        table.encode(),
        b'{"L":[' * 50_000 + b'{"S":"x"}' + b"]}" * 50_000,
    )
    answer = json_request(server, "dynamodb", DYNAMODB + "PutItem", body)
    assert answer.status == 400
    still_well(server)


def test_unknown_members_are_skipped(server):
    answer = json_request(server, "dynamodb", DYNAMODB + "ListTables", {"Limit": 1, "Nonsense": {"a": [1, {}]}})
    assert answer.status == 200


def test_a_limit_is_answered_in_the_words_of_the_service(start):
    server = start("--request-bytes-max", "1000")
    answer = json_request(server, "dynamodb", DYNAMODB + "ListTables", b" " * 1001)
    assert answer.status == 413 and "RequestEntityTooLarge" in answer.text
    answer = request(server, "PUT", "/bucket", body=b" " * 1001, service="s3")
    assert answer.status == 400
    assert "<Code>MaxMessageLengthExceeded</Code>" in answer.text
    assert "<MaxMessageLengthBytes>1000</MaxMessageLengthBytes>" in answer.text


def test_an_oversize_body_is_refused_without_reading_it(server):
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n"
        "Content-Type: application/x-amz-json-1.0\r\nContent-Length: 100000000000\r\n\r\n"
    )
    answer = exchange(server, head.encode(), close_sending=False)
    assert re.match(rb"HTTP/1.1 (400|413) ", answer), answer
    still_well(server)


# rpcv2Cbor.


def cbor_request(server, service, operation, body):
    headers = {"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor", "Accept": "application/cbor"}
    return request(server, "POST", f"/service/{service}/operation/{operation}", headers, body)


@pytest.mark.parametrize(
    "body", [b"\xff", b"\xa1", b"\x9f" * 100_000, b"\xbb" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\xa1\x61"]
)
def test_malformed_cbor_is_refused(server, body):
    answer = cbor_request(server, "DynamoDB_20120810", "ListTables", body)
    assert answer.status in (400, 404), answer
    assert answer.headers["smithy-protocol"] == "rpc-v2-cbor"
    still_well(server)


@pytest.fixture
def cbor_client(server, tmp_path):
    """`cbor_client("sqs")`: boto3 with a model that says that the service speaks CBOR only."""

    def cbor_client(service):
        session = botocore.session.get_session()
        loader = session.get_component("data_loader")
        model = loader.load_service_model(service, "service-2")
        model["metadata"] |= {"protocol": "smithy-rpc-v2-cbor", "protocols": ["smithy-rpc-v2-cbor"]}
        directory = tmp_path / service / model["metadata"]["apiVersion"]
        directory.mkdir(parents=True)
        (directory / "service-2.json").write_text(json.dumps(model))
        # A loader of its own: it looks for customer models first, and shares no cache.
        loader = botocore.loaders.Loader(extra_search_paths=[str(tmp_path)])
        session.register_component("data_loader", loader)
        client = session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=server.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        assert client.meta.service_model.resolved_protocol == "smithy-rpc-v2-cbor"
        return client

    return cbor_client


def test_dynamodb_speaks_cbor(cbor_client, dynamodb, table):
    client = cbor_client("dynamodb")
    item = {"id": {"S": "ü"}, "n": {"N": "1.5"}, "b": {"B": b"\x00\xff"}, "l": {"L": [{"NULL": True}, {"M": {}}]}}
    client.put_item(TableName=table, Item=item)
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "ü"}})["Item"] == item
    assert client.scan(TableName=table)["Items"] == [item]
    created = client.describe_table(TableName=table)["Table"]["CreationDateTime"]
    assert created == dynamodb.describe_table(TableName=table)["Table"]["CreationDateTime"]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_table(TableName="absent")


def test_sqs_speaks_cbor(cbor_client, sqs, queue):
    client = cbor_client("sqs")
    attributes = {"bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    client.send_message(QueueUrl=queue, MessageBody="ü", MessageAttributes=attributes)
    [message] = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert message["Body"] == "ü"
    assert message["MessageAttributes"] == attributes
    with pytest.raises(client.exceptions.QueueDoesNotExist):
        client.get_queue_url(QueueName="absent")


# Query.


def test_query_and_json_are_the_same_queue(server, unique):
    name = unique()
    made = form_request(server, f"Action=CreateQueue&Version=2012-11-05&QueueName={name}")
    assert made.status == 200
    assert made.headers["content-type"].startswith("text/xml")
    url = re.search("<QueueUrl>(.*)</QueueUrl>", made.text).group(1)
    assert f"/000000000000/{name}" in url
    found = json_request(server, "sqs", "AmazonSQS.GetQueueUrl", {"QueueName": name})
    assert found.json["QueueUrl"] == url
    sent = form_request(
        server,
        f"Action=SendMessage&Version=2012-11-05&QueueUrl={url}&MessageBody=a%26b%3Cc%2Bd+e"
        "&MessageAttribute.1.Name=color&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=blue",
    )
    assert sent.status == 200, sent.text
    received = json_request(
        server, "sqs", "AmazonSQS.ReceiveMessage", {"QueueUrl": url, "MessageAttributeNames": ["All"]}
    )
    [message] = received.json["Messages"]
    assert message["Body"] == "a&b<c+d e"
    assert message["MessageAttributes"]["color"]["StringValue"] == "blue"


def test_query_errors_are_xml_and_json_errors_name_their_old_code(server):
    answer = form_request(server, "Action=GetQueueUrl&Version=2012-11-05&QueueName=absent")
    assert answer.status == 400
    assert "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in answer.text
    assert "<Type>Sender</Type>" in answer.text
    answer = json_request(server, "sqs", "AmazonSQS.GetQueueUrl", {"QueueName": "absent"})
    assert answer.json["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"


def test_the_query_protocol_needs_no_credentials(server):
    answer = form_request(server, "Action=GetCallerIdentity&Version=2011-06-15", service=None)
    assert answer.status == 200
    assert "<Account>000000000000</Account>" in answer.text
    answer = request(server, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
    assert "<Account>000000000000</Account>" in answer.text


def test_an_access_key_of_twelve_digits_is_an_account(server):
    headers = authorization("sts", access_key="123456789012")
    answer = form_request(server, "Action=GetCallerIdentity&Version=2011-06-15", service=None, headers=headers)
    assert "<Account>123456789012</Account>" in answer.text


@pytest.mark.parametrize(
    "body",
    ["Action", "=&=&=", "&&&&", "Action=SendMessage&Version=2012-11-05&QueueUrl=%", "Action=%ff&Version=%fe",
     "Action=SendMessageBatch&Version=2012-11-05&SendMessageBatchRequestEntry.99999999999.Id=a",
     "Action=SendMessageBatch&Version=2012-11-05&SendMessageBatchRequestEntry.4294967295.Id=a",
     "Action=SendMessage&Version=2012-11-05" + "&MessageAttribute.1.Name=a" * 5000, "a" * 1_000_000,
     "Action=ListQueues&Version=2012-11-05&MaxResults=nonsense"],
)  # fmt: skip
def test_malformed_forms_are_refused(server, body):
    answer = form_request(server, body)
    assert 400 <= answer.status < 500, answer
    assert "<Error>" in answer.text
    still_well(server)


# restXml: S3.


@pytest.mark.parametrize(
    "body",
    [b"", b"<", b"<Delete>", b"<Delete></Nonsense>", b"\xff\xfe", b"<Delete>" * 50_000, b"<a " + b"b='c' " * 10_000,
     b'<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>',
     b"<Delete><Object></Object></Delete>"],
)  # fmt: skip
def test_malformed_xml_is_refused(server, bucket, body):
    answer = request(server, "POST", f"/{bucket}?delete", body=body, service="s3")
    assert answer.status == 400, answer
    assert re.search("<Code>(MalformedXML|MissingRequestBodyError|InvalidRequest)</Code>", answer.text), answer.text
    still_well(server)


def test_errors_on_head_have_no_body(server, bucket):
    answer = request(server, "HEAD", f"/{bucket}/absent", service="s3")
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["x-amz-request-id"]
    assert request(server, "HEAD", "/absent-bucket", service="s3").status == 404


@pytest.mark.parametrize(
    "key", ["a//b", "a/../b", "..", "./x", "a b+c", "ü/🙂", "%25", "a%2Fb", "?&=#", "a\tb", "x" * 1024]
)
def test_keys_are_bytes(server, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_key_that_is_too_long_is_refused(server, bucket):
    answer = request(server, "PUT", f"/{bucket}/{'x' * 1025}", body=b"", service="s3")
    assert answer.status == 400
    assert "<Code>KeyTooLongError</Code>" in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "{bucket}.localhost",
        "{bucket}.localhost:4566",
        "{bucket}.s3.localhost.localstack.cloud:4566",
        "{bucket}.s3.amazonaws.com",
        "{bucket}.s3.eu-west-1.amazonaws.com",
        "{bucket}.s3-eu-west-1.amazonaws.com",
    ],
)
def test_virtual_hosts(server, s3, bucket, host):
    headers = {"Host": host.format(bucket=bucket)}
    put = request(server, "PUT", "/a//b%20c?x-id=PutObject", headers, b"body", service="s3")
    assert put.status == 200, put.text
    assert s3.get_object(Bucket=bucket, Key="a//b c")["Body"].read() == b"body"
    assert request(server, "GET", "/a//b%20c", headers).body == b"body"
    assert "<ListBucketResult" in request(server, "GET", "/", headers, service="s3").text


def test_anonymous_requests_reach_s3(server, s3, bucket):
    assert request(server, "PUT", f"/{bucket}/k", body=b"anonymous").status == 200
    assert request(server, "GET", f"/{bucket}/k").body == b"anonymous"


def test_presigned_urls_work(server, s3, bucket):
    def path(url):
        return url.removeprefix(server.url)

    parameters = {"Bucket": bucket, "Key": "k"}
    put = s3.generate_presigned_url("put_object", parameters)
    assert request(server, "PUT", path(put), body=b"presigned").status == 200
    parameters |= {"ResponseContentType": "text/x-test", "ResponseContentDisposition": "attachment"}
    got = request(server, "GET", path(s3.generate_presigned_url("get_object", parameters)))
    assert got.body == b"presigned"
    assert got.headers["content-type"] == "text/x-test"
    assert got.headers["content-disposition"] == "attachment"


# aws-chunked.

SIGNATURE = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"


def crc32(body: bytes) -> str:
    return base64.b64encode(struct.pack(">I", zlib.crc32(body))).decode()


def chunked(body: bytes, signed=False, trailer=None, chunk=8192) -> bytes:
    extension = f";chunk-signature={SIGNATURE}" if signed else ""
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension.encode(), piece) for piece in pieces)
    framed += b"0" + extension.encode() + b"\r\n"
    if trailer:
        framed += f"{trailer}\r\n".encode()
        if signed:
            framed += f"x-amz-trailer-signature:{SIGNATURE}\r\n".encode()
    return framed + b"\r\n"


def put_chunked(server, bucket, framed, decoded_bytes, signed=False, trailer=None, **headers):
    form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if signed else "STREAMING-UNSIGNED-PAYLOAD"
    headers = {
        "x-amz-content-sha256": form + ("-TRAILER" if trailer or not signed else ""),
        "x-amz-decoded-content-length": str(decoded_bytes),
        "Content-Encoding": "aws-chunked",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    if trailer:
        headers["x-amz-trailer"] = trailer
    return request(server, "PUT", f"/{bucket}/k", headers, framed, service="s3")


@pytest.mark.parametrize("size", [0, 1, 8192, 100_000, 1_000_000])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("trailer", [False, True])
def test_chunked_bodies_are_stored_decoded(server, s3, bucket, size, signed, trailer):
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    name = "x-amz-checksum-crc32" if trailer else None
    framed = chunked(body, signed, f"{name}:{crc32(body)}" if trailer else None)
    answer = put_chunked(server, bucket, framed, size, signed, name)
    assert answer.status == 200, answer.text
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert "ContentEncoding" not in got
    if trailer:
        assert got["ChecksumCRC32"] == crc32(body)
        assert answer.headers["x-amz-checksum-crc32"] == crc32(body)


def test_a_content_encoding_beside_aws_chunked_is_kept(server, s3, bucket):
    put_chunked(server, bucket, chunked(b"zipped"), 6, Content_Encoding="gzip,aws-chunked")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentEncoding"] == "gzip"


@pytest.mark.parametrize(
    ("framed", "trailer", "code"),
    [
        (chunked(b"hello", trailer="x-amz-checksum-crc32:AAAAAA=="), "x-amz-checksum-crc32", "BadDigest"),
        (chunked(b"hello", trailer="x-amz-checksum-crc32:nonsense"), "x-amz-checksum-crc32", "InvalidRequest"),
        (chunked(b"hello", trailer="x-amz-checksum-sha1:AA=="), "x-amz-checksum-crc32", "MalformedTrailerError"),
        (chunked(b"hello"), "x-amz-checksum-crc32", "MalformedTrailerError"),
        (chunked(b"hello", trailer="x-amz-checksum-crc32:AAAAAA=="), None, "MalformedTrailerError"),
        (chunked(b"hell"), None, "IncompleteBody"),
        (chunked(b"hello!"), None, "IncompleteBody"),
        (b"5\r\nhello\r\n", None, "IncompleteBody"),
        (b"5\r\nhel", None, "IncompleteBody"),
        (b"hello", None, "IncompleteBody"),
        (b"", None, "IncompleteBody"),
        (b"ffffffffffffffff\r\nhello", None, "IncompleteBody"),
        (b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", None, "InvalidChunkSizeError"),
    ],
)
def test_broken_chunked_bodies_leave_nothing(server, s3, bucket, framed, trailer, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    answer = put_chunked(server, bucket, framed, 5, trailer=trailer)
    assert f"<Code>{code}</Code>" in answer.text, answer.text
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before"


def test_a_chunked_body_needs_its_decoded_length(server, bucket):
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    answer = request(server, "PUT", f"/{bucket}/k", headers, chunked(b"hello"), service="s3")
    assert answer.status == 411
    assert "<Code>MissingContentLength</Code>" in answer.text


def test_a_document_that_is_not_what_was_signed_is_refused(server, bucket):
    body = b"<Tagging><TagSet/></Tagging>"

    def put(signed):
        headers = {"x-amz-content-sha256": hashlib.sha256(signed).hexdigest()}
        return request(server, "PUT", f"/{bucket}?tagging", headers, body, service="s3")

    assert put(body).status == 200
    answer = put(b"another")
    assert (answer.status, "XAmzContentSHA256Mismatch" in answer.text) == (400, True), answer


def test_checksums_in_headers_are_verified(server, s3, bucket):
    def put(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(server, "PUT", f"/{bucket}/k", headers, b"hello", service="s3")

    assert put(x_amz_checksum_crc32=crc32(b"hello")).status == 200
    assert put(Content_MD5="XUFAKrxLKna5cZ2REBfFkg==").status == 200
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert put(x_amz_content_sha256=sha256).status == 200
    for headers, code in [
        ({"x_amz_checksum_crc32": crc32(b"other")}, "BadDigest"),
        ({"x_amz_checksum_crc32": "nonsense"}, "InvalidRequest"),
        ({"Content_MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
        ({"Content_MD5": "nonsense"}, "InvalidDigest"),
        ({"x_amz_content_sha256": "0" * 64}, "XAmzContentSHA256Mismatch"),
    ]:
        answer = put(**headers)
        assert f"<Code>{code}</Code>" in answer.text, answer.text
        assert answer.status == 400


def test_transfer_encoding_chunked_bodies_are_taken(server, s3, bucket):
    """S3 wants a length; a body that comes in HTTP chunks with a decoded length has one."""
    framed = chunked(b"hello")
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
        "Transfer-Encoding": "chunked",
    }
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(framed), framed)
    answer = request(server, "PUT", f"/{bucket}/k", headers, body, service="s3")
    assert answer.status == 200, answer.text
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


# HTTP itself.


def test_expect_100_continue_is_answered_when_the_request_is_acceptable(server, bucket):
    head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_expect_100_continue_is_not_answered_when_the_bucket_is_not_there(server):
    head = "PUT /absent-bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_connections_are_kept_alive(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")


def test_pipelined_requests_are_answered_in_order(server, s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * 10)
    get = "GET /{}/{} HTTP/1.1\r\nHost: localhost\r\n{}\r\n"
    sent = "".join(get.format(bucket, key, "Connection: close\r\n" if key == "c" else "") for key in "abc")
    answer = exchange(server, sent.encode())
    assert re.findall(rb"\r\n\r\n([abc]{10})", answer) == [b"a" * 10, b"b" * 10, b"c" * 10]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(500)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_harms_nothing(server, data):
    answer = exchange(server, data, close_sending=True)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.0 4"), answer
    still_well(server)


def test_a_body_that_breaks_off_leaves_nothing(server, s3, bucket):
    head = f"PUT /{bucket}/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n"
    exchange(server, head.encode() + b"x" * 1000, close_sending=True)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    still_well(server)


@pytest.mark.parametrize(
    "header", ["Authorization", "X-Amz-Target", "X-Amz-Date", "Content-Type", "Range", "x-amz-copy-source"]
)
def test_nonsense_in_headers_harms_nothing(server, bucket, header):
    for value in [
        "",
        "\xff\xfe",
        "AWS4-HMAC-SHA256 Credential=",
        "bytes=-",
        "a" * 5000,
        "%",
        "/",
        "AWS4-HMAC-SHA256 x",
    ]:
        answer = request(server, "GET", f"/{bucket}/k", {header: value})
        assert 400 <= answer.status < 500 or answer.status == 501, (value, answer)
    still_well(server)
