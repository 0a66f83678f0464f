"""Stored results are reused under an equal identity only: journals of interrupted runs, and cells of sweeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.comparison.attribution import first_difference, layers
from fcnbench.errors import Interrupted, ModelError
from fcnbench.evaluation.identity import DependencyTracker, content_digest, identity_difference
from fcnbench.evaluation.journal import Journal
from fcnbench.models.code.source_files import Sources
from fcnbench.records.files import load
from fcnbench.records.identity import Identity
from tests.counts import counted, specs

NET = """
import os
import pathlib

import numpy as np
import torch

from helper import K

FOLDER = pathlib.Path(__file__).parent


class Net:
    num_classes = 8

    def __init__(self, weights=None):
        self.k = K
        self.bias = np.zeros(8)
        if weights is not None:
            self.offset = lambda: int(pathlib.Path(weights).read_text())

    def prepare(self, image):
        return torch.from_numpy(image.copy()).permute(2, 0, 1).float()

    def logits(self, batch):
        {late}
        with (FOLDER / "calls").open("a") as stream:
            stream.write("x")
        if (FOLDER / "calls").stat().st_size == int(os.environ.get("STOP_AT", "0")):
            raise KeyboardInterrupt
        out = torch.zeros(len(batch), 8, *batch.shape[2:])
        out[:, self.k] = 1
        return out


def build(weights=None):
    return Net(weights)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a model that counts its calls and stops at call STOP_AT; return its folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.py").write_text(NET.replace("{late}", "from late import K as late"))
    (folder / "helper.py").write_text("K = 1\n")
    (folder / "late.py").write_text("K = 1\n")
    (folder / "unrelated.py").write_text("K = 1\n")
    (folder / "w.txt").write_text("1")
    return folder


