"""Finished runs, made once for all tests of results."""

import shutil
from pathlib import Path

import pytest

import fcnbench

MODELS = ("fcn32s-pocket", "fcn8s-pocket")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / "home"))
        for name in MODELS:
            fcnbench.run(name, board=root, trials=1, margins=True, save_predictions=root / "predictions" / name)
    shutil.rmtree(root / "home")
    return root


@pytest.fixture
def runs(_finished: Path, tmp_path: Path) -> Path:
    """A root of one's own: records of `MODELS` on pocket, their board, and `predictions/<model>`."""
    return Path(shutil.copytree(_finished, tmp_path / "runs"))


def record_of(runs: Path, model: str) -> Path:
    """The folder of a model's record."""
    (path,) = (runs / "submissions" / model / "pocket").glob("2*")
    return path
