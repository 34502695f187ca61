"""Makes `.venv` with what `requirements.txt` pins; does nothing when it is there already.

Several of these may run at once: a lock lets one of them work and the others wait.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "made-for"


def main() -> None:
    made_for = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    # Beside the environment, not in it, so that it outlives a failed attempt.
    with open(ROOT / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and STAMP.read_text() == made_for:
            return
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        venv.create(ENVIRONMENT, with_pip=True)
        install = [ENVIRONMENT / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", REQUIREMENTS], check=True)
        STAMP.write_text(made_for)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: cannot make {ENVIRONMENT}: {error}")
