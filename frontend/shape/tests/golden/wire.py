"""botocore on one side, the codecs' oracle on the other, and no network between.

A client's request is caught before it is sent and given to `examples/oracle.rs` to read; what that writes as an answer is
handed to the client to parse.
"""

import base64
import copy
import datetime
import io
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

OPERATIONS = {
    "s3": """CreateBucket ListBuckets HeadBucket DeleteBucket GetBucketLocation PutObject GetObject HeadObject DeleteObject
        DeleteObjects CopyObject ListObjects ListObjectsV2 CreateMultipartUpload UploadPart CompleteMultipartUpload
        AbortMultipartUpload ListParts ListMultipartUploads""".split(),
    "sqs": """CreateQueue GetQueueUrl ListQueues DeleteQueue GetQueueAttributes SetQueueAttributes PurgeQueue SendMessage
        SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility
        ChangeMessageVisibilityBatch TagQueue UntagQueue ListQueueTags""".split(),
    "sts": ["GetCallerIdentity"],
}


class Oracle:
    """The codecs, a line of JSON in and out."""

    def __init__(self):
        target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parents[4] / "target")
        self.process = subprocess.Popen([f"{target}/debug/examples/oracle"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the oracle died of {command}")
        return json.loads(line)


class Raw(io.BytesIO):
    """A body as urllib3 would give it."""

    def stream(self, *_, **__):
        contents = self.read()
        while contents:
            yield contents
            contents = self.read()


def legacy_models():
    """A data path with the last SQS model that spoke the query protocol: LEGACY_BOTOCORE is an unpacked 1.31.80."""
    source = pathlib.Path(os.environ["LEGACY_BOTOCORE"]) / "botocore/data/sqs"
    directory = tempfile.mkdtemp()
    shutil.copytree(source, f"{directory}/sqs")
    return directory


class Client:
    """A botocore client whose requests are caught, and answered by `answer`."""

    def __init__(self, service):
        if service == "sqs":
            os.environ["AWS_DATA_PATH"] = legacy_models()
        session = botocore.session.Session()
        self.service = service
        self.client = session.create_client(
            service, region_name="us-east-1", endpoint_url="http://localhost:4566", aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                          response_checksum_validation="when_required", retries={"max_attempts": 1},
                          parameter_validation=True))
        self.client.meta.events.register(f"before-send.{service}", self.catch)
        self.request = None
        self.answer = None

    def catch(self, request, **_):
        split = urllib.parse.urlsplit(request.url)
        body = request.body
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, str):
            body = body.encode()
        text = lambda value: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        self.request = {
            "service": self.service,
            "method": request.method,
            "target": split.path + (f"?{split.query}" if split.query else ""),
            "headers": [[text(name), text(value)] for name, value in request.headers.items()
                        if not text(name).lower().startswith(("authorization", "user-agent", "x-amz-date", "amz-sdk"))],
            "body": base64.b64encode(body or b"").decode(),
        }
        answer = self.answer or {"status": 200, "headers": {}, "body": ""}
        content = b"" if request.method == "HEAD" else base64.b64decode(answer["body"])
        return AWSResponse(request.url, answer["status"], answer["headers"], Raw(content))

    def model(self, operation):
        return self.client.meta.service_model.operation_model(operation)

    def call(self, operation, params, answer=None):
        """Makes the call; its request is in `request` afterwards."""
        self.answer = answer
        method = {name: python for python, name in self.client.meta.method_to_api_mapping.items()}[operation]
        return getattr(self.client, method)(**copy.deepcopy(params))


def normal(shape, value):
    """A value in the oracle's neutral form."""
    if shape.type_name == "structure":
        return {name: normal(shape.members[name], member) for name, member in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [normal(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: normal(shape.value, item) for key, item in value.items()}
    if shape.type_name == "blob":
        if hasattr(value, "read"):
            value = value.read()
        return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
    if shape.type_name == "timestamp":
        if isinstance(value, str):
            return value
        delta = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (delta.days * 86400 + delta.seconds) * 1000 + delta.microseconds // 1000
    return value
