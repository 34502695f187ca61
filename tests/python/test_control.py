"""The control plane: health, info, reset, compaction."""

import pytest

from cumulog import REGION, error_code, request, restarted, wait_for


def test_kumos_health_check(server):
    answer = request(server, "GET", "/health")
    assert answer.status == 200
    assert answer.json == {"status": "healthy"}
    assert answer.headers["content-type"].startswith("application/json")
    assert request(server, "HEAD", "/health").body == b""


def test_health_of_an_ephemeral_server(server):
    health = server.get("/_cumulog/health")
    assert health["status"] == "healthy"
    assert health["durability"] == "none"
    assert health["survives"] == "nothing"


@pytest.mark.parametrize(
    ("durability", "survives"),
    [
        ("process", "kill -9, OOM kill, panic, container stop"),
        ("power", "power loss, kernel panic"),
    ],
)
def test_health_of_a_durable_server(start, tmp_path, durability, survives):
    server = start(directory=tmp_path / "data", durability=durability)
    health = server.get("/_cumulog/health")
    assert health["durability"] == durability
    assert survives in health["survives"]
    before = health["lsn"]["published"]
    server.sqs.create_queue(QueueName="queue")
    after = server.get("/_cumulog/health")["lsn"]
    assert after["published"] > before
    if durability == "power":
        assert after["synced"] >= after["published"]


def test_info(durable):
    info = durable.get("/_cumulog/info")
    assert info["data_dir"] == str(durable.directory)
    assert info["durability"] == "process"
    assert info["region"] == REGION
    assert info["pid"] == durable.process.pid
    assert {"s3", "dynamodb", "sqs", "sts"} <= info["services"].keys()
    sqs = info["services"]["sqs"]
    assert "SendMessage" in sqs["implemented"]
    assert not set(sqs["implemented"]) & set(sqs["not_implemented"])
    assert sqs["persistent"] is True


def test_info_tells_what_was_recovered(durable):
    durable.sqs.create_queue(QueueName="queue")
    durable.restart()
    clean = durable.get("/_cumulog/info")["recovered"]
    assert clean["clean_stop"] is True
    assert clean["lsn"] > 0
    durable.sqs.create_queue(QueueName="another")
    durable.restart(unclean=True)
    unclean = durable.get("/_cumulog/info")["recovered"]
    assert unclean["clean_stop"] is False
    assert unclean["lsn"] > clean["lsn"]


def test_compaction_frees_the_log_and_keeps_the_state(durable):
    queue = durable.sqs.create_queue(QueueName="queue")["QueueUrl"]
    for number in range(50):
        durable.sqs.send_message(QueueUrl=queue, MessageBody=str(number) * 1000)
    answer = request(durable, "POST", "/_cumulog/compact")
    assert answer.status == 200, answer.body
    assert answer.json["lsn"] > 50
    assert answer.json["freed_bytes"] > answer.json["written_bytes"] > 50_000
    health = durable.get("/_cumulog/health")
    assert health["compaction"] == {
        "snapshot_lsn": answer.json["lsn"],
        "running": False,
        "completed": 1,
        "error": None,
    }
    assert health["disk"]["snapshot_bytes"] > 50_000
    durable.restart(unclean=True)
    recovered = durable.get("/_cumulog/info")["recovered"]
    assert recovered["snapshot_lsn"] == answer.json["lsn"]
    assert recovered["snapshot_entries"] >= 51
    attributes = durable.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "50"


def test_compaction_of_memory_does_nothing(server):
    answer = request(server, "POST", "/_cumulog/compact")
    assert (answer.status, answer.json["written_bytes"], answer.json["freed_bytes"]) == (200, 0, 0)


def test_reset_empties_every_service_for_good(durable):
    durable.s3.create_bucket(Bucket="bucket")
    durable.s3.put_object(Bucket="bucket", Key="k", Body=b"v" * 100_000)
    url = durable.sqs.create_queue(QueueName="queue")["QueueUrl"]
    durable.sqs.send_message(QueueUrl=url, MessageBody="m")
    durable.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert request(durable, "POST", "/_cumulog/reset").status == 200

    def everything():
        return [
            durable.s3.list_buckets()["Buckets"],
            durable.sqs.list_queues().get("QueueUrls", []),
            durable.dynamodb.list_tables()["TableNames"],
        ]

    assert restarted(durable, everything) == [[], [], []]
    assert error_code(durable.s3.list_objects_v2, Bucket="bucket") == "NoSuchBucket"
    # What is made anew is as if nothing had been.
    url = durable.sqs.create_queue(QueueName="queue")["QueueUrl"]
    assert "Messages" not in durable.sqs.receive_message(QueueUrl=url)


def test_the_control_plane_is_logged_like_any_request(durable):
    answer = request(durable, "POST", "/_cumulog/reset", body=b"{}")
    # The body was not read, so the connection cannot go on, and the client must know.
    assert answer.headers["connection"] == "close"
    request_id = answer.headers["x-amz-request-id"]
    wait_for(lambda: request_id in durable.log)
    line = next(line for line in durable.log.splitlines() if request_id in line)
    for words in ("service=cumulog", "operation=Reset", "status=200", f"lsn={answer.json['lsn']}"):
        assert words in line, line


def test_what_is_not_there_says_so(server):
    for method, path, status in [
        ("GET", "/_cumulog/reset", 405),
        ("GET", "/_cumulog/compact", 405),
        ("POST", "/_cumulog/info", 405),
        ("GET", "/_cumulog/nonsense", 404),
    ]:
        answer = request(server, method, path)
        assert answer.status == status, path
        assert answer.json["error"]


def test_web_pages_from_elsewhere_are_refused(server):
    """Any page that a developer opens could otherwise drive the emulator."""
    there = {"Origin": "https://example.com"}
    here = {"Origin": "http://localhost:3000"}
    assert request(server, "POST", "/_cumulog/reset", there).status == 403
    refused = request(server, "GET", "/", there, service="s3")
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers
    answer = request(server, "GET", "/_cumulog/health", here)
    assert answer.headers["access-control-allow-origin"] == here["Origin"]
    answer = request(server, "GET", "/", here, service="s3")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == here["Origin"]
    preflight = here | {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-date"}
    answer = request(server, "OPTIONS", "/bucket/key", preflight)
    assert answer.status in (200, 204)
    assert "PUT" in answer.headers["access-control-allow-methods"]
