"""The program as its user meets it: flags, environment, what it prints, how it ends."""

import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib
from pathlib import Path

import pytest

from cumulog import Cumulog, binary, environment, error_code, free_port, request, wait_for


def run(*arguments, **env):
    """Runs the binary to its end; it is not to start serving."""
    return subprocess.run(
        [binary(), *map(str, arguments)], env=environment(**env), capture_output=True, text=True, timeout=30
    )


def refused(*arguments, **env) -> str:
    """Runs the binary, which is to give up; returns what it says on standard error."""
    ended = run(*arguments, **env)
    assert ended.returncode not in (0, 101), ended
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    return ended.stderr


def state_of(directory: Path) -> dict:
    """Name and content of every file that holds state."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "LOCK")
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Starting.


def test_the_startup_block_of_an_ephemeral_server(start):
    server = start("--log", "off")
    assert re.fullmatch(
        r"cumulog \d+\.\d+\.\d+\n"
        rf"  address     http://127\.0\.0\.1:{server.port}\n"
        r"  state       ephemeral: in memory, gone when this process ends\n"
        r"  memory      up to [\d.]+ [KMG]iB for the state, 50% of [\d.]+ [KMG]iB\n"
        r"  services    .*\bs3\b.*\n"
        r"Ready\.\n",
        server.log,
    ), server.log


def test_the_startup_block_of_a_durable_server(durable):
    lines = dict(re.findall(r"^  (\w+(?: \w+)?) {2,}(.*)$", durable.log, re.MULTILINE))
    assert lines["address"] == durable.url
    assert lines["state"] == "durable (process): survives kill -9, OOM kill, panic, container stop"
    assert lines["data"] == str(durable.directory)
    assert lines["recovered"].endswith("new or empty")
    durable.sqs.create_queue(QueueName="queue")
    durable.restart()
    assert re.search(r"recovered +LSN \d+ \(\d+ records, \d+ bytes\) in [\d.]+ ms, clean stop", durable.log)
    durable.sqs.create_queue(QueueName="another")
    durable.restart(unclean=True)
    assert "unclean stop" in durable.log


def test_serve_is_the_default_command(start):
    assert start("serve").get("/health") == {"status": "healthy"}


def test_port_0_picks_a_free_port_and_prints_it(start):
    one, two = start(), start()
    assert one.port != two.port
    assert one.get("/health") == two.get("/health") == {"status": "healthy"}


def test_the_default_address_is_loopback(start):
    server = start()
    assert f"http://127.0.0.1:{server.port}" in server.log


@pytest.mark.parametrize(
    "names",
    [
        {"CUMULOG_PORT": "{port}", "CUMULOG_DATA_DIR": "{directory}"},
        {"KUMO_PORT": "{port}", "KUMO_DATA_DIR": "{directory}", "KUMO_HOST": "127.0.0.1"},
        {"CUMULOG_PORT": "{port}", "KUMO_PORT": "1", "CUMULOG_DATA_DIR": "{directory}", "KUMO_DATA_DIR": "/dev/null/x"},
    ],
)
def test_settings_come_from_the_environment(names, tmp_path):
    port, directory = free_port(), tmp_path / "data"
    env = {name: value.format(port=port, directory=directory) for name, value in names.items()}
    with served(env=environment(**env)) as log:
        wait_for(lambda: "Ready." in log())
        assert f"http://127.0.0.1:{port}" in log()
        assert str(directory) in log()


def test_flags_win_over_the_environment(start, tmp_path):
    directory = tmp_path / "flag"
    server = start(directory=directory, env={"CUMULOG_DATA_DIR": tmp_path / "env", "CUMULOG_PORT": 1, "KUMO_PORT": 2})
    assert server.get("/_cumulog/info")["data_dir"] == str(directory)
    assert not (tmp_path / "env").exists()


def test_foreign_settings_are_never_a_reason_not_to_start(start):
    server = start(env={"KUMO_PORT": "nonsense", "KUMO_PERSIST_FLUSH_INTERVAL_MS": "1000", "KUMO_LOG_LEVEL": "warning"})
    for name in ("KUMO_PORT", "KUMO_PERSIST_FLUSH_INTERVAL_MS"):
        wait_for(lambda name=name: name in server.log)


def test_help_and_version():
    version = run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"cumulog \d+\.\d+\.\d+\n", version.stdout)
    text = run("--help")
    assert (text.returncode, text.stderr) == (0, "")
    for name in ("host", "port", "data-dir", "durability", "persist", "services", "log"):
        assert f"--{name} " in text.stdout
        assert f"CUMULOG_{name.upper().replace('-', '_')}" in text.stdout


def test_help_names_every_command_and_its_options():
    overview = run("help")
    assert (overview.returncode, overview.stderr) == (0, "")
    assert overview.stdout == run("--help").stdout
    names = re.findall(r"^  (\w+) ?.*\n      \S", overview.stdout.split("Options of serve")[0], re.MULTILINE)
    assert {"serve", "verify", "help"} <= set(names)
    for name in names:
        text = run("help", name)
        assert (text.returncode, text.stderr) == (0, "")
        assert f"Usage: cumulog {name}" in text.stdout
        assert "Exit codes:" in text.stdout
        assert text.stdout == run(name, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serv"], ["unknown command `serv`", "did you mean `cumulog serve`?"]),
        (["nonsense"], ["unknown command `nonsense`", "there are serve, verify"]),
        (["help", "verfy"], ["unknown command `verfy`", "did you mean `cumulog verify`?"]),
        (["--prot", "1"], ["unknown option `--prot`", "did you mean `--port`?"]),
        (["verify"], ["no directory", "cumulog verify DIR"]),
        (["verify", "d", "--jsn"], ["unknown option `--jsn`", "did you mean `--json`?"]),
        (["verify", "d", "e"], ["\"e\"", "cumulog help verify"]),
        (["--port", "0", "verify"], ["unexpected argument `verify`", "a command stands before its options"]),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_2_and_a_hint(arguments, words):
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ") and "\n\nhint: " in ended.stderr
    for word in words:
        assert word in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prot", "1"], "--prot"),
        (["--port", "65536"], "65536"),
        (["--port"], "--port"),
        (["nonsense"], "nonsense"),
        (["--durability", "power"], "--data-dir"),
        (["--data-dir", "d", "--durability", "always"], "always"),
        (["--services", "s3,sqz"], "sqz"),
        (["--log", "loud"], "loud"),
    ],
)
def test_nonsense_is_refused_by_name(arguments, words):
    assert words in refused(*arguments)


def test_a_bad_value_names_its_variable():
    assert "CUMULOG_PORT" in refused(CUMULOG_PORT="x")


def test_init_scripts_run_in_order_once_the_server_listens(start, tmp_path):
    scripts = tmp_path / "init"
    scripts.mkdir()
    (scripts / "2.sh").write_text(f'echo "two $AWS_ENDPOINT_URL" >> {tmp_path}/out\n')
    (scripts / "1.sh").write_text(f"echo one >> {tmp_path}/out\nexit 3\n")
    (scripts / "ignored.txt").write_text("exit 1\n")
    server = start("--init-dir", scripts)
    wait_for(lambda: (tmp_path / "out").exists() and "two" in (tmp_path / "out").read_text())
    assert (tmp_path / "out").read_text() == f"one\ntwo {server.url}\n"


# What may go wrong at start.


def test_a_port_in_use_is_named(server):
    text = refused("--port", server.port)
    assert f"127.0.0.1:{server.port}" in text
    assert "hint: " in text and "--port" in text


def test_a_locked_directory_names_its_owner(durable):
    durable.sqs.create_queue(QueueName="queue")
    text = refused("--port", 0, "--data-dir", durable.directory)
    assert str(durable.directory) in text
    assert str(durable.process.pid) in text
    assert "hint: " in text and "--data-dir" in text
    # The owner goes on, and so does its directory.
    durable.restart(unclean=True)
    assert durable.sqs.get_queue_url(QueueName="queue")


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    text = refused("--port", 0, "--data-dir", tmp_path / "file" / "data")
    assert str(tmp_path / "file" / "data") in text
    assert "hint: " in text


def test_a_directory_that_is_not_writable_is_named(tmp_path):
    # Root may write everywhere but in the kernel's own file systems.
    directory = Path("/sys/cumulog") if os.geteuid() == 0 else tmp_path / "data"
    if os.geteuid() != 0:
        directory.mkdir(mode=0o555)
    text = refused("--port", 0, "--data-dir", directory)
    assert str(directory) in text
    assert "hint: " in text


def segments(directory: Path) -> list:
    """The log's segments, oldest first; files that were only prepared hold zeros."""
    files = sorted((directory / "log").glob("*.log"))
    return [path for path in files if path.read_bytes()[1:4] == b"CLG"]


