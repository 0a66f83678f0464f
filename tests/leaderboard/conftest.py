"""Runs that several tests of boards share."""

import shutil
from pathlib import Path

import pytest

import fcnbench


@pytest.fixture(scope="package")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with one run of each of two networks, made once."""
    root = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / "home"))
        for name in ("fcn32s-pocket", "fcn8s-pocket"):
            fcnbench.run(name, board=root, trials=1)
    return root


def copied(run_folder: Path, tmp_path: Path) -> Path:
    """Return another root with the same submissions."""
    shutil.copytree(run_folder / "submissions", tmp_path / "submissions")
    return tmp_path
