"""Fixtures. `server` and its clients are ephemeral and shared by the tests of one worker: use `unique`
names. `durable` is a server of one's own on an empty directory. `start` makes any other.
"""

import re
import uuid

import pytest

from cumulog import Cumulog


@pytest.fixture(scope="session")
def server():
    with Cumulog() as server:
        yield server


@pytest.fixture(scope="session")
def s3(server):
    return server.s3


@pytest.fixture(scope="session")
def dynamodb(server):
    return server.dynamodb


@pytest.fixture(scope="session")
def dynamodbstreams(server):
    return server.dynamodbstreams


@pytest.fixture(scope="session")
def sqs(server):
    return server.sqs


@pytest.fixture(scope="session")
def sts(server):
    return server.sts


@pytest.fixture
def durable(tmp_path):
    """A server on an empty directory: `restart()`, `restart(unclean=True)`, `kill9()`, `start()`."""
    with Cumulog(tmp_path / "data") as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """`start(*arguments, directory=None, durability=None, env=None)` starts a server that ends with the test."""
    servers = []

    def start(*arguments, directory=None, **options):
        servers.append(Cumulog(directory, *arguments, **options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def unique(request):
    """`unique("queue")` gives a name that no other test uses, good for buckets, tables and queues."""
    test = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:20].strip("-")

    def unique(what="x"):
        return f"{what}-{test}-{uuid.uuid4().hex[:8]}"

    return unique


@pytest.fixture
def bucket(s3, unique):
    """A new bucket's name."""
    name = unique("bucket")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def queue(sqs, unique):
    """A new queue's URL."""
    return sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]


@pytest.fixture
def table(dynamodb, unique):
    """The name of a new table with the string key `id`."""
    name = unique("table")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name
