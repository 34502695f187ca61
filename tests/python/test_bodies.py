"""Large objects: they stream through without filling the memory, and survive `kill -9` part by part.

`CUMULOG_LARGE_OBJECT_MIB=5120` makes the largest one as large as S3 takes in one piece, instead of 256 MiB.
"""

import hashlib
import os
import re
import threading
import time
from pathlib import Path

import pytest

from cumulog import plain

MIB = 1 << 20
PART_BYTES = 8 * MIB

# However large the object, no more than this.
GROWTH_BYTES_MAX = 64 * MIB
LARGE_OBJECT_BYTES = int(os.environ.get("CUMULOG_LARGE_OBJECT_MIB", 256)) * MIB


def part(number: int) -> bytes:
    """Content that no other part has at the same place."""
    block = hashlib.sha512(str(number).encode()).digest() * (MIB // 64)
    return b"".join(bytes([index]) + block[1:] for index in range(PART_BYTES // MIB))


def resident_bytes(server, what="VmRSS") -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status).group(1)) * 1024


def upload(s3, id, number) -> dict:
    answer = s3.upload_part(Bucket="bucket", Key="k", UploadId=id, PartNumber=number, Body=part(number))
    return {"PartNumber": number, "ETag": answer["ETag"]}


def digest(chunks) -> str:
    digest = hashlib.md5()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


@pytest.mark.parametrize("kept", [True, False])
def test_a_large_object_goes_in_and_out_without_filling_the_memory(start, tmp_path, kept):
    server = start(directory=tmp_path / "data" if kept else None)
    # The copy is hashed as a whole before it is answered.
    s3 = server.client("s3", read_timeout=1800)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="small", Body=bytes(100_000))
    before = resident_bytes(server)
    id = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    numbers = range(1, LARGE_OBJECT_BYTES // PART_BYTES + 1)
    parts = [upload(s3, id, number) for number in numbers]
    s3.complete_multipart_upload(Bucket="bucket", Key="k", UploadId=id, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k")
    s3.delete_object(Bucket="bucket", Key="k")
    expected = digest(part(number) for number in numbers)
    body = s3.get_object(Bucket="bucket", Key="copy")["Body"]
    assert digest(body.iter_chunks(MIB)) == expected
    across = s3.get_object(Bucket="bucket", Key="copy", Range=f"bytes={PART_BYTES - 10}-{PART_BYTES + 9}")
    assert across["Body"].read() == part(1)[-10:] + part(2)[:10]
    growth = resident_bytes(server, "VmHWM") - before
    print(f"{LARGE_OBJECT_BYTES // MIB} MiB in and out: resident memory grew by {growth / MIB:.1f} MiB")
    assert growth < GROWTH_BYTES_MAX


@pytest.mark.parametrize("durability", ["process", "power"])
def test_every_acknowledged_part_survives_kill9(start, tmp_path, durability):
    server = start(directory=tmp_path / "data", durability=durability)
    server.s3.create_bucket(Bucket="bucket")
    id = server.s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    acknowledged = {}

    def upload_all(numbers):
        for number in numbers:
            try:
                acknowledged[number] = upload(server.s3, id, number)
            except Exception:
                return  # The server is gone.

    threads = [threading.Thread(target=upload_all, args=(range(first, 100, 3),)) for first in (1, 2, 3)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 6:
        time.sleep(0.01)
    server.kill9()
    for thread in threads:
        thread.join()
    server.start()
    listed = server.s3.list_parts(Bucket="bucket", Key="k", UploadId=id)["Parts"]
    listed = {each["PartNumber"]: each["ETag"] for each in listed}
    assert acknowledged.keys() <= listed.keys()
    parts = [{"PartNumber": number, "ETag": listed[number]} for number in sorted(listed)]
    server.s3.complete_multipart_upload(
        Bucket="bucket", Key="k", UploadId=id, MultipartUpload={"Parts": parts}
    )
    server.restart()
    body = server.s3.get_object(Bucket="bucket", Key="k")["Body"]
    assert digest(body.iter_chunks(MIB)) == digest(part(number) for number in sorted(listed))


def test_files_go_with_the_last_object_that_needs_them(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=bytes(3 * MIB))
    s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/k")
    s3.delete_object(Bucket="bucket", Key="k")

    def files():
        return list((durable.directory / "blobs").glob("*.blob"))

    time.sleep(0.5)
    assert len(files()) == 1
    s3.delete_object(Bucket="bucket", Key="copy")
    deadline = time.monotonic() + 20
    while files() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert files() == []


def test_a_damaged_body_is_an_error_and_never_served(durable):
    s3 = durable.s3
    s3.create_bucket(Bucket="bucket")
    body = part(1)[: 3 * MIB]
    s3.put_object(Bucket="bucket", Key="damaged", Body=body)
    s3.put_object(Bucket="bucket", Key="whole", Body=body)
    durable.stop()
    file = sorted((durable.directory / "blobs").glob("*.blob"))[0]
    with file.open("r+b") as opened:
        opened.seek(MIB + 5)
        opened.write(b"\xff")
    durable.start()
    failed = 0
    for key in ("damaged", "whole"):
        try:
            assert durable.s3.get_object(Bucket="bucket", Key=key)["Body"].read() == body
        except Exception:
            failed += 1
    assert failed == 1
    assert plain(durable.s3.head_object(Bucket="bucket", Key="damaged"))["ContentLength"] == 3 * MIB