def fill(directory: Path) -> None:
    """Leaves a directory that a server wrote to and closed."""
    with Cumulog(directory) as server:
        url = server.sqs.create_queue(QueueName="queue")["QueueUrl"]
        for number in range(50):
            server.sqs.send_message(QueueUrl=url, MessageBody=f"message {number} " + "x" * 200)


def test_damage_is_refused_with_file_offset_and_lsn(tmp_path):
    """A byte of an acknowledged and synced record flips: nothing is guessed, nothing is changed."""
    directory = tmp_path / "data"
    fill(directory)
    segment = segments(directory)[0]
    content = bytearray(segment.read_bytes())
    at = content.index(b"message 7 ")
    content[at] ^= 0x20
    segment.write_bytes(content)
    before = state_of(directory)
    text = refused("--port", 0, "--data-dir", directory)
    assert segment.name in text
    offset = int(re.search(r"at byte (\d+)", text).group(1))
    assert offset <= at < offset + 4096
    assert int(re.search(r"(?:LSN|record) (\d+)", text).group(1)) > 1
    assert "hint: " in text and "nothing was changed" in text
    assert state_of(directory) == before


def test_a_newer_format_is_refused_by_name(tmp_path):
    """A header whose checksum holds and whose version we don't know is not damage."""
    directory = tmp_path / "data"
    fill(directory)
    segment = segments(directory)[-1]
    content = bytearray(segment.read_bytes())
    content[8:10] = struct.pack("<H", 99)
    content[132:136] = struct.pack("<I", zlib.crc32(content[:132]))
    segment.write_bytes(content)
    before = state_of(directory)
    text = refused("--port", 0, "--data-dir", directory)
    assert segment.name in text
    assert "version 99" in text
    assert "hint: " in text
    assert state_of(directory) == before


