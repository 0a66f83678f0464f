"""Where files go: stores, weights and journals below one home folder; results below a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

from fcnbench.errors import UsageError
from fcnbench.util import files

HOME_VARIABLE = "FCNBENCH_HOME"
"""Environment variable that moves the home folder."""

BOARD_VARIABLE = "FCNBENCH_BOARD"
"""Environment variable that names the folder of `submissions/` and `leaderboards/`, as `--board` does."""

RESULTS = "fcnbench-results"
"""The folder of results when nothing else is said; git ignores it."""


def home() -> Path:
    """The home folder: `$FCNBENCH_HOME`, or `fcnbench` in the platform's cache folder. Not created here."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("fcnbench", appauthor=False)


def stores() -> Path:
    """Folder of the canonical stores, one folder a task."""
    return home() / "stores"


def archives() -> Path:
    """Folder of downloaded archives."""
    return home() / "archives"


def weights() -> Path:
    """Folder of published weights."""
    return home() / "weights"


def journals() -> Path:
    """Folder of the journals of unfinished runs."""
    return home() / "journals"


def results(board: str | Path | None = None) -> Path:
    """Return the folder that new runs are filed in, with `submissions/` and `leaderboards/` below it. Not created here.

    Args:
        board: the user's choice; by default `$FCNBENCH_BOARD`, else `fcnbench-results` in the working directory.

    Raises:
        UsageError: the choice is empty.

    >>> results("boards").as_posix()
    'boards'
    """
    chosen = os.environ.get(BOARD_VARIABLE) or RESULTS if board is None else board
    if not str(chosen):
        raise UsageError("--board names no folder", "pass a folder, or drop --board")
    return Path(chosen).expanduser()


def boards(board: str | Path | None = None) -> Path:
    """Return the folder whose boards are shown, checked or rebuilt: a repository of boards where one is stood in.

    Args:
        board: the user's choice; by default `$FCNBENCH_BOARD`, else the working directory where it holds
            `submissions/` or `leaderboards/`, else `fcnbench-results` in it.
    """
    if board is None and not os.environ.get(BOARD_VARIABLE) and is_board_repository(Path()):
        return Path()
    return results(board)


def is_board_repository(folder: Path) -> bool:
    """Whether a folder holds `submissions/` or `leaderboards/`."""
    return any((folder / name).is_dir() for name in ("submissions", "leaderboards"))


def keep_out_of_git(results_folder: Path) -> None:
    """Make git ignore everything in the default results folder, as tools do with their caches.

    A folder of another name is the user's own, perhaps a repository of boards, and is left alone.

    Raises:
        OutputError: the folder is not writable.
    """
    mark = results_folder / ".gitignore"
    if results_folder.name == RESULTS and not mark.exists():
        files.write_bytes(mark, b"*\n")
