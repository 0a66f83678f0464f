"""Ranks: rows whose intervals overlap share a range, per signature."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnbench
from fcnbench.leaderboard.board import board_path, build_board, read_board
from fcnbench.leaderboard.ranks import rank_ranges, resolution_floor
from tests.leaderboard.conftest import copied


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=30))
def test_rank_ranges_follow_from_pairwise_overlap(rows: list[tuple[int, int]]) -> None:
    low = np.array([start / 50 for start, _ in rows])
    high = np.array([(start + width) / 50 for start, width in rows])
    for index, (first, last) in enumerate(rank_ranges(low, high)):
        assert first == 1 + int((low > high[index]).sum())
        assert last == len(rows) - int((high < low[index]).sum())
        assert first <= last


def test_rows_with_overlapping_intervals_share_a_range_of_ranks(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    source = next((root / "submissions/fcn8s-pocket/pocket").glob("2*"))
    shutil.copytree(source, source.with_name("again"))
    board = read_board(build_board(root, "pocket"))
    assert list(board["rank"]) == ["1-2", "1-2", "3"]
    floor = resolution_floor(board)
    assert floor == pytest.approx((board["mean_iu_high"] - board["mean_iu_low"]).median())


def test_rows_are_ranked_per_signature(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    fcnbench.run(
        board=root, trials=0, signature="fcn2|data:pocket#64|classes:8|ignore:255|mean:union|infer:native|prec:fp32"
    )
    board = read_board(board_path(root, "pocket"))
    assert sorted(board["rank"]) == ["1", "1", "2"]
