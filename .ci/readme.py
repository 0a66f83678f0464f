"""Do what the README says: its shell commands, word for word, in their order, in a clone that stays clean.

    python3 .ci/readme.py           in a new clone of the last commit, in a temporary folder
    python3 .ci/readme.py --here    in this checkout (continuous integration, whose checkout is a fresh clone)

Two things differ from a stranger's machine. Stores and downloads go to a temporary folder; and the commands that would
download from the publishers meet a server of this machine, with small files of the same formats (`tests/mirrors.py`).
They run on a pseudo-terminal, where the question for consent is answered with yes.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOWNLOADING = "voc2011val"
"""Commands that name this dataset are run against the local server."""

QUESTION = b"[y/N] "
LIMIT = 3600
"""Seconds that one block may take."""


def blocks(readme: str) -> list[str]:
    """The shell commands of the README, a string per block."""
    return re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


def shell(block: str, checkout: Path) -> list[str]:
    """The command that runs a block as a person's shell would, in which the environment was activated before."""
    activate = ". .venv/bin/activate\n" if (checkout / ".venv/bin/activate").exists() else ""
    return ["bash", "-euo", "pipefail", "-c", activate + block]


def run(block: str, checkout: Path, environment: dict[str, str]) -> int:
    """Run a block; what it prints is shown as it comes."""
    return subprocess.run(shell(block, checkout), cwd=checkout, env=environment, timeout=LIMIT, check=False).returncode


def run_on_terminal(block: str, checkout: Path, environment: dict[str, str]) -> int:
    """Run a block on a pseudo-terminal, and say yes to the question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        shell(block, checkout), cwd=checkout, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + LIMIT
    with suppress(OSError):  # Linux says so when the other side is closed
        while time.monotonic() < end:
            if not select.select([ours], [], [], 1)[0]:
                continue
            chunk = os.read(ours, 4096)
            sys.stdout.write(chunk.decode("utf-8", "replace"))
            sys.stdout.flush()
            seen = (seen + chunk)[-len(QUESTION) :]
            if seen == QUESTION:
                os.write(ours, b"y\n")
                seen = b""
    os.close(ours)
    return process.wait(timeout=60)


def main() -> int:
    """Follow the README; return 0 if every command ended well and git sees no change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--here", action="store_true", help="in this checkout, in place of a new clone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fcnbench-readme-") as scratch:
        checkout = ROOT
        if not options.here:
            checkout = Path(scratch) / "fcnbench"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        return follow(checkout, Path(scratch))


def follow(checkout: Path, scratch: Path) -> int:
    """Run every block of a checkout's README; the first that fails ends it."""
    environment = {**os.environ, "FCNBENCH_HOME": str(scratch / "home")}
    served = {**environment, "HOME": str(scratch), "PYTHONPATH": str(scratch / "mirrored/checkout")}
    mirrors = None
    try:
        for number, block in enumerate(blocks((checkout / "README.md").read_text(encoding="utf-8")), start=1):
            print(f"\n=== README, block {number}\n{block}", flush=True)
            started = time.monotonic()
            # The package is there from the first block on, and what the server needs from the second one.
            if DOWNLOADING in block:
                mirrors = mirrors or serve(checkout, scratch, environment)
                code = run_on_terminal(block, checkout, served)
            else:
                code = run(block, checkout, environment)
            print(f"=== block {number}: exit code {code}, {time.monotonic() - started:.0f} s", flush=True)
            if code:
                return code
    finally:
        if mirrors is not None:
            mirrors.communicate(b"")
    changed = subprocess.run(
        ["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout
    if changed:
        print(f"the README's commands left changes in the clone:\n{changed}")
        return 1
    print("every command of the README ran, and the clone is clean")
    return 0


def serve(checkout: Path, scratch: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the server that plays the mirrors; it ends with its standard input."""
    mirrors = subprocess.Popen(
        [
            str(checkout / ".venv/bin/python"),
            "-m",
            "tests.mirrors",
            str(scratch / "mirrored"),
            str(scratch / "Downloads"),
        ],
        cwd=checkout,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert mirrors.stdout is not None
    if not mirrors.stdout.readline().startswith(b"serving"):
        raise SystemExit("the server that plays the mirrors did not start")
    return mirrors


if __name__ == "__main__":
    sys.exit(main())
