"""`cumulog compact`: of a directory, and by the server that has it open."""

import subprocess

import pytest

from cumulog import Cumulog, binary, environment, free_port, request


def compact(*arguments):
    return subprocess.run(
        [binary(), "compact", *map(str, arguments)], env=environment(), capture_output=True, text=True, timeout=120
    )


def fill(server):
    """Much that is gone again, and some that is not."""
    url = server.sqs.create_queue(QueueName="queue")["QueueUrl"]
    server.s3.create_bucket(Bucket="bucket")
    server.s3.put_object(Bucket="bucket", Key="body", Body=b"x" * 100_000)
    for number in range(300):
        server.s3.put_object(Bucket="bucket", Key="key", Body=f"{number} ".encode() * 1000)
    server.sqs.send_message(QueueUrl=url, MessageBody="hello")


def check(server):
    assert server.s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"299 " * 1000
    assert server.s3.get_object(Bucket="bucket", Key="body")["Body"].read() == b"x" * 100_000
    url = server.sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    assert server.sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"][0]["Body"] == "hello"


def holds(directory, text: bytes) -> bool:
    """Does any file of the log?"""
    return any(text in path.read_bytes() for path in (directory / "log").iterdir())


@pytest.mark.parametrize("unclean", [False, True])
def test_a_directory_is_compacted_and_holds_the_same(durable, unclean):
    fill(durable)
    durable.kill9() if unclean else durable.stop()
    assert holds(durable.directory, b"7 7 7 7 ")
    ended = compact(durable.directory)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert ended.stdout.startswith(f"{durable.directory}: compacted at LSN 3") and "freed" in ended.stdout
    assert not holds(durable.directory, b"7 7 7 7 ")
    assert (durable.directory / "MANIFEST").exists()
    durable.start()
    check(durable)
    durable.restart(unclean=True)
    check(durable)


def test_a_server_compacts_what_it_has_open(durable):
    fill(durable)
    ended = compact(durable.directory)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"process {durable.process.pid}" in ended.stderr and "--endpoint" in ended.stderr
    ended = compact("--endpoint", durable.url)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert ended.stdout.startswith(f"{durable.directory}: compacted at LSN 3")
    check(durable)
    durable.restart(unclean=True)
    check(durable)
    answer = request(durable, "POST", "/_cumulog/compact")
    assert answer.status == 200 and answer.json["status"] == "compacted"
    assert request(durable, "GET", "/_cumulog/compact").status == 405


def test_a_server_in_memory_has_nothing_to_compact(server):
    ended = compact("--endpoint", server.url + "/")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "in memory only" in ended.stdout


def test_what_can_not_be_compacted_is_named(tmp_path):
    ended = compact(tmp_path / "missing")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert str(tmp_path / "missing") in ended.stderr and "hint: " in ended.stderr
    assert not (tmp_path / "missing").exists()
    port = free_port()
    ended = compact("--endpoint", f"http://127.0.0.1:{port}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"cannot reach `http://127.0.0.1:{port}`" in ended.stderr and "hint: " in ended.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["d", "--endpoint", "http://localhost"], ["--endpoint", "localhost:4566"], ["--endpoint"]]
)
def test_nonsense_is_refused(arguments):
    ended = compact(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "hint: " in ended.stderr


def test_a_damaged_directory_is_not_touched(tmp_path):
    with Cumulog(tmp_path / "data") as server:
        fill(server)
    segment = tmp_path / "data" / "log" / "000000000001.log"
    content = bytearray(segment.read_bytes())
    content[content.index(b"7 7 7 7 ")] ^= 1
    segment.write_bytes(content)
    ended = compact(tmp_path / "data")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is corrupt at byte" in ended.stderr and "nothing was changed" in ended.stderr
    assert segment.read_bytes() == content
