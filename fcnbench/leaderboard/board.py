"""All boards below a root, of scores and of speed: list them, find them by path, check them against their records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.errors import DataMissing
from fcnbench.leaderboard.claims import claims
from fcnbench.leaderboard.columns import VERSION, schema_page
from fcnbench.leaderboard.score_board import ScoreBoard, record_paths, recorded_datasets
from fcnbench.leaderboard.speed_board import SpeedBoard, speed_boards, speed_folder
from fcnbench.leaderboard.table import Board
from fcnbench.records.location import check_folder
from fcnbench.util.paths import user_path
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import pandas as pd


def board_path(root: Path, dataset: str) -> Path:
    """Return the path of a dataset's board below the root of boards and submissions.

    >>> board_path(Path("."), "pocket").as_posix()
    'leaderboards/v1/pocket.csv'
    """
    return ScoreBoard.of(root, dataset).path


def build_board(root: Path, dataset: str) -> Path:
    """Write a dataset's board from its records; return its path.

    A record that can't be used is named on standard error and left out.

    Raises:
        OutputError: the board could not be written.
    """
    return ScoreBoard.of(root, dataset).build()


def read_board(path: str | Path) -> pd.DataFrame:
    """Read a board of scores as a pandas frame.

    Args:
        path: path of the CSV file.

    Returns:
        A frame with the columns and dtypes of `columns.SCORE_COLUMNS`; text cells without a value are empty strings.

    Raises:
        DataMissing: there is no such file.
        ResultsError: the file is not a board.
        UsageError: it is not a path.

    >>> import fcnbench
    >>> run = fcnbench.run("fcn8s-pocket", "pocket", trials=0)
    >>> read_board(run.board)["model"].tolist()
    ['fcn8s-pocket']
    """
    place = user_path(path, "the board")
    return ScoreBoard(place, place.stem).read()


def board_at(path: Path) -> Board:
    """Return the board whose file is at a path: of speed in a folder `speed`, else of scores.

    >>> board_at(Path("leaderboards/v1/speed/a-cpu-2-threads.csv")).title
    'speed of a-cpu-2-threads'
    """
    return SpeedBoard(path, path.stem) if path.parent.name == "speed" else ScoreBoard(path, path.stem)


def boards_below(root: Path) -> list[Board]:
    """Return the boards whose files are below a root, boards of scores first.

    Raises:
        DataMissing: there is no board, or no such folder.
    """
    check_folder(root)
    paths = _board_files(root)
    if not paths and not record_paths(root) and not speed_boards(root):
        raise _empty(root)
    if not paths:
        raise DataMissing(f"there is no board below {root}", "write it with `fcnbench board build`")
    return [board_at(path) for path in paths]


def differing_boards(root: Path) -> list[str]:
    """Return one sentence for each file below `leaderboards/` that is not what the records give.

    Raises:
        DataMissing: there is no such folder, or neither a board nor a usable record in it.
    """
    check_folder(root)
    boards = {path: board_at(path) for path in _board_files(root)}
    wrong = []
    page = root / "leaderboards" / "SCHEMA.md"
    if any(board.kind == "scores" for board in boards.values()) and not _is_current(page):
        wrong.append(f"{page} is not the page of this version")
    # A record has the dataset's full name; a file name may be a shorter form of it.
    recorded = [ScoreBoard.of(root, name) for name in recorded_datasets(root)]
    claimed = [ScoreBoard.of(root, name) for name in sorted({claim.dataset for claim in claims()})]
    boards |= {board.path: board for board in claimed if board.path in boards}
    boards |= {board.path: board for board in (*recorded, *speed_boards(root))}
    if not boards:
        raise _empty(root)
    for path, board in sorted(boards.items(), key=lambda item: (item[1].kind, item[0])):
        if difference := board.difference():
            wrong.append(f"{path} {difference}")
    return wrong


def _board_files(root: Path) -> list[Path]:
    return sorted((root / "leaderboards" / VERSION).glob("*.csv")) + sorted(speed_folder(root).glob("*.csv"))


def _is_current(page: Path) -> bool:
    return page.is_file() and read_text(page) == schema_page()


def _empty(root: Path) -> DataMissing:
    return DataMissing(
        f"{root} holds neither a board below leaderboards/ nor a usable record below submissions/",
        f"run `fcnbench run --board {root}` first, or name another folder with --board DIR",
    )
