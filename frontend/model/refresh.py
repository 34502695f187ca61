#!/usr/bin/env python3
"""Refreshes aws/*.json from pinned botocore wheels: the service models without their prose.

    ./refresh.py            downloads the wheels with `pip download` and rewrites aws/
    ./refresh.py --check    fails if that would change anything

Only traits that build.rs reads are kept. What the current SQS model lost when the service moved from the query protocol
to JSON (names on the wire, result wrappers, error codes) comes from the last model that had it, under keys of our own:
`legacyName` on members and elements, `queryCode` in `error`.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

CURRENT = ("1.44.5", "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921")
LEGACY = ("1.31.80", "1c693c0f8b2553fcbe0df223241191e6f9f60b4245d65c1822c08f659274fef2")

HERE = pathlib.Path(__file__).parent
AWS = HERE / "aws"

METADATA = """apiVersion endpointPrefix jsonVersion protocol protocols serviceId signatureVersion signingName targetPrefix
    xmlNamespace awsQueryCompatible""".split()
OPERATION = "http input output errors httpChecksum httpChecksumRequired authtype".split()
IO = "shape locationName xmlNamespace payload resultWrapper".split()
SHAPE = """type members required payload member key value flattened enum min max pattern sensitive locationName xmlNamespace
    timestampFormat union document eventstream event streaming error exception fault""".split()
MEMBER = """shape location locationName queryName flattened streaming xmlAttribute xmlNamespace timestampFormat
    idempotencyToken jsonvalue eventpayload eventheader""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if anything would change")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as directory:
        current = wheel(directory, *CURRENT)
        legacy = wheel(directory, *LEGACY)
        files = {f"{name}.json": render(model(current, legacy, entry.get("model", name)))
                 for name, entry in json.loads((HERE / "services.json").read_text()).items()}
        files |= {name: current.read(next(entry for entry in current.namelist() if entry.endswith(member))).decode()
                  for name, member in (("LICENSE", "dist-info/LICENSE.txt"), ("NOTICE", "dist-info/NOTICE"))}
    stale = [name for name, text in files.items() if not (AWS / name).exists() or (AWS / name).read_text() != text]
    if check:
        sys.exit(f"stale: {', '.join(stale)}" if stale else 0)
    for name in stale:
        (AWS / name).write_text(files[name])


def wheel(directory, version, sha256):
    """The botocore wheel of `version`, refused unless it has the pinned hash."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", directory,
                    f"botocore=={version}"], check=True)
    path = pathlib.Path(directory) / f"botocore-{version}-py3-none-any.whl"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"error: {path.name} has sha256 {found}, not the pinned {sha256}")
    return zipfile.ZipFile(path)


def model(current, legacy, name):
    stripped = strip(load(current, name))
    if "awsQueryCompatible" in stripped["metadata"]:
        restore_query(stripped, load(legacy, name))
    return stripped


def load(archive, name):
    """The newest model of service `name` in `archive`."""
    prefix = f"botocore/data/{name}/"
    path = max(entry for entry in archive.namelist() if entry.startswith(prefix) and "/service-2.json" in entry)
    content = archive.read(path)
    return json.loads(gzip.decompress(content) if path.endswith(".gz") else content)


def strip(model):
    return {
        "metadata": keep(model["metadata"], METADATA),
        "operations": {name: strip_operation(operation) for name, operation in model["operations"].items()},
        "shapes": {name: strip_shape(shape) for name, shape in model["shapes"].items()},
    }


def strip_operation(operation):
    kept = keep(operation, OPERATION)
    for side in ("input", "output"):
        if side in kept:
            kept[side] = keep(kept[side], IO)
    if "errors" in kept:
        kept["errors"] = [error["shape"] for error in kept["errors"]]
    return kept


def strip_shape(shape):
    kept = keep(shape, SHAPE)
    if "members" in kept:
        kept["members"] = {name: keep(member, MEMBER) for name, member in kept["members"].items()}
    for part in ("member", "key", "value"):
        if part in kept:
            kept[part] = keep(kept[part], MEMBER)
    return kept


def restore_query(model, legacy):
    """Adds to a JSON model what only its query-protocol ancestor says."""
    model["metadata"]["xmlNamespace"] = legacy["metadata"]["xmlNamespace"]
    model["metadata"]["protocols"].append("query")
    for name, operation in model["operations"].items():
        wrapper = legacy["operations"].get(name, {}).get("output", {}).get("resultWrapper")
        if wrapper:
            operation["output"]["resultWrapper"] = wrapper
    for name, shape in model["shapes"].items():
        old = legacy["shapes"].get(name, {})
        if "error" in old:
            code = old["error"].pop("code", name)
            shape["error"] = old["error"] | ({"queryCode": code} if code != name else {})
        for member, target in shape.get("members", {}).items():
            former = old.get("members", {}).get(member, {})
            # A member without a name of its own goes by its shape's.
            restore_name(target, legacy["shapes"].get(former.get("shape"), {}) | former)
        for part in ("member", "key", "value"):
            if part in shape:
                restore_name(shape[part], old.get(part, {}))


def restore_name(target, old):
    if "locationName" in old:
        target["legacyName"] = old["locationName"]


def keep(entry, names):
    return {name: entry[name] for name in names if name in entry}


def render(model):
    """JSON with one operation or shape a line, so that a refresh reads well as a diff."""
    sections = []
    for title, entries in model.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
        sections.append(f" {json.dumps(title)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    main()
