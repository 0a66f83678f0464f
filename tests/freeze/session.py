"""A folder in which commands run one after the other, in this process, as if somebody typed them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcnbench.cli.main import main
from tests.conftest import REPOSITORY
from tests.freeze.masks import scrubbed


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        code: exit code.
        out: standard output.
        err: standard error.
    """

    code: int
    out: str
    err: str

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Session:
    """An empty folder, made the working folder, with a home folder of its own.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in [name for name in os.environ if name.startswith(("FCNBENCH_", "GITHUB_"))]:
            del os.environ[name]
        for name in ("WORLD_SIZE", "RANK", "FORCE_COLOR", "PYTHON_COLORS"):
            os.environ.pop(name, None)
        os.environ |= {
            "FCNBENCH_HOME": str(root / "home"),
            "FCNBENCH_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "PYTHONPATH": str(REPOSITORY),
        }
        os.chdir(root)

    def command(self, *arguments: str) -> Outcome:
        """Run a command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _code_of(lambda: main(list(arguments)))
        return Outcome(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with `--json`, and return its object; another exit code than `code` is a failure."""
        outcome = self.command(*arguments, "--json")
        if outcome.code != code:
            raise AssertionError(f"exit code {outcome.code} of {' '.join(arguments)}:\n{outcome.out}\n{outcome.err}")
        return outcome.content

    def process(self, *arguments: str) -> Outcome:
        """Run a command line in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "fcnbench", *arguments], capture_output=True, text=True, check=False, cwd=self.root
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def text(self, text: str) -> str:
        """Return a text without what belongs to this machine and this hour."""
        return scrubbed(text, self.root)


def _code_of(call: Callable[[], int]) -> int:
    try:
        return call()
    except SystemExit as end:
        return int(end.code or 0)
