"""Speed boards: one per machine, with every timing that is saved while they are written."""

import json
from pathlib import Path

import pytest

from fcnbench.leaderboard import speed_board
from fcnbench.leaderboard.speed_board import SpeedBoard, build_speed_boards, read_speed_board, speed_boards
from fcnbench.records.speed import NAME
from tests.committed import committed


def timing(root: Path, run: str, threads: int = 2) -> Path:
    """Write a timing of the project's own under another name, on a machine with so many threads."""
    source = sorted(committed().glob(f"submissions/fcn8s-pocket/speed/*/{NAME}"))[0]
    content = json.loads(source.read_text())
    content["run"] = run
    content["environment"]["threads"] = threads
    path = root / f"submissions/fcn8s-pocket/speed/{run}/{NAME}"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return path


def test_each_machine_has_a_board_of_its_own(tmp_path: Path) -> None:
    for run, threads in (("a", 2), ("b", 2), ("c", 4)):
        timing(tmp_path, run, threads)
    two, four = sorted(speed_boards(tmp_path), key=lambda board: len(board.timings), reverse=True)
    assert [row["record"].split("/")[-2] for row in two.rows()] == ["a", "b"]
    assert [row["threads"] for row in four.rows()] == [4]
    assert two.title == f"speed of {two.name}"
    assert (two.root, two.kind) == (tmp_path, "speed")


def test_a_board_differs_until_it_is_built(tmp_path: Path) -> None:
    timing(tmp_path, "a")
    (board,) = speed_boards(tmp_path)
    assert board.difference() == "is not what the timings give"
    assert build_speed_boards(tmp_path) == [board.path]
    assert board.difference() == ""
    timing(tmp_path, "b")
    (board,) = speed_boards(tmp_path)
    assert board.difference() == "is not what the timings give"


def test_a_board_without_timings_differs(tmp_path: Path) -> None:
    board = SpeedBoard.of(tmp_path, "machine")
    board.path.parent.mkdir(parents=True)
    board.path.write_text(board.text())
    assert board.difference() == "is not what the timings give"


def test_a_timing_that_is_saved_meanwhile_keeps_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timing(tmp_path, "a")
    write = speed_board.files.write_bytes

    def write_late(path: Path, content: bytes) -> None:
        if not (tmp_path / "submissions/fcn8s-pocket/speed/b").exists():
            timing(tmp_path, "b")
        write(path, content)

    monkeypatch.setattr(speed_board.files, "write_bytes", write_late)
    (path,) = build_speed_boards(tmp_path)
    assert len(read_speed_board(path)) == 2
