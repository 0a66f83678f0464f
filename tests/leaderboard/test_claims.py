"""Claims on boards: each names its source, and none enters ranks or checks."""

from pathlib import Path

import pandas as pd
import pytest

import fcnbench
from fcnbench.leaderboard.board import board_path, build_board, read_board
from fcnbench.leaderboard.ranks import resolution_floor
from tests.committed import committed
from tests.leaderboard.conftest import copied


def test_claimed_rows_name_their_source() -> None:
    board = read_board(board_path(committed(), "voc2011val"))
    assert set(board["tier"]) == {"claimed"}
    assert not board["source"].eq("").any()
    assert board["rank"].eq("").all()
    assert board["record"].eq("").all()
    table2 = board[board["source"].str.contains("Table 2")]
    assert list(table2["model"]) == ["FCN-8s", "FCN-16s", "FCN-32s", "FCN-32s-fixed"]
    assert list(table2["mean_iu"]) == [0.627, 0.624, 0.594, 0.454]
    assert list(table2["fw_iu"]) == [0.832, 0.83, 0.814, 0.72]
    again = board[board["source"].str.contains("PAMI weights, scored again")]
    assert 0.655126 in list(again["mean_iu"])
    assert resolution_floor(board) is None


def test_the_fifth_metric_of_sift_flow_is_the_geometric_pixel_accuracy() -> None:
    board = read_board(board_path(committed(), "siftflowtest")).set_index("model")
    assert board.loc["FCN-16s", "geo_pixel_acc"] == 0.943
    assert board.loc["Tighe et al. [33]", "geo_pixel_acc"] == 0.908
    assert pd.isna(board.loc["Tighe et al. [33]", "mean_iu"])


def test_claims_never_enter_ranks_or_checks(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fcnbench.leaderboard import score_board
    from fcnbench.leaderboard.claims import Claim

    claim = Claim("pocket", "somebody", "a paper", 64, {"mean_iu": 0.99})
    monkeypatch.setattr(score_board, "claims_of", lambda dataset: [claim])
    board = read_board(build_board(copied(run_folder, tmp_path), "pocket"))
    assert list(board["model"]) == ["somebody", "fcn8s-pocket", "fcn32s-pocket"]
    assert list(board["rank"]) == ["", "1", "2"]
    checked = fcnbench.check(board_path(tmp_path, "pocket"), model="fcn8s-pocket")
    assert checked.passed
