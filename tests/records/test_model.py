"""Records: everything in them follows from the integers beside them, and they are written whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.api.result import Run
from fcnbench.datasets.codec.fingerprint import USUAL
from fcnbench.errors import OutputError
from fcnbench.protocol import Protocol
from fcnbench.records.model import folder_name, new_run
from fcnbench.util.digests import digest_bytes


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    return fcnbench.run(limit=3, board=tmp_path)


def test_scores_can_be_recomputed_from_the_matrices_alone(finished: Run) -> None:
    content = json.loads(finished.path.read_text())
    with np.load(finished.path.with_name("confusion.npz")) as matrices:
        per_image, ids = matrices["confusion"], list(matrices["ids"])
    assert per_image.dtype == np.int64
    total = per_image.sum(axis=0)
    assert ids == ["val-0000", "val-0001", "val-0002"] == list(content["predictions"]["maps"]["labels"])
    hits, true, predicted = total.diagonal(), total.sum(1), total.sum(0)
    present = true > 0
    ious = hits[present] / (true + predicted - hits)[present]
    expected = {
        "pixel_acc": hits.sum() / true.sum(),
        "mean_acc": (hits[present] / true[present]).mean(),
        "mean_iu": ious.mean(),
        "fw_iu": (true[present] * ious).sum() / true.sum(),
        "mean_iu_nobg": ious[1:].mean(),
    }
    assert content["scores"]["gt"] == pytest.approx(expected, abs=1e-15)
    assert finished.scores == content["scores"]["gt"]


def test_a_record_describes_itself(finished: Run) -> None:
    content = json.loads(finished.path.read_text())
    assert content["format"] == "fcnbench.record/2"
    assert content["signature"]["short"] == "fcn2|data:pocket#3/64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32"
    assert Protocol(**content["protocol"]).signature(long=True) == content["signature"]["long"]
    assert content["model"]["name"] == "fcn8s-pocket"
    assert content["model"]["weights_digest"].startswith("sha256:")
    assert content["leakage"] == {"declared": ["pocket-train"], "listed": 0, "unknown": [], "unlisted": [], "ids": []}
    assert content["data"]["fingerprint"] == fcnbench.load_dataset("pocket").manifest.fingerprint
    assert {"torch", "numpy", "pillow"} <= content["environment"]["packages"].keys()
    matrices = finished.path.with_name("confusion.npz").read_bytes()
    assert content["files"] == {"confusion.npz": digest_bytes(matrices)}
    assert content["data"]["labels"] == fcnbench.load_dataset("pocket").manifest.labels
    assert content["environment"]["decoder"] == USUAL
    assert content["intervals"]["draws"] == 10_000
    for policy in ("gt", "union"):
        for name, (low, high) in content["intervals"][policy].items():
            assert low <= content["scores"][policy][name] <= high
    assert [len(content["timing"]["samples"][phase]) for phase in ("decode", "prepare", "forward", "score")] == [3] * 4


def test_both_policies_are_kept_and_differ_where_an_absent_class_is_predicted(tmp_path: Path) -> None:
    """The star never occurs in pocket val; a net that predicts it gets IU 0 for it over `union` only."""
    content = json.loads(fcnbench.run(board=tmp_path, trials=0).path.read_text())
    star = content["per_class"][7]
    assert star["true_pixels"] == 0
    assert star["predicted_pixels"] > 0
    assert star["acc"] is None
    assert star["iu"] == 0.0
    present, reference = content["scores"]["gt"], content["scores"]["union"]
    assert reference["mean_iu"] == pytest.approx(present["mean_iu"] * 7 / 8)
    assert reference["pixel_acc"] == present["pixel_acc"]


def test_an_unwritable_root_is_noticed_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("fcnbench.models.load.open_model", lambda *a: pytest.fail("the run began"))
    with pytest.raises(OutputError, match="cannot write"):
        fcnbench.run(board=tmp_path / "file", limit=1)


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcnbench.load_dataset("pocket")

    def full_disk(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fcnbench.util.files.write_json", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        fcnbench.run(limit=1, board=tmp_path)
    assert not [path for path in (tmp_path / "submissions").rglob("*") if path.is_file()]
    assert not (tmp_path / "leaderboards").exists()
    monkeypatch.undo()
    monkeypatch.setenv("FCNBENCH_HOME", str(tmp_path / "home"))
    assert fcnbench.run(limit=1, board=tmp_path).record.evaluation.resumed == 1  # the journal kept the work


def test_runs_have_different_names_and_folders_are_plain() -> None:
    assert len({new_run()[0] for _ in range(50)}) == 50
    assert folder_name("net.py:build") == "net.py-build"
    assert folder_name("../../etc") == "etc"
    assert folder_name("hf:org/name") == "hf-org-name"
    assert folder_name("...") == "unnamed"


def test_names_that_lose_letters_and_long_names_have_folders_of_their_own() -> None:
    names = ["处理器 1", "加速器 1", "GPU 1", "é", "è", "x" * 300, "x" * 299 + "y"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(folder.isascii() and len(folder) < 120 for folder in folders)
    assert folders[2] == "GPU-1"


def test_weights_are_recorded_without_folders(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = fcnbench.load_model("fcn8s-pocket")
    (tmp_path / "secret-folder").mkdir()
    save_file(model.module.state_dict(), tmp_path / "secret-folder" / "mine.safetensors")
    path = tmp_path / "secret-folder" / "mine.safetensors"
    finished = fcnbench.run(weights=path, limit=1, board=tmp_path)
    assert finished.record.model.weights == "mine.safetensors"
    assert "secret-folder" not in finished.path.read_text()
