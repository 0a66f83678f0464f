"""Boards: what the records give, whole splits only, in an order that never depends on who came first."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import fcnbench
from fcnbench.errors import ResultsError, UsageError
from fcnbench.results.board import COLUMNS, board_path, build_board, read_board, schema_page
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one run of each pocket net, made once."""
    root = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / "home"))
        for name in ("fcn32s-pocket", "fcn8s-pocket"):
            fcnbench.run(name, board=root, trials=1)
    return root


def copied(run_folder: Path, tmp_path: Path) -> Path:
    """A root of one's own with the same records."""
    for path in (run_folder / "submissions").rglob("*.json"):
        target = tmp_path / path.relative_to(run_folder)
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_rows_are_the_records_best_first(run_folder: Path) -> None:
    board = read_board(board_path(run_folder, "pocket"))
    assert list(board["model"]) == ["fcn8s-pocket", "fcn32s-pocket"]
    for _, row in board.iterrows():
        record = json.loads((run_folder / row["record"]).read_text())
        for metric, value in record["scores"]["present"].items():
            assert row[metric] == round(value, 6)
        assert row["weights_digest"] == record["model"]["weights_digest"]
        assert row["signature"] == "fcn|pocket#64|c8|ign255|abs:present|native|fp32|v1"
        assert row["tier"] == "reported"
        assert row["forward_500_ms"] > 0


def test_columns_and_types_are_those_of_the_schema(run_folder: Path) -> None:
    board = read_board(board_path(run_folder, "pocket"))
    assert {name: str(dtype) for name, dtype in board.dtypes.items()} == {
        name: dtype for name, (dtype, _) in COLUMNS.items()
    }
    assert (run_folder / "leaderboards/SCHEMA.md").read_text() == schema_page()


def test_the_projects_own_schema_page_is_up_to_date() -> None:
    assert (REPOSITORY / "leaderboards/SCHEMA.md").read_text() == schema_page()


def test_the_projects_own_board_is_what_its_records_give(tmp_path: Path) -> None:
    root = copied(REPOSITORY, tmp_path)
    assert build_board(root, "pocket").read_bytes() == board_path(REPOSITORY, "pocket").read_bytes()


def test_a_board_is_the_same_bytes_however_often_it_is_built(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    first = build_board(root, "pocket").read_bytes()
    assert first == build_board(root, "pocket").read_bytes() == board_path(run_folder, "pocket").read_bytes()


def test_a_part_of_a_split_gets_a_record_and_no_row(tmp_path: Path) -> None:
    finished = fcnbench.run(limit=2, board=tmp_path)
    assert finished.board is None
    assert finished.path.is_file()
    assert not (tmp_path / "leaderboards").exists()
    assert len(read_board(build_board(tmp_path, "pocket"))) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "[" * 3000, '{"format": "fcnbench.record/1"}'])
def test_a_file_that_is_no_record_is_named_and_costs_nobody_a_row(
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
        lambda content: content["scores"].pop("present"),
        lambda content: content["scores"]["present"].update(mean_iu="high"),
        lambda content: content.update(timing=None),
        lambda content: content.update(predictions=[]),
        lambda content: content["timing"].update(images_per_second="fast"),
        lambda content: content["protocol"].update(images="64", total="64"),
        lambda content: content["model"].update(name=["a"]),
        lambda content: content["model"].update(name=None),
        lambda content: content["environment"].update(packages=3),
    ],
)
def test_a_spoilt_neighbour_is_named_and_costs_nobody_a_row(
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


def test_processes_that_end_at_the_same_moment_lose_no_row(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build, args=(root, index)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(read_board(board_path(root, "pocket"))) == 22


@pytest.mark.parametrize("content", ["", "model,mean_iu\nx,1\n", ",".join(COLUMNS) + "\n" + "x," * 21 + "x\n"])
def test_files_that_are_no_board_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "board.csv"
    path.write_text(content)
    with pytest.raises(ResultsError, match="is no board"):
        read_board(path)


def test_building_without_records_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no record"):
        fcnbench.board(tmp_path)
    fcnbench.run(limit=1, board=tmp_path)
    with pytest.raises(UsageError, match="holds no record of voc2011val"):
        fcnbench.board(tmp_path, "voc2011val")
    assert isinstance(fcnbench.read_board(fcnbench.board(tmp_path)[0]), pd.DataFrame)