def calls(folder: Path) -> int:
    """Return the number of calls of the model since the last time."""
    path = folder / "calls"
    count = len(path.read_text()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


def change(name: str, old: str = "1", new: str = "2") -> Callable[[Path], None]:
    """Return a function that changes a file without changing its size."""

    def write(folder: Path) -> None:
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    return write


CHANGES: dict[str, tuple[Callable[[Path], None], bool]] = {
    "nothing": (lambda _: None, True),
    "the file": (change("net.py", '"x"', '"y"'), False),
    "a helper": (change("helper.py"), False),
    "a module of the forward pass": (change("late.py"), False),
    "another file": (change("unrelated.py"), True),
    "the weights, which no module shows": (change("w.txt"), False),
}


@pytest.mark.parametrize(("edit", "kept"), CHANGES.values(), ids=CHANGES)
def test_an_interrupted_run_resumes_only_if_nothing_changed(
    edit: Callable[[Path], None], kept: bool, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run() -> None:
        fcnbench.run(f"{model / 'net.py'}:build", weights=model / "w.txt", limit=6, board=tmp_path / "board")

    monkeypatch.setenv("STOP_AT", "4")
    with pytest.raises(fcnbench.FcnbenchError):
        run()
    monkeypatch.setenv("STOP_AT", "0")
    assert calls(model) == 4
    edit(model)
    run()
    assert calls(model) == (3 if kept else 6)


@pytest.mark.parametrize(("edit", "kept"), CHANGES.values(), ids=CHANGES)
def test_a_cell_of_a_sweep_is_reused_only_if_nothing_changed(
    edit: Callable[[Path], None], kept: bool, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{model / 'net.py'}:build"
    sweep = tmp_path / "s.toml"
    sweep.write_text(
        f"models = ['{name}']\ndatasets = ['pocket']\n[options]\nlimit = 2\n[weights]\n'{name}' = '{model / 'w.txt'}'\n"
    )
    (first,) = fcnbench.sweep(sweep, board=tmp_path / "board").outcomes
    assert calls(model) == 2
    edit(model)
    capsys.readouterr()
    (second,) = fcnbench.sweep(sweep, board=tmp_path / "board").outcomes
    assert (calls(model), second.taken_over) == ((0, True) if kept else (2, False))
    said = capsys.readouterr().err
    if kept:
        assert second.record == first.record
        assert f"taken over from the run of {first.created}" in said
    else:
        assert "run again: " in said
        assert "changed" in said
        assert second.record != first.record


def test_an_interrupted_run_that_lacks_a_count_is_not_continued(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(margins: bool) -> None:
        fcnbench.run(f"{model / 'net.py'}:build", limit=4, margins=margins, board=tmp_path / "board")

    monkeypatch.setenv("STOP_AT", "3")
    with pytest.raises(Interrupted):
        run(margins=False)
    assert calls(model) == 3
    monkeypatch.delenv("STOP_AT")
    run(margins=True)
    assert calls(model) == 4
    run(margins=False)
    assert calls(model) == 2


def test_a_journal_names_the_fact_that_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "net.py"
    source.write_text("x = 1\n")

    def tracker(**facts: str) -> DependencyTracker:
        sources = Sources(folder=tmp_path, before=frozenset(sys.modules))
        sources.add("net", source)
        return DependencyTracker(sources, dict(facts))

    with Journal({"key": "facts"}, specs(2), witness=tracker()) as journal:
        journal.add(counted("a", np.eye(2, dtype=np.int64), "sha256:0"))
    with Journal({"key": "facts"}, specs(2), witness=tracker()) as journal:
        assert set(journal.done) == {"a"}
    source.write_text("x = 2\n")
    with Journal({"key": "facts"}, specs(2), witness=tracker()) as journal:
        assert journal.done == {}
    assert "an interrupted run is not continued: net.py has changed" in capsys.readouterr().err


def test_versions_of_the_packages_of_a_run_must_be_the_same() -> None:
    tracker = DependencyTracker(Sources())
    numpy = version("numpy")
    assert tracker.difference({"package numpy": numpy, "package pillow": version("pillow")}) == ""
    assert tracker.difference({"package numpy": "1.0"}) == f"numpy was 1.0 and is {numpy}"
    assert tracker.difference({"package no-such-thing": "1.0"}) == "no-such-thing was 1.0 and is not installed"
    assert tracker.update()["package numpy"] == numpy
    assert tracker.update() == {}


def test_the_first_part_that_differs_is_named() -> None:
    identity = Identity({"code": "a", "data": "b", "device": "cpu"}, {})
    assert (
        identity_difference(identity, {"code": "a", "data": "b", "device": "cpu"}, DependencyTracker(Sources())) == ""
    )
    assert (
        identity_difference(identity, {"code": "a", "data": "c", "device": "cuda"}, DependencyTracker(Sources()))
        == "data has changed"
    )


def test_the_digest_of_weights_is_that_of_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    assert content_digest(None) == content_digest("random:0") == ""
    one, folder = content_digest(str(tmp_path / "a")), content_digest(str(tmp_path))
    (tmp_path / "a").write_text("2")
    assert one
    assert folder
    assert content_digest(str(tmp_path / "a")) != one
    assert content_digest(str(tmp_path)) != folder


def git(folder: Path, *arguments: str) -> str:
    """Run git with a user name."""
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_a_record_names_the_source_and_its_revision_and_a_change_is_named_first(model: Path, tmp_path: Path) -> None:
    git(model, "init", "-q")
    git(model, "add", "net.py", "helper.py", "late.py")
    git(model, "commit", "-qm", "model")

    def run() -> Path:
        return fcnbench.run(f"{model / 'net.py'}:build", limit=2, board=tmp_path / "board").path

    first = run()
    code = load(first).code
    assert code is not None
    assert set(code.files) == {"net.py", "helper.py", "late.py"}
    assert (code.revision, code.dirty) == (git(model, "rev-parse", "HEAD"), False)
    assert str(tmp_path) not in first.read_text()
    change("helper.py")(model)
    second = run()
    changed = load(second).code
    assert changed is not None
    assert changed.dirty
    assert changed.digest != code.digest
    layer = first_difference(layers(load(first), load(second)))
    assert layer is not None
    assert layer.name == "code"
    assert "helper.py" in layer.text
    assert "net.py" not in layer.text.partition("helper")[0]
    verdict = fcnbench.check(first, record=second).verdicts[0]
    assert verdict.kind == "drift"
    assert verdict.reasons[-1].startswith("the first layer that differs is code: helper.py")


def test_a_rerun_that_fails_names_the_code(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model)
    done = fcnbench.run("net.py:build", board=tmp_path / "board", trials=0)
    change("helper.py")(model)
    (found,) = fcnbench.verify(done.path, rerun=True, write=False)
    assert not found.sound
    assert "code: helper.py" in next(each.text for each in found.findings if each.subject == "rerun")


def test_built_in_models_name_no_source(tmp_path: Path) -> None:
    record = fcnbench.run(limit=1, board=tmp_path).record
    assert record.code is None
    assert "code" not in json.loads((tmp_path / record.folder(Path()) / "record.json").read_text())
    assert record.environment.packages["torch"] == version("torch").partition("+")[0] or sys.modules["torch"]


def test_a_model_that_cannot_be_loaded_any_more_is_not_taken_over(model: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "s.toml"
    sweep.write_text(f"models = ['{model / 'net.py'}:build']\ndatasets = ['pocket']\n[options]\nlimit = 1\n")
    assert not fcnbench.sweep(sweep, board=tmp_path / "board").failed
    (model / "helper.py").write_text("raise ValueError\n")
    (outcome,) = fcnbench.sweep(sweep, board=tmp_path / "board").outcomes
    assert outcome.error is not None
    assert outcome.error["error"] == ModelError.__name__
