"""Starts, kills and restarts the emulator, and talks to it as an AWS account.

Everything a test needs is on `Cumulog`:

    server = Cumulog(directory).start()
    server.s3.put_object(Bucket="bucket", Key="k", Body=b"v")
    server.kill9()
    server.start()          # the same directory and the same port: clients go on working
    server.stop()           # SIGTERM; fails unless it exits 0
"""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30


def binary() -> str:
    """The binary under test: `CUMULOG_BIN`, or what cargo built last."""
    if given := os.environ.get("CUMULOG_BIN"):
        return given
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "debug/cumulog", target / "release/cumulog") if path.exists()]
    assert built, f"no binary in {target}: build it, or set CUMULOG_BIN"
    return str(max(built, key=lambda path: path.stat().st_mtime))


def environment(**overrides) -> dict:
    """This process's environment without what would reach the binary or an SDK by accident."""
    foreign = ("AWS_", "CUMULOG_", "KUMO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {name: str(value) for name, value in overrides.items()}


def client_environment(url: str, **overrides) -> dict:
    """The environment of an AWS client that is to talk to `url`."""
    return environment(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION=REGION,
        AWS_ENDPOINT_URL=url,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_MAX_ATTEMPTS=1,
        AWS_PAGER="",
        NO_PROXY="*",
        **overrides,
    )


def free_port() -> int:
    """A port that nothing listens on, below the range that outgoing connections take theirs from.

    So nobody takes it between a kill and the restart.
    """
    for _ in range(1000):
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


def boto3_client(service: str, url: str, access_key: str = "test", region: str = REGION, **config):
    """A client that tries once and goes nowhere but `url`."""
    defaults = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "s3": {"addressing_style": "path"},
        "connect_timeout": 5,
        "read_timeout": 60,
        "max_pool_connections": 64,
        "proxies": {},
    }
    return _session().client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key="secret",
        config=Config(**(defaults | config)),
    )


@cache
def _session() -> boto3.session.Session:
    """One session for all clients: it keeps the service models, which take long to load."""
    return boto3.session.Session()


class Cumulog:
    """One emulator process at a time, on one directory and one port."""

    def __init__(self, directory=None, *arguments, durability=None, env=None, port=None):
        self.directory = Path(directory) if directory is not None else None
        self.arguments = [str(argument) for argument in arguments]
        self.durability = durability
        self.wrapper = []  # a command that ends by running its arguments
        self.env = environment(**(env or {}))
        # Whoever restarts needs a port that stays; others take what the kernel gives.
        self.port = port if port is not None else (free_port() if directory is not None else 0)
        self.process = None
        self._log = tempfile.NamedTemporaryFile(prefix="cumulog-", suffix=".log")

    # Life and death.

    def command(self) -> list:
        command = [*self.wrapper, binary(), "--port", str(self.port), *self.arguments]
        if self.directory is not None:
            command += ["--data-dir", str(self.directory)]
        if self.durability is not None:
            command += ["--durability", self.durability]
        return command

    def spawn(self) -> None:
        """Starts the binary without waiting for it to be ready."""
        assert not self.running, "already started"
        self._log.seek(0)
        self._log.truncate()
        with open(self._log.name, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env
            )

    def start(self) -> "Cumulog":
        """Starts the binary and waits for the address that it prints."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (address := re.search(r"http://[^\s:/]+:(\d+)", self.log)):
            if self.process.poll() is not None:
                raise AssertionError(f"exited with {self.process.returncode} at start:\n{self.log}")
            if time.monotonic() > deadline:
                self.kill9()
                raise AssertionError(f"no address within {START_SECONDS_MAX} s:\n{self.log}")
            time.sleep(0.002)
        self.port = int(address.group(1))
        return self

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Asks it to stop; fails unless it does, with exit code 0."""
        if not self.running:
            return
        self.process.send_signal(signal_number)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"did not stop within {STOP_SECONDS_MAX} s:\n{self.log[-4000:]}") from None
        assert code == 0, f"stopped with exit code {code}:\n{self.log[-4000:]}"

    def kill9(self) -> None:
        """Kills it as the kernel would: no handler runs, nothing is flushed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self, unclean: bool = False) -> "Cumulog":
        self.kill9() if unclean else self.stop()
        return self.start()

    def close(self) -> None:
        """For fixtures: ends it, however it stands, and drops its log."""
        try:
            self.stop()
        finally:
            self.kill9()
            self._log.close()

    def __enter__(self) -> "Cumulog":
        return self.start()

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """All that the running process has printed, standard output and error together."""
        return Path(self._log.name).read_text(errors="replace")

    # Talking to it.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, **config):
        return boto3_client(service, self.url, **config)

    @cached_property
    def s3(self):
        return self.client("s3")

    @cached_property
    def dynamodb(self):
        return self.client("dynamodb")

    @cached_property
    def dynamodbstreams(self):
        return self.client("dynamodbstreams")

    @cached_property
    def sqs(self):
        return self.client("sqs")

    @cached_property
    def sts(self):
        return self.client("sts")

    def get(self, path: str):
        """The JSON answer to a GET on the control plane."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def aws(self, *arguments, **env) -> subprocess.CompletedProcess:
        """Runs the AWS CLI; its output is text.

        The endpoint is an argument: for `sqs`, version 1 of the CLI ignores the variable and calls AWS.
        """
        command = Path(sys.executable).with_name("aws")
        return subprocess.run(
            [str(command), "--endpoint-url", self.url, *map(str, arguments)],
            env=client_environment(self.url, **env),
            capture_output=True,
            text=True,
            timeout=120,
        )


def check_verified(directory) -> None:
    """Fails if `cumulog verify` finds damage; what a crash leaves is none."""
    command = [binary(), "verify", str(directory)]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def plain(answer):
    """An SDK answer without what differs from one request to the next, with streams read."""
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items() if key != "ResponseMetadata"}
    if isinstance(answer, (list, tuple)):
        return [plain(value) for value in answer]
    return answer.read() if hasattr(answer, "read") else answer


def restarted(server: Cumulog, read):
    """Checks that `read()` gives the same before and after `kill -9`, and after a clean restart.

    Returns what it gave. Answers may be returned as they are: `plain` is applied.
    """
    before = plain(read())
    for unclean in (True, False):
        server.restart(unclean=unclean)
        after = plain(read())
        assert after == before, f"after {'kill -9' if unclean else 'a clean stop'}"
    return before


def error_code(call, *arguments, **parameters) -> str:
    """The error code that an SDK call is refused with."""
    import botocore.exceptions

    try:
        answer = call(*arguments, **parameters)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"not refused: {answer}")


def authorization(service: str, access_key: str = "test", region: str = REGION) -> dict:
    """An `Authorization` header with a scope for `service`; its signature is nonsense."""
    scope = f"{access_key}/20260101/{region}/{service}/aws4_request"
    value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
    return {"Authorization": value}


@dataclass
class Answer:
    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def wait_for(condition, seconds=10):
    """Returns once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def request(server: Cumulog, method: str, path: str, headers=None, body=None, service=None) -> Answer:
    """One HTTP request as given, with no SDK in between; `service` adds an `Authorization` for it."""
    headers = (authorization(service) if service else {}) | (headers or {})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None and not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, fields, answer.read())
    finally:
        connection.close()


def json_request(server: Cumulog, service: str, target: str, body, version="1.0") -> Answer:
    """An awsJson request; a `body` that is not bytes is written as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}
    return request(server, "POST", "/", headers, body, service=service)