# Running.


def test_persist_keeps_the_named_services_only(start, tmp_path):
    server = start("--persist", "s3", directory=tmp_path / "data")
    assert re.search(r"sqs \(ephemeral\)", server.log)
    server.s3.create_bucket(Bucket="bucket")
    make_the_rest(server)
    for unclean in (False, True):
        server.restart(unclean=unclean)
        assert [bucket["Name"] for bucket in server.s3.list_buckets()["Buckets"]] == ["bucket"]
        assert error_code(server.sqs.get_queue_url, QueueName="queue").endswith("NonExistentQueue")
        assert server.dynamodb.list_tables()["TableNames"] == []
        make_the_rest(server)


def make_the_rest(server):
    """A queue and a table."""
    server.sqs.create_queue(QueueName="queue")
    server.dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_services_answers_for_the_named_only(start):
    server = start("--services", "sqs")
    server.sqs.create_queue(QueueName="queue")
    assert error_code(server.dynamodb.list_tables) == "NotImplemented"
    answer = request(server, "GET", "/bucket", service="s3")
    assert answer.status == 501 and "s3" in answer.text and "NoSuchBucket" not in answer.text


def test_the_log_has_a_line_for_each_request(durable):
    sent = durable.sqs.create_queue(QueueName="queue")
    request_id = sent["ResponseMetadata"]["RequestId"]
    wait_for(lambda: request_id in durable.log)
    line = next(line for line in durable.log.splitlines() if request_id in line)
    for words in ("sqs", "CreateQueue", "status=200", "lsn=", "duration="):
        assert words in line, line


def test_the_log_can_be_quiet(start):
    server = start("--log", "warn")
    server.sqs.list_queues()
    server.stop()
    assert "ListQueues" not in server.log


# Ending.


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(durable, signal_number):
    durable.sqs.create_queue(QueueName="queue")
    durable.stop(signal_number)  # fails unless the exit code is 0
    durable.start()
    assert "unclean stop" not in durable.log
    assert "clean stop" in durable.log


def test_a_stop_frees_the_directory_and_the_port(durable):
    for _ in range(5):
        durable.restart()
    assert not durable.get("/_cumulog/info")["recovered"]["torn"]


def test_requests_in_progress_are_finished(durable):
    """An upload that is half there when SIGTERM comes is taken whole, acknowledged and kept."""
    durable.s3.create_bucket(Bucket="bucket")
    body = b"x" * 100_000
    with socket.create_connection(("127.0.0.1", durable.port), timeout=20) as connection:
        head = f"PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:1000])
        time.sleep(0.2)
        durable.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(body[1000:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert durable.process.wait(20) == 0
    durable.start()
    assert durable.s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body


def test_long_polls_do_not_hold_up_the_stop(durable):
    url = durable.sqs.create_queue(QueueName="queue")["QueueUrl"]
    answers = []
    poll = lambda: answers.append(durable.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    durable.stop()
    thread.join()
    assert time.monotonic() - began < 5
    assert "Messages" not in answers[0]


def test_idle_connections_do_not_hold_up_the_stop(durable):
    with socket.create_connection(("127.0.0.1", durable.port)):
        durable.sqs.list_queues()  # leaves a kept-alive connection, too
        began = time.monotonic()
        durable.stop()
        assert time.monotonic() - began < 5


# Helpers.


class served:
    """Runs the binary with no arguments; gives a function that returns what it printed."""

    def __init__(self, env):
        self.env = env

    def __enter__(self):
        self.lines = []
        self.process = subprocess.Popen(
            [binary()], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(
            target=lambda: [self.lines.append(line) for line in self.process.stdout], daemon=True
        )
        self.reader.start()
        return lambda: "".join(self.lines)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
