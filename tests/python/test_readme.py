"""The README holds: its session runs as it stands, its tables are those of the program."""

import os
import re
import subprocess
import sys
from pathlib import Path

from cumulog import ROOT, binary, environment, free_port

README = (ROOT / "README.md").read_text()


def test_the_session_runs_as_it_stands(tmp_path):
    [session] = re.findall(r"```sh\n(cargo build --release\n.*?)```", README, re.DOTALL)
    expected = re.findall(r"^# → (.*)$", session, re.MULTILINE)
    assert len(expected) == 3
    # The binary is the one under test, and the port is free.
    (tmp_path / "target/release").mkdir(parents=True)
    (tmp_path / "target/release/cumulog").symlink_to(Path(binary()).resolve())
    (tmp_path / "cargo").write_text("#!/bin/sh\n")
    (tmp_path / "cargo").chmod(0o755)
    port = str(free_port())
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = environment(
        PATH=path, CUMULOG_PORT=port, AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, NO_PROXY="*"
    )
    # Whatever goes wrong, no server stays behind.
    script = "trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n" + session.replace("4566", port)
    ended = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line.strip() for line in ended.stdout.splitlines()]
    said = f"{ended.stdout}\n{ended.stderr}"
    for line in expected:
        assert line in lines, f"no `{line}` in:\n{said}"
        lines = lines[lines.index(line) + 1 :]
    assert "error" not in said.lower(), said
    assert "unclean stop" in said


def test_the_settings_are_those_of_the_program():
    text = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    table = README.partition("## Settings")[2]
    assert set(re.findall(r"^\| `(--[a-z-]+)`", table, re.MULTILINE)) | {"--help", "--version"} == set(
        re.findall(r"(--[a-z-]+)\b(?: <|  )", text)
    )
    assert set(re.findall(r"CUMULOG_[A-Z_]+", text)) == set(re.findall(r"`(CUMULOG_[A-Z_]+)`", table))


def test_the_operations_are_those_of_the_program(server):
    services = server.get("/_cumulog/info")["services"]
    rows = re.findall(
        r"^\| (\w+) \| [^|]+ \| ([A-Z]\w+(?:, \w+)*) \|$", README.partition("## What works")[2], re.MULTILINE
    )
    told = {name.lower(): set(operations.split(", ")) for name, operations in rows}
    assert told.keys() == services.keys()
    for name, service in services.items():
        assert told[name] == set(service["implemented"]), f"should be: {', '.join(sorted(service['implemented']))}"


def test_the_durability_table_speaks_the_programs_words(start, tmp_path):
    table = README.partition("## What survives what")[2].partition("\n\nThe level")[0]
    for durability in ("process", "power"):
        survives = start(directory=tmp_path / durability, durability=durability).get("/_cumulog/health")["survives"]
        [row] = [line for line in table.splitlines() if line.startswith(f"| `{durability}`")]
        assert row.split("|")[3].strip() in survives
