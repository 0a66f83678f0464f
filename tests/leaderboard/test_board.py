"""Boards below a root: they are built, shown, and compared with their records."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataMissing
from fcnbench.leaderboard.board import board_at, board_path, boards_below, build_board, read_board
from fcnbench.leaderboard.claims import claims
from tests.committed import committed
from tests.leaderboard.conftest import copied


def test_the_projects_own_boards_are_what_its_records_give() -> None:
    assert fcnbench.verify_boards(committed()) == []
    assert {path.stem for path in (committed() / "leaderboards/v1").glob("*.csv")} == {
        "pocket", *(claim.dataset for claim in claims()),
    }  # fmt: skip
    board = read_board(board_path(committed(), "pocket"))
    assert set(board["tier"]) == {"rerun"}
    assert list(board["rank"]) == ["1", "2", "3"]


def test_building_without_records_gives_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="holds no usable record"):
        fcnbench.board(tmp_path)
    fcnbench.run(limit=1, board=tmp_path)
    with pytest.raises(DataMissing, match="holds no usable record of voc2011val"):
        fcnbench.board(tmp_path, "voc2011val")
    assert isinstance(fcnbench.read_board(fcnbench.board(tmp_path)[0]), pd.DataFrame)


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
def test_a_board_that_differs_from_its_records_is_named(
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


def test_one_edited_cell_of_a_board_is_detected(run_folder: Path, tmp_path: Path) -> None:
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


def test_boards_with_claims_only_are_built_on_request(tmp_path: Path) -> None:
    paths = fcnbench.board(tmp_path, claims=True)
    assert {path.stem for path in paths} == {claim.dataset for claim in claims()}
    assert fcnbench.verify_boards(tmp_path) == []


@pytest.mark.parametrize("action", ["build", "show", "verify", "html"])
@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_missing_or_empty_folder_is_the_same_error_in_every_action(
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


def test_boards_are_not_verified_if_all_records_are_unusable(
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
def test_a_missing_record_is_the_same_error_in_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3


def test_a_file_is_recognised_as_a_board_of_its_kind() -> None:
    boards = boards_below(committed())
    kinds = [board.kind for board in boards]
    assert kinds == sorted(kinds)
    assert {board.kind for board in boards} == {"scores", "speed"}
    for board in boards:
        assert board_at(board.path) == board
        assert board.root == committed()
        assert len(board.read()) > 0
        assert (board.path.parent.name == "speed") == (board.kind == "speed")


def test_a_dataset_whose_name_is_not_a_file_name_is_verified(run_folder: Path, tmp_path: Path) -> None:
    root = copied(run_folder, tmp_path)
    record = next((root / "submissions/fcn8s-pocket/pocket").glob("2*")) / "record.json"
    target = root / "submissions/fcn8s-pocket/my-pocket" / record.parent.name / record.name
    target.parent.mkdir(parents=True)
    text = record.read_text().replace('"dataset": "pocket"', '"dataset": "my:pocket"')
    target.write_text(text.replace("data:pocket#", "data:my:pocket#"))
    assert {path.stem for path in fcnbench.board(root)} == {"pocket", "my-pocket"}
    assert fcnbench.verify_boards(root) == []
