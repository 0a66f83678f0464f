"""fcnbench does what the files of `tests/golden/` say: help, JSON, messages, exit codes, integers, names, formats.

Whoever changes one of these on purpose runs `python -m tests.freeze`, and commits the difference.
"""

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import REPOSITORY
from tests.freeze import GOLDEN, REWRITE
from tests.freeze.committed import FOLDER
from tests.freeze.masks import settled

NAMES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files as they come out now; the workers of pytest-xdist share them."""
    top = tmp_path_factory.getbasetemp()
    top = top.parent if "PYTEST_XDIST_WORKER" in os.environ else top
    folder, log = top / "golden", top / "golden.log"
    with FileLock(top / "golden.lock"):
        if not log.exists():
            command = [sys.executable, "-m", "tests.freeze", "--to", str(folder)]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
            log.write_text("" if done.returncode == 0 else done.stderr, encoding="utf-8")
    if failure := log.read_text(encoding="utf-8"):
        pytest.fail(f"`{REWRITE}` fails:\n{failure}", pytrace=False)
    return folder


def words(text: str) -> list[str]:
    """The words of a help text, which each Python breaks into lines in its own way."""
    return text.replace("(default: True)", "").split()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_it_was(name: str, fresh: Path) -> None:
    golden = (GOLDEN / name).read_text(encoding="utf-8")
    path = fresh / name
    if not path.exists():
        pytest.fail(f"{name} is not there any more; if that is right, run `{REWRITE}`", pytrace=False)
    found = path.read_text(encoding="utf-8")
    if name.endswith(".json"):
        found = settled(golden, found)
    if name.startswith("help/") and sys.version_info[:2] != (3, 11) and words(golden) == words(found):
        return
    if found != golden:
        lines = difflib.unified_diff(
            golden.splitlines(keepends=True), found.splitlines(keepends=True), f"tests/golden/{name}", "now", n=2
        )
        pytest.fail(f"{''.join(lines)}\nif that is right, run `{REWRITE}` and commit the change", pytrace=False)


def test_nothing_is_left_out(fresh: Path) -> None:
    found = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    new = sorted(name for name in found - set(NAMES) if not name.startswith(f"{FOLDER}/"))
    assert NAMES, f"tests/golden is empty: run `{REWRITE}`"
    assert not new, f"without a golden file; run `{REWRITE}`"
