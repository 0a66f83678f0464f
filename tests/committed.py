"""The boards and submissions that the tests look at: those that are committed, whatever runs left beside them."""

from __future__ import annotations

import atexit
import io
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from tests.conftest import REPOSITORY

FOLDERS = ("submissions", "leaderboards")


@cache
def committed() -> Path:
    """Return a folder with `submissions/` and `leaderboards/` of the last commit; outside a clone, as they are.

    Somebody who runs `fcnbench run --board .` in a clone changes both: a result, and not a fault of the software.
    """
    folder = Path(tempfile.mkdtemp(prefix="fcnbench-committed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    archive = _archive()
    if archive is None:
        for name in FOLDERS:
            shutil.copytree(REPOSITORY / name, folder / name)
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as content:
            content.extractall(folder, filter="data")
    return folder


def _archive() -> bytes | None:
    """The committed folders as a tar; None where this is not a clone."""
    if not (REPOSITORY / ".git").exists() or shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD", *FOLDERS], cwd=REPOSITORY, capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
