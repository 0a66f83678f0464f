"""Boards: what the records give, whole splits only, in an order that never depends on who came first."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataMissing, ResultsError
from fcnbench.leaderboard.board import board_path, build_board, read_board
from fcnbench.leaderboard.claims import claims
from fcnbench.leaderboard.columns import SCORE_COLUMNS, schema_page
from fcnbench.leaderboard.ranks import rank_ranges, resolution_floor
from tests.committed import committed


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
    """A root of one's own with the same submissions."""
    shutil.copytree(run_folder / "submissions", tmp_path / "submissions")
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
        name: column.dtype for name, column in SCORE_COLUMNS.items()
    }
    assert (run_folder / "leaderboards/SCHEMA.md").read_text() == schema_page()


def test_the_projects_own_schema_page_is_up_to_date() -> None:
    assert (committed() / "leaderboards/SCHEMA.md").read_text() == schema_page()


def test_the_projects_own_boards_are_what_its_records_give() -> None:
    assert fcnbench.verify_boards(committed()) == []
    assert {path.stem for path in (committed() / "leaderboards/v1").glob("*.csv")} == {
        "pocket", *(claim.dataset for claim in claims()),
    }  # fmt: skip
    board = read_board(board_path(committed(), "pocket"))
    assert set(board["tier"]) == {"rerun"}
    assert list(board["rank"]) == ["1", "2", "3"]


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


@pytest.mark.parametrize("content", ["", "model,mean_iu\nx,1\n", ",".join(SCORE_COLUMNS) + "\n" + "x," * 21 + "x\n"])
def test_files_that_are_no_board_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "board.csv"
    path.write_text(content)
    with pytest.raises(ResultsError, match="is not a board"):
        read_board(path)


def test_building_without_records_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="holds no usable record"):
        fcnbench.board(tmp_path)
    fcnbench.run(limit=1, board=tmp_path)
    with pytest.raises(DataMissing, match="holds no usable record of voc2011val"):
        fcnbench.board(tmp_path, "voc2011val")
    assert isinstance(fcnbench.read_board(fcnbench.board(tmp_path)[0]), pd.DataFrame)


# --- claims, ranks, verification of boards ---------------------------------------------------------------------------


def test_claims_stand_beside_what_was_measured_and_name_their_source() -> None:
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


def test_the_fifth_column_of_sift_flow_is_geometry() -> None:
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


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=30))
def test_rank_ranges_are_what_pairwise_overlap_gives(rows: list[tuple[int, int]]) -> None:
    low = np.array([start / 50 for start, _ in rows])
    high = np.array([(start + width) / 50 for start, width in rows])
    for place, (first, last) in enumerate(rank_ranges(low, high)):
        assert first == 1 + int((low > high[place]).sum())
        assert last == len(rows) - int((high < low[place]).sum())
        assert first <= last


def test_rows_that_the_images_do_not_separate_share_a_range(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    source = next((root / "submissions/fcn8s-pocket/pocket").glob("2*"))
    shutil.copytree(source, source.with_name("again"))
    board = read_board(build_board(root, "pocket"))
    assert list(board["rank"]) == ["1-2", "1-2", "3"]
    floor = resolution_floor(board)
    assert floor == pytest.approx((board["mean_iu_high"] - board["mean_iu_low"]).median())


def test_rows_of_another_signature_are_ranked_apart(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    fcnbench.run(board=root, trials=0, signature="fcn|pocket#64|c8|ign255|abs:reference|native|fp32|v1")
    board = read_board(board_path(root, "pocket"))
    assert sorted(board["rank"]) == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda root: board_path(root, "pocket").write_text(board_path(root, "pocket").read_text() + "x"),
            "is not what",
        ),
        (lambda root: board_path(root, "pocket").unlink(), "is missing"),
        (lambda root: board_path(root, "other").write_text("x"), "has no record and no claim"),
        (lambda root: (root / "leaderboards/SCHEMA.md").write_text("x"), "is not the page"),
        (lambda root: next(root.glob("submissions/*/*/2*/record.json")).unlink(), "is not what"),
    ],
)
def test_boards_that_are_not_what_the_records_give_are_named(
    run_folder: Path, tmp_path: Path, damage: Callable[[Path], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(run_folder, tmp_path)
    build_board(root, "pocket")
    assert fcnbench.verify_boards(root) == []
    assert main(["board", "verify", "--board", str(root)]) == 0
    damage(root)
    (wrong,) = fcnbench.verify_boards(root)
    assert said in wrong
    assert main(["board", "verify", "--board", str(root)]) == 1
    assert said in capsys.readouterr().out


def test_one_edited_cell_of_a_board_is_caught(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    path = build_board(root, "pocket")
    cell = f"{read_board(path)['mean_iu'][1]:.6f}"
    path.write_text(path.read_text().replace(cell, "0.999999"))
    assert "is not what the records give" in fcnbench.verify_boards(root)[0]


def test_show_prints_boards_and_their_resolution(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "show", "--board", str(run_folder)]) == 0
    shown = capsys.readouterr().out
    assert "do not separate gaps in mean IU below" in shown
    assert main(["board", "show", "--board", str(run_folder), "--json"]) == 0
    (board,) = json.loads(capsys.readouterr().out)["boards"]
    assert board["dataset"] == "pocket"
    assert [row["model"] for row in board["rows"]] == ["fcn8s-pocket", "fcn32s-pocket"]
    assert main(["board", "show", "--board", str(run_folder / "nowhere")]) == 3


def test_boards_of_claims_alone_are_built_where_wanted(tmp_path: Path) -> None:
    paths = fcnbench.board(tmp_path, claims=True)
    assert {path.stem for path in paths} == {claim.dataset for claim in claims()}
    assert fcnbench.verify_boards(tmp_path) == []


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


@pytest.mark.parametrize("action", ["build", "show", "verify", "html"])
@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_folder_that_is_not_there_or_empty_is_the_same_mistake_in_every_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, kind: str
) -> None:
    root = tmp_path / kind
    if kind == "file":
        root.write_bytes(b"")
    elif kind == "empty":
        (root / "submissions").mkdir(parents=True)
        (root / "leaderboards").mkdir()
    arguments = ["board", action, "--board", str(root), "--output", str(tmp_path / "site"), "--json"]
    assert main(arguments) == 3
    said = capsys.readouterr()
    content = json.loads(said.out)
    assert (content["error"], content["exit_code"]) == ("DataMissing", 3)
    expected = {"missing": "there is no folder", "file": "is not a folder", "empty": "holds n"}[kind]
    assert expected in content["message"]
    assert str(root) in content["message"]
    assert "--board DIR" in content["next"]
    assert content["message"] in said.err
    assert main(["verify", str(root / "submissions")]) == 3


def test_records_that_are_all_unusable_make_no_sound_boards(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(run_folder, tmp_path)
    for path in root.rglob("record.json"):
        path.write_bytes(b"{}")
    assert main(["board", "verify", "--board", str(root)]) == 3
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "R", "R"],
        ["check", "--baseline", "R"],
        ["score", "--record", "R"],
        ["report", "R"],
        ["submit", "R", "--contact", "a", "--licence", "MIT"],
        ["verify", "R"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_record_that_is_not_there_is_the_same_mistake_in_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3
