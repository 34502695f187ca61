"""Disks that fail under a running server: an error, not a 200; nothing acknowledged is lost; reads go on."""

import resource
import subprocess
import time

import botocore.exceptions
import pytest

from cumulog import Cumulog, request


def write_until_refused(server):
    """Puts objects until one is refused; returns the keys of those that were acknowledged."""
    acknowledged = []
    for number in range(1000):
        key = f"{number:04}"
        try:
            server.s3.put_object(Bucket="bucket", Key=key, Body=key.encode() * 10_000)
        except botocore.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            assert error.response["Error"]["Code"] in ("InternalError", "ServiceUnavailable", "SlowDown")
            assert str(server.directory) in error.response["Error"]["Message"]
            return acknowledged
        acknowledged.append(key)
    raise AssertionError("never refused")


def put_until_accepted(server, key):
    """Puts one object; a refusal may still tell of the past."""
    for attempt in range(10):
        try:
            return server.s3.put_object(Bucket="bucket", Key=key, Body=key.encode() * 10_000)
        except botocore.exceptions.ClientError:
            time.sleep(0.1 * attempt)
    raise AssertionError("still refused")


def check_objects(server, keys):
    listed = [entry["Key"] for entry in server.s3.list_objects_v2(Bucket="bucket").get("Contents", [])]
    assert listed == keys
    for key in keys:
        assert server.s3.get_object(Bucket="bucket", Key=key)["Body"].read() == key.encode() * 10_000


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MiB; `small_disk("60m")` makes it larger."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(*options):
        return subprocess.run(["mount", *options, path], capture_output=True, check=False).returncode == 0

    if not mount("-t", "tmpfs", "-o", "size=6m", "tmpfs"):
        pytest.skip("no right to mount a file system")
    mount.path = path
    yield mount
    subprocess.run(["umount", "--lazy", path], check=True)


def test_a_full_disk(small_disk):
    server = Cumulog(small_disk.path / "data")
    try:
        server.start()
        server.s3.create_bucket(Bucket="bucket")
        acknowledged = write_until_refused(server)
        assert len(acknowledged) > 10
        assert write_until_refused(server) == []
        check_objects(server, acknowledged)
        health = request(server, "GET", "/_cumulog/health")
        assert (health.status, health.json["status"]) == (200, "full")

        server.kill9()
        server.start()
        check_objects(server, acknowledged)

        # Once there is space it works again, without a restart.
        assert small_disk("-o", "remount,size=60m")
        put_until_accepted(server, "after")
        server.restart(unclean=True)
        check_objects(server, [*acknowledged, "after"])
        server.stop()
    finally:
        server.kill9()


def test_a_disk_that_refuses_to_write(tmp_path):
    """The file size limit stands in for the disk: it may be set and lifted while the server runs."""
    server = Cumulog(tmp_path / "data")
    server.wrapper = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]
    try:
        server.start()
        server.s3.create_bucket(Bucket="bucket")
        server.s3.put_object(Bucket="bucket", Key="0", Body=b"0" * 10_000)
        before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert write_until_refused(server) == []
        check_objects(server, ["0"])
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
        server.restart(unclean=True)
        check_objects(server, ["0"])
        server.s3.put_object(Bucket="bucket", Key="1", Body=b"1" * 10_000)
        server.restart(unclean=True)
        check_objects(server, ["0", "1"])
    finally:
        server.kill9()
