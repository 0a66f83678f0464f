"""Boards of scores: rows of whole splits only, in an order that does not depend on who came first."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.leaderboard import score_board
from fcnbench.leaderboard.board import board_path, build_board, read_board
from fcnbench.leaderboard.columns import SCORE_COLUMNS, schema_page
from fcnbench.leaderboard.score_board import ScoreBoard
from tests.leaderboard.conftest import copied


def test_rows_are_those_of_the_records_with_the_best_first(run_folder: Path) -> None:
    board = read_board(board_path(run_folder, "pocket"))
    assert list(board["model"]) == ["fcn8s-pocket", "fcn32s-pocket"]
    for _, row in board.iterrows():
        record = json.loads((run_folder / row["record"]).read_text())
        for metric, value in record["scores"]["gt"].items():
            assert row[metric] == round(value, 6)
        assert row["weights_digest"] == record["model"]["weights_digest"]
        assert row["signature"] == "fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32"
        assert row["tier"] == "reported"
        assert row["forward_500_ms"] > 0


def test_a_board_has_the_declared_columns_and_types(run_folder: Path) -> None:
    board = read_board(board_path(run_folder, "pocket"))
    assert {name: str(dtype) for name, dtype in board.dtypes.items()} == {
        name: column.dtype for name, column in SCORE_COLUMNS.items()
    }
    assert (run_folder / "leaderboards/SCHEMA.md").read_text() == schema_page()


def test_a_rebuilt_board_has_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    first = build_board(root, "pocket").read_bytes()
    assert first == build_board(root, "pocket").read_bytes() == board_path(run_folder, "pocket").read_bytes()


def test_a_part_of_a_split_gets_a_record_but_no_row(tmp_path: Path) -> None:
    finished = fcnbench.run(limit=2, board=tmp_path)
    assert finished.board is None
    assert finished.path.is_file()
    assert not (tmp_path / "leaderboards").exists()
    assert len(read_board(build_board(tmp_path, "pocket"))) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "[" * 3000, '{"format": "fcnbench.record/2"}'])
def test_an_unusable_record_is_named_and_no_other_row_is_lost(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    root = copied(run_folder, tmp_path)
    spoilt = next((root / "submissions/fcn32s-pocket/pocket").glob("*/record.json"))
    spoilt.write_text(text)
    assert list(read_board(build_board(root, "pocket"))["model"]) == ["fcn8s-pocket"]
    assert str(spoilt) in capsys.readouterr().err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content["scores"].pop("gt"),
        lambda content: content["scores"]["gt"].update(mean_iu="high"),
        lambda content: content.update(timing=None),
        lambda content: content.update(predictions=[]),
        lambda content: content["timing"].update(images_per_second="fast"),
        lambda content: content["protocol"].update(images="64", total="64"),
        lambda content: content["model"].update(name=["a"]),
        lambda content: content["model"].update(name=None),
        lambda content: content["environment"].update(packages=3),
    ],
)
def test_a_damaged_record_is_named_and_no_other_row_is_lost(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[dict[str, Any]], object]
) -> None:
    root = copied(run_folder, tmp_path)
    spoilt = next((root / "submissions/fcn32s-pocket/pocket").glob("*/record.json"))
    content = json.loads(spoilt.read_text())
    spoil(content)
    spoilt.write_text(json.dumps(content))
    assert list(read_board(build_board(root, "pocket"))["model"]) == ["fcn8s-pocket"]
    assert spoilt.parent.name in capsys.readouterr().err


def _build(root: Path, index: int) -> None:
    """One of several processes, each with a home of its own: adds copies of a record and builds the board."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / f"home-{index}"))
        source = next((root / "submissions/fcn8s-pocket/pocket").glob("2*/record.json"))
        for copy in range(5):
            target = root / f"submissions/fcn8s-pocket/pocket/copy-{index}-{copy}/record.json"
            target.parent.mkdir()
            target.write_bytes(source.read_bytes())
            build_board(root, "pocket")


def test_processes_that_end_at_the_same_time_lose_no_row(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build, args=(root, index)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(read_board(board_path(root, "pocket"))) == 22


def test_a_record_that_is_saved_meanwhile_keeps_its_row(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(run_folder, tmp_path)
    source = next((root / "submissions/fcn8s-pocket/pocket").glob("2*"))
    write = score_board.files.write_bytes

    def write_late(path: Path, content: bytes) -> None:
        if path.suffix == ".csv" and not source.with_name("later").exists():
            shutil.copytree(source, source.with_name("later"))
        write(path, content)

    monkeypatch.setattr(score_board.files, "write_bytes", write_late)
    assert len(read_board(ScoreBoard.of(root, "pocket").build())) == 3


def test_a_board_knows_its_file_and_title(tmp_path: Path) -> None:
    board = ScoreBoard.of(tmp_path, "pocket")
    assert (board.path, board.root, board.kind) == (tmp_path / "leaderboards/v1/pocket.csv", tmp_path, "scores")
    assert board.title == "scores of pocket"


def test_eight_runs_on_one_folder_lose_no_row(tmp_path: Path) -> None:
    fcnbench.load_dataset("pocket")
    command = [sys.executable, "-m", "fcnbench", "run", "--board", str(tmp_path), "--json", "--model"]
    processes = [
        subprocess.Popen(
            [*command, f"oracle-constant:{label}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for label in range(8)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, said
    assert len({json.loads(out)["run"] for out, _ in said}) == 8
    board = read_board(board_path(tmp_path, "pocket"))
    assert sorted(board["model"]) == [f"oracle-constant:{label}" for label in range(8)]
    assert fcnbench.verify_boards(tmp_path) == []
