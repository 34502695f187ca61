#!/usr/bin/env python3
"""Writes rpc.json: inputs and outputs of every implemented RPC operation, as botocore's own serializers write them.

    ./rpc.py [seed]

`golden_rpc.rs` reads each body into the generated type and writes it back: JSON must mean the same, CBOR be the same bytes.
What botocore's parsers make of botocore's bytes is compared here, so an answer of ours parses to what we meant.
"""

import base64
import datetime
import gzip
import json
import pathlib
import random
import sys

import botocore
from botocore import parsers, serialize
from botocore.model import ServiceModel

HERE = pathlib.Path(__file__).parent
SERVICES = {"dynamodb": "2012-08-10", "sqs": "2012-11-05"}
TEXTS = ["", "a", "é", "日本", "😀", "\"q\" \\ /", "l1\nl2\t\r\b\f", "\u0001\u001f\u007f", "\u2028", "x" * 30, "y" * 300]
CASES = 2


class Maker:
    """Random values of a shape. Members stand in the model's order."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, shape, depth=0):
        return getattr(self, shape.type_name)(shape, depth)

    def structure(self, shape, depth):
        if shape.name == "AttributeValue":
            names = [name for name in shape.members if depth < 6 or name not in ("M", "L")]
            chosen = [self.random.choice(names)]
        else:
            chance = self.random.choice([0.15, 0.6]) if depth else 0.8
            chosen = [name for name in shape.members if name in shape.required_members
                      or depth < 5 and self.random.random() < chance]
        return {name: self.value(shape.members[name], depth + 1) for name in chosen}

    def list(self, shape, depth):
        return [self.value(shape.member, depth + 1) for _ in range(self.random.randint(0, 2))]

    def map(self, shape, depth):
        keys = sorted({self.value(shape.key, depth + 1) for _ in range(self.random.randint(0, 2))})
        return {key: self.value(shape.value, depth + 1) for key in keys}

    def string(self, shape, depth):
        return self.random.choice(shape.enum or TEXTS)

    def blob(self, shape, depth):
        return self.random.randbytes(self.random.choice([0, 1, 2, 3, 30]))

    def boolean(self, shape, depth):
        return self.random.random() < 0.5

    def integer(self, shape, depth):
        return self.random.choice([0, 1, 23, 24, -1, -25, 255, 256, 65536, 2**31 - 1, -(2**31)])

    def long(self, shape, depth):
        return self.random.choice([self.integer(shape, depth), 2**32, 2**63 - 1, -(2**63)])

    def double(self, shape, depth):
        return self.random.choice([0.0, 1.5, -2.0, 1e300, 0.1, 1e-7])

    def timestamp(self, shape, depth):
        seconds = self.random.choice([0, 1_700_000_000, -86_400]) + self.random.choice([0, 0.5, 0.125])
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def main():
    maker = Maker(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    implemented = json.loads((HERE / "../../../model/services.json").read_text())
    cases = []
    for service, version in SERVICES.items():
        model = load(service, version)
        for name in implemented[service]["operations"]:
            operation = model.operation_model(name)
            for side, shape in (("input", operation.input_shape), ("output", operation.output_shape)):
                for _ in range(CASES if shape else 0):
                    cases.append(case(service, name, side, shape, maker.value(shape)))
    lines = ",\n".join(json.dumps(entry) for entry in cases)
    (HERE / "rpc.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases of botocore {botocore.__version__}")


def load(service, version):
    path = pathlib.Path(botocore.__file__).parent / f"data/{service}/{version}/service-2.json.gz"
    return ServiceModel(json.loads(gzip.decompress(path.read_bytes())), service)


def case(service, operation, side, shape, value):
    as_json = write_json(shape, value)
    as_cbor = write_cbor(shape, value)
    assert parse(parsers.JSONParser(), shape, as_json.encode()) == clean(value, shape)
    assert parse(parsers.RpcV2CBORParser(), shape, as_cbor) == clean(value, shape)
    return {"service": service, "operation": operation, "side": side, "json": as_json,
            "cbor": base64.b64encode(as_cbor).decode()}


def write_json(shape, value):
    body = {}
    serialize.JSONSerializer()._serialize(body, value, shape)
    return json.dumps(body)


def write_cbor(shape, value):
    body = bytearray()
    serialize.RpcV2CBORSerializer()._serialize_data_item(body, value, shape)
    return bytes(body)


def parse(parser, shape, body):
    content_type = "application/cbor" if isinstance(parser, parsers.RpcV2CBORParser) else "application/json"
    headers = {"content-type": content_type, "smithy-protocol": "rpc-v2-cbor"}
    parsed = parser.parse({"status_code": 200, "headers": headers, "body": body}, shape)
    parsed.pop("ResponseMetadata")
    return clean(parsed, shape)


def clean(value, shape):
    """Times as numbers: parsers give them the machine's zone."""
    if shape.type_name == "structure":
        return {name: clean(member, shape.members[name]) for name, member in value.items()}
    if shape.type_name == "list":
        return [clean(member, shape.member) for member in value]
    if shape.type_name == "map":
        return {key: clean(member, shape.value) for key, member in value.items()}
    if shape.type_name == "timestamp":
        return value.timestamp()
    return value


if __name__ == "__main__":
    main()
