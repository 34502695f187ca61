#!/usr/bin/env python3
"""Random requests from botocore read by the codecs, random answers of the codecs read by botocore.

    cargo build -p cumulog-shape --example oracle
    LEGACY_BOTOCORE=… ./fuzz.py [rounds] [seed]
"""

import datetime
import random
import sys
import urllib.parse

from botocore.exceptions import ClientError

from wire import OPERATIONS, Client, Oracle, normal

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1

# What clients add on their own.
ADDED = {"ContentMD5", "ContentLength", "ContentType", "EncodingType", "SSECustomerKeyMD5", "CopySourceSSECustomerKeyMD5"}
# What clients rewrite.
REWRITTEN = {"SSECustomerKey", "SSECustomerKeyMD5", "CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5", "CopySource"}

TEXTS = ["a", "", " a  b ", "a&b<c>\"d'", "é", "日本", "😀", "a+b%20c", "x=y&z", "l1\nl2\tt", "\u2028", "]]>", "&amp;", "a,b", "a;b", "~", "%", "."]
KEYS = TEXTS[2:] + ["a//b", "/a", "a/../b", "../x", "a/", "//", "?x", "#y", "a\\b", "a b+c", "a%2Fb", "\r"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, shape, place, name, depth=0):
        return getattr(self, shape.type_name)(shape, place, name, depth)

    def structure(self, shape, place, name, depth):
        required = shape.required_members if depth < 12 else []
        if getattr(shape, "is_tagged_union", False):
            names = [self.random.choice(list(shape.members))]
        else:
            chance = self.random.choice([0.1, 0.5, 0.9])
            # botocore makes a timestamp of `Expires`, which the model calls a string.
            names = [n for n in shape.members
                     if n in required or (n != "Expires" and depth < 6 and self.random.random() < chance)]
        location = lambda n: shape.members[n].serialization.get("location") or place
        return {n: self.value(shape.members[n], location(n), n, depth + 1) for n in names}

    def list(self, shape, place, name, depth):
        # An empty flattened list leaves no trace in XML, and so reads as absent.
        empty = place == "xml" and not shape.serialization.get("flattened")
        low = max(shape.metadata.get("min", 0), 0 if empty else 1)
        return [self.value(shape.member, place, name, depth + 1) for _ in range(self.random.randint(low, low + 3))]

    def map(self, shape, place, name, depth):
        keys = {self.key(shape.key, place) for _ in range(self.random.randint(1, 3))}
        return {key: self.value(shape.value, place, name, depth + 1) for key in keys}

    def key(self, shape, place):
        if shape.enum:
            return self.random.choice(shape.enum)
        return self.random.choice(["a", "b-c", "d.e", "f_g"] if place == "headers" else ["a", "b.c", "é", "d e", "1"])

    def string(self, shape, place, name, depth):
        if name in ("ChecksumAlgorithm", "ChecksumMode"):
            # All algorithms need libraries that may not be here.
            return {"ChecksumAlgorithm": "SHA256", "ChecksumMode": "ENABLED"}[name]
        if shape.enum:
            return self.random.choice(shape.enum)
        if name == "Bucket":
            return self.random.choice(["bucket", "my-bucket.example", "b12"])
        if name in ("CopySource",):
            return "bucket/" + self.random.choice(["a", "é b", "x?versionId=1"])
        if name in ("SSECustomerKey", "CopySourceSSECustomerKey"):
            return "0123456789abcdef0123456789abcdef"
        if name == "Key":
            # XML turns a bare `\r` into `\n`, and botocore writes it bare.
            return self.random.choice([key for key in KEYS if place != "xml" or key != "\r"])
        if place in ("header", "headers"):
            return self.random.choice(["a", "a b", "\"etag\"", "x,y", "t/p; q=1", "~!@#$%^&*()_+"])
        low = shape.metadata.get("min", 0)
        text = self.random.choice(TEXTS)
        return text if len(text) >= low else "x" * low

    def integer(self, shape, place, name, depth):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 2**31 - 1)
        return self.random.choice([low, low + 1, (low + high) // 2, high])

    def long(self, shape, place, name, depth):
        return self.random.choice([0, 1, 2**40, 2**62])

    def boolean(self, shape, place, name, depth):
        return self.random.random() < 0.5

    def float(self, shape, place, name, depth):
        return self.random.choice([0.5, 1.0, 1e10])

    double = float

    def blob(self, shape, place, name, depth):
        return self.random.choice([b"", b"x", bytes(range(256)), b"<xml>&\r\n"])

    def timestamp(self, shape, place, name, depth):
        at = datetime.datetime.fromtimestamp(self.random.randint(0, 4_000_000_000), datetime.timezone.utc)
        if place in ("xml", "query") and shape.serialization.get("timestampFormat") in (None, "iso8601"):
            at = at.replace(microsecond=self.random.choice([0, 123000, 7000]))
        return at


def check_request(oracle, client, operation, params):
    shape = client.model(operation).input_shape
    expected = normal(shape, params) if shape else {}
    found = oracle.ask(do="read", **client.request)
    assert "error" not in found, (found, client.request)
    assert found["operation"] == operation, (found, client.request)
    assert found["missing"] == [], (found, client.request)
    actual = found["input"]
    if not actual.get("Body") and "Body" not in expected:
        actual.pop("Body", None)
    for name in list(actual):
        if name not in expected and (name in ADDED or name.startswith("Checksum")):
            del actual[name]
    for name in REWRITTEN & set(expected):
        if name == "CopySource":
            assert urllib.parse.unquote(actual[name]) == urllib.parse.unquote(expected[name]), (actual, expected)
        expected.pop(name), actual.pop(name)
    # A query-string member that the query protocol cannot say: an empty list in a header, an empty map.
    expected = prune(expected)
    assert prune(actual) == expected, f"{operation}\n read {actual}\n sent {expected}\n wire {client.request}"


def prune(value):
    """Leaves out what no wire form can say: empty lists, maps and structures."""
    if isinstance(value, dict):
        return {name: prune(item) for name, item in value.items() if prune(item) not in ({}, [])}
    if isinstance(value, list):
        return [prune(item) for item in value]
    return value


def check_answer(oracle, client, operation, params, output):
    shape = client.model(operation).output_shape
    expected = normal(shape, output) if shape else {}
    # Clients undo the URL encoding of keys, whatever it is.
    expected.pop("EncodingType", None)
    answer = oracle.ask(do="write", service=client.service, operation=operation, output=expected)
    parsed = client.call(operation, params, answer)
    status = parsed.pop("ResponseMetadata")["HTTPStatusCode"]
    assert status == answer["status"]
    actual = normal(shape, parsed) if shape else {}
    if client.request["method"] == "HEAD" or operation == "GetObject":
        for name in ("ContentLength",):
            actual.pop(name, None), expected.pop(name, None)
    if operation == "GetObject":
        actual.setdefault("Body", ""), expected.setdefault("Body", "")
    expires = lambda value: {name: item for name, item in value.items() if name not in ("Expires", "ContentType")}
    actual, expected = expires(prune(actual)), expires(prune(expected))
    if operation == "GetBucketLocation":
        actual = {name: item for name, item in actual.items() if item}
    assert actual == expected, f"{operation}\n parsed {actual}\n output {expected}\n wire {answer}"


def body_place(service, shape):
    return "query" if service in ("sqs", "sts") else "xml"


def main():
    oracle = Oracle()
    count = 0
    for service, operations in OPERATIONS.items():
        client = Client(service)
        for operation in operations:
            model = client.model(operation)
            for round in range(ROUNDS):
                seed = f"{SEED}/{operation}/{round}"
                maker = Maker(seed)
                make = lambda shape: maker.value(shape, body_place(service, shape), operation) if shape else {}
                params, output = make(model.input_shape), make(model.output_shape)
                if operation == "GetObject":
                    # The client would check them.
                    output = {name: value for name, value in output.items() if not name.startswith("Checksum")}
                if "Body" in (model.output_shape.members if model.output_shape else {}):
                    output["ContentLength"] = len(output.setdefault("Body", b""))
                try:
                    client.request = None
                    try:
                        client.call(operation, params)
                    except Exception as error:
                        if client.request is None:
                            raise
                    check_request(oracle, client, operation, params)
                    check_answer(oracle, client, operation, params, output)
                except Exception as error:
                    print(f"{seed}: {type(error).__name__}: {error}\n")
                    count += 1
                    if count > 8:
                        sys.exit(1)
                    break
    print(f"{count} failures")
    sys.exit(count > 0)


if __name__ == "__main__":
    main()
