"""The AWS CLI, as a user has it: nothing set but the endpoint and any credentials."""

import filecmp
import json

import pytest


@pytest.fixture
def aws(server):
    """`aws("s3", "ls")` runs the CLI, which is to succeed; JSON comes parsed."""

    def aws(*arguments):
        ended = server.aws(*arguments)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.startswith(("{", "[")) else ended.stdout

    return aws


def test_s3_high_level_commands(aws, unique, tmp_path):
    bucket = unique("bucket")
    assert aws("s3", "mb", f"s3://{bucket}") == f"make_bucket: {bucket}\n"
    assert bucket in aws("s3", "ls")
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("a\n")
    (source / "sub" / "b ü.bin").write_bytes(bytes(range(256)) * 1000)
    aws("s3", "cp", source / "a.txt", f"s3://{bucket}/copied.txt")
    aws("s3", "cp", f"s3://{bucket}/copied.txt", f"s3://{bucket}/again.txt")
    aws("s3", "sync", source, f"s3://{bucket}/tree")
    assert aws("s3", "sync", source, f"s3://{bucket}/tree") == ""
    listed = aws("s3", "ls", "--recursive", f"s3://{bucket}")
    assert [line.split(maxsplit=3)[3] for line in listed.splitlines()] == [
        "again.txt",
        "copied.txt",
        "tree/a.txt",
        "tree/sub/b ü.bin",
    ]
    assert "PRE tree/" in aws("s3", "ls", f"s3://{bucket}/")
    aws("s3", "sync", f"s3://{bucket}/tree", tmp_path / "out")
    assert not filecmp.dircmp(source, tmp_path / "out").diff_files
    assert (tmp_path / "out/sub/b ü.bin").read_bytes() == bytes(range(256)) * 1000
    aws("s3", "mv", f"s3://{bucket}/again.txt", f"s3://{bucket}/moved.txt")
    aws("s3", "rm", "--recursive", f"s3://{bucket}")
    aws("s3", "rb", f"s3://{bucket}")
    assert bucket not in aws("s3", "ls")


def test_s3api(aws, unique, tmp_path):
    bucket = unique("bucket")
    aws("s3api", "create-bucket", "--bucket", bucket)
    (tmp_path / "body").write_bytes(b"0123456789")
    put = aws("s3api", "put-object", "--bucket", bucket, "--key", "k", "--body", tmp_path / "body", "--metadata", "a=b")
    assert put["ETag"] == '"781e5e245d69b566979b86e28d23f2c7"'
    head = aws("s3api", "head-object", "--bucket", bucket, "--key", "k")
    assert (head["ContentLength"], head["Metadata"]) == (10, {"a": "b"})
    got = aws("s3api", "get-object", "--bucket", bucket, "--key", "k", "--range", "bytes=2-4", tmp_path / "part")
    assert got["ContentRange"] == "bytes 2-4/10"
    assert (tmp_path / "part").read_bytes() == b"234"
    listed = aws("s3api", "list-objects-v2", "--bucket", bucket, "--query", "Contents[].Key")
    assert listed == ["k"]


def test_dynamodb(aws, unique):
    table = unique("table")
    aws(
        "dynamodb", "create-table", "--table-name", table, "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=id,AttributeType=S",
        "--key-schema", "AttributeName=id,KeyType=HASH",
    )  # fmt: skip
    aws("dynamodb", "wait", "table-exists", "--table-name", table)
    item = {"id": {"S": "1"}, "n": {"N": "5"}}
    aws("dynamodb", "put-item", "--table-name", table, "--item", json.dumps(item))
    update = aws(
        "dynamodb", "update-item", "--table-name", table, "--key", '{"id": {"S": "1"}}', "--return-values", "ALL_NEW",
        "--update-expression", "SET n = n + :one", "--expression-attribute-values", '{":one": {"N": "1"}}',
    )  # fmt: skip
    assert update["Attributes"] == {"id": {"S": "1"}, "n": {"N": "6"}}
    assert aws("dynamodb", "scan", "--table-name", table)["Count"] == 1
    aws("dynamodb", "delete-table", "--table-name", table)
    aws("dynamodb", "wait", "table-not-exists", "--table-name", table)


def test_sqs(aws, unique):
    url = aws("sqs", "create-queue", "--queue-name", unique("queue"))["QueueUrl"]
    sent = aws("sqs", "send-message", "--queue-url", url, "--message-body", "hello")
    [message] = aws("sqs", "receive-message", "--queue-url", url)["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "hello")
    aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    counts = aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"


def test_sts(aws):
    identity = aws("sts", "get-caller-identity")
    assert identity["Account"] == "000000000000"
    assert identity["Arn"].startswith("arn:aws:")


def test_errors_reach_the_user_in_aws_words(server):
    ended = server.aws("s3", "ls", "s3://absent-bucket")
    assert ended.returncode != 0
    assert "NoSuchBucket" in ended.stderr
    ended = server.aws("dynamodb", "create-backup", "--table-name", "table", "--backup-name", "backup")
    assert ended.returncode != 0
    assert "NotImplemented" in ended.stderr and "CreateBackup" in ended.stderr
