"""Submissions: a run is copied to its folder with its submitter, and verified."""

import json
from pathlib import Path

import pytest

import fcnbench
from fcnbench.errors import CheckFailed, UsageError
from fcnbench.leaderboard.board import board_path, build_board, read_board
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME
from fcnbench.records.location import VERIFICATION_NAME as NAME
from tests.conftest import record_of

WHO = {"contact": "a@b.example", "licence": "MIT"}


def tier(runs: Path, model: str = "fcn8s-pocket") -> str:
    board = read_board(build_board(runs, "pocket")).set_index("model")
    return str(board.loc[model, "tier"])


def test_a_submitted_run_is_copied_verified_and_put_on_the_board(runs: Path, tmp_path: Path) -> None:
    found = fcnbench.submit(
        record_of(runs, "fcn8s-pocket"), board=tmp_path / "public", url="https://x", note="hi", **WHO
    )
    assert found.sound
    assert found.tier == "rescored"
    folder = found.path.parent
    assert {path.name for path in folder.iterdir()} == {RECORD_NAME, MATRICES_NAME, NAME, "submission.json"}
    content = json.loads((folder / "submission.json").read_text())
    assert (content["contact"], content["licence"], content["url"]) == ("a@b.example", "MIT", "https://x")
    assert content["predictions"] == found.record.predictions
    row = read_board(board_path(tmp_path / "public", "pocket")).iloc[0]
    assert (row["tier"], row["tier_version"]) == ("rescored", fcnbench.__version__)
    assert row["tier_date"] == json.loads((folder / NAME).read_text())["date"]


def test_a_run_that_is_already_in_its_folder_stays_there(runs: Path) -> None:
    found = fcnbench.submit(record_of(runs, "fcn8s-pocket"), board=runs, **WHO)
    assert found.path.parent == record_of(runs, "fcn8s-pocket")
    assert tier(runs) == "rescored"
    assert tier(runs, "fcn32s-pocket") == "reported"


def test_a_run_that_may_not_enter_a_board_is_refused(tmp_path: Path, runs: Path) -> None:
    part = fcnbench.run(limit=1, board=tmp_path)
    with pytest.raises(CheckFailed, match="1/64 images of pocket are a part"):
        fcnbench.submit(part.path, board=tmp_path, **WHO)
    leaking = fcnbench.score(runs / "predictions/fcn8s-pocket", train_splits=["pocket"], board=tmp_path)
    with pytest.raises(CheckFailed, match="training on these images"):
        fcnbench.submit(leaking.path, board=tmp_path, **WHO)
    with pytest.raises(UsageError, match="--contact is empty"):
        fcnbench.submit(record_of(runs, "fcn8s-pocket"), contact=" ", licence="MIT", board=tmp_path)
