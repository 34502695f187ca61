"""`cumulog verify`: all that is wrong with a data directory, without touching it."""

import hashlib
import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cumulog import Cumulog, binary, environment


def verify(directory, *arguments):
    return subprocess.run(
        [binary(), "verify", str(directory), *arguments], env=environment(), capture_output=True, text=True, timeout=120
    )


def report(directory) -> dict:
    """What it says as JSON, after checking that the exit code agrees and that no byte has changed."""
    before = digest(directory)
    ended = verify(directory, "--json")
    found = json.loads(ended.stdout)
    assert ended.returncode == (0 if found["healthy"] else 1), ended
    assert ended.stderr.startswith("error: ") != found["healthy"], ended.stderr
    assert digest(directory) == before
    return found


def digest(directory: Path) -> dict:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def starts(directory) -> str:
    """What a server says that is to start on the directory; empty if it does."""
    server = Cumulog(directory)
    try:
        server.start()
        return ""
    except AssertionError:
        return server.log
    finally:
        server.kill9()


def fill(server):
    """Something of every service, with bodies of every size."""
    server.s3.create_bucket(Bucket="bucket")
    for size in (10, 5_000, 60_000, 3_000_000):
        server.s3.put_object(Bucket="bucket", Key=f"{size}", Body=b"x" * size)
    upload = server.s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    server.s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"y" * 6_000_000)
    url = server.sqs.create_queue(QueueName="queue")["QueueUrl"]
    for number in range(30):
        server.sqs.send_message(QueueUrl=url, MessageBody=f"message {number}")
    server.sqs.receive_message(QueueUrl=url)
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "other")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "index",
                "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(30):
        item = {"id": {"S": f"{number}"}, "other": {"S": "x"}, "n": {"N": "1"}}
        server.dynamodb.put_item(TableName="table", Item=item)


@pytest.fixture
def filled(tmp_path):
    """A directory that a server wrote to and was killed on."""
    server = Cumulog(tmp_path / "data")
    server.start()
    fill(server)
    server.kill9()
    return tmp_path / "data"


def test_a_directory_is_healthy_after_kill_9_and_after_a_stop(filled):
    killed = report(filled)
    assert killed["healthy"] and killed["refusal"] is None, killed
    assert killed["findings"] == []
    assert killed["bodies"] == 4
    assert killed["lsn"] == killed["records"] > 60
    server = Cumulog(filled).start()
    server.stop()
    stopped = report(filled)
    assert (stopped["healthy"], stopped["lsn"], stopped["rows"]) == (True, killed["lsn"], killed["rows"])
    text = verify(filled)
    assert re.search(rf"data: healthy, up to LSN {killed['lsn']}\n  read: 0 snapshots .*, \d+ segments?, \d+ transactions", text.stdout)


def test_every_damage_is_named_and_none_is_repaired(filled):
    """Three places at once: two records and a body."""
    Cumulog(filled).start().stop()
    body = max((filled / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    places = sorted(record_of(filled, text) for text in (b"message 7", b"message 20"))
    contents = {path: path.read_bytes() for path, _ in places}
    places.append((body, 2_500_000))
    for path, offset in places:
        flip(path, offset)
    found = report(filled)
    damages = [finding for finding in found["findings"] if finding["damage"]]
    assert len(damages) == 3, damages
    for finding, (path, offset) in zip(damages, places, strict=True):
        assert finding["path"] == str(path)
        assert finding["offset"] <= offset < finding["offset"] + (finding["bytes"] or 1 << 20)
    assert damages[0]["lsn"] < damages[1]["lsn"]
    assert damages[0]["kind"] == "damage" and damages[2]["kind"] == "damaged body"
    # The server's word is the same.
    assert found["refusal"] in starts(filled)
    # With the log mended, only reading the body fails.
    for path, content in contents.items():
        path.write_bytes(content)
    found = report(filled)
    assert found["refusal"] is None and not found["healthy"]
    assert starts(filled) == ""


def record_of(directory: Path, text: bytes) -> tuple:
    """Where the log holds it: in the last of the segments that do, since what wasn't synced is carried over."""
    path = max(path for path in (directory / "log").glob("*.log") if text in path.read_bytes())
    return path, path.read_bytes().index(text)


def flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("compacted", [False, True])
def test_damage_anywhere_is_found_as_the_server_finds_it(filled, tmp_path, compacted):
    """Random bytes of random files: whenever a server refuses, so does verify, in the same words, and never else."""
    Cumulog(filled).start().stop()
    if compacted:
        subprocess.run([binary(), "compact", str(filled)], env=environment(), check=True, timeout=60)
        assert report(filled)["snapshots"] > 10
    used = [path for path in sorted(filled.rglob("*")) if path.is_file() and path.name != "LOCK"]
    generator = random.Random(1)
    for number in range(25):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(filled, copy)
        path = copy / generator.choice(used).relative_to(filled)
        content = path.read_bytes()
        if not content.strip(b"\0"):
            continue
        end = len(content.rstrip(b"\0"))
        offset = generator.randrange(end)
        flip(path, offset)
        found = report(copy)
        said = starts(copy)
        where = f"byte {offset} of {path}: {found['findings']}"
        assert bool(found["refusal"]) == bool(said), where
        assert (found["refusal"] or "") in said, where


def test_what_a_crash_leaves_is_no_damage(filled):
    (filled / "log" / "000000000099.log.tmp").write_bytes(b"\0" * 100)
    (filled / "blobs" / "0123456789abcdef.blob").write_bytes(b"a body")
    (filled / "log" / "notes.txt").write_text("hello")
    found = report(filled)
    assert found["healthy"]
    assert sorted(finding["kind"] for finding in found["findings"]) == ["leftover", "orphan", "unknown"]


def test_a_directory_in_use_is_refused(durable):
    durable.sqs.create_queue(QueueName="queue")
    ended = verify(durable.directory)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"process {durable.process.pid}" in ended.stderr
    assert "hint: " in ended.stderr and "copy" in ended.stderr
    # It goes on.
    durable.sqs.create_queue(QueueName="another")


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_data_directory_is_refused(tmp_path, name):
    ended = verify(tmp_path / name)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "cannot verify" in ended.stderr and "hint: " in ended.stderr
    assert list(tmp_path.iterdir()) == []
