"""Folders: stores, archives, weights and journals in one home folder, results in a folder of their own."""

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
"""Default folder of results; git ignores it."""


def user_path(given: object, what: str) -> Path:
    """Return the path that a user gave, with `~` for the home folder.

    Args:
        given: text or a path.
        what: what names it, for the message.

    Raises:
        UsageError: it is neither, or no path can be it.

    >>> user_path("boards/v1", "--board").as_posix()
    'boards/v1'
    """
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{what} is a {type(given).__name__}, expected text or a path", "pass the path")
    try:
        path = Path(given).expanduser()
    except RuntimeError as error:
        says = f"{what} {str(given)!r} begins with ~ and a name that this machine does not know"
        raise UsageError(says, "write the whole path") from error
    except TypeError as error:  # bytes
        raise UsageError(f"{what} {given!r} is not a path: {error}", "write the whole path") from error
    if "\0" in str(path):
        raise UsageError(f"{what} {str(given)!r} is not a path: it holds a NUL character", "write the whole path")
    return path


def home() -> Path:
    """Return the home folder: `$FCNBENCH_HOME`, or `fcnbench` in the platform's cache folder. Does not create it."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("fcnbench", appauthor=False)


def stores() -> Path:
    """Return the folder of the canonical stores, with one folder per dataset."""
    return home() / "stores"


def archives() -> Path:
    """Return the folder of downloaded archives."""
    return home() / "archives"


def weights() -> Path:
    """Return the folder of downloaded weights."""
    return home() / "weights"


def journals() -> Path:
    """Return the folder of the journals of unfinished runs."""
    return home() / "journals"


def results(board: str | Path | None = None) -> Path:
    """Return the folder of new results, which holds `submissions/` and `leaderboards/`. Does not create it.

    Args:
        board: the user's choice; by default `$FCNBENCH_BOARD`, else `fcnbench-results` in the working directory.

    Raises:
        UsageError: the choice is an empty string.

    >>> results("boards").as_posix()
    'boards'
    """
    chosen = os.environ.get(BOARD_VARIABLE) or RESULTS if board is None else board
    if isinstance(chosen, str) and not chosen:
        raise UsageError("--board names no folder", "pass a folder, or drop --board")
    return user_path(chosen, "--board")


def boards(board: str | Path | None = None) -> Path:
    """Return the folder whose boards are shown, checked or rebuilt.

    Args:
        board: the user's choice; by default `$FCNBENCH_BOARD`, else the working directory where it holds
            `submissions/` or `leaderboards/`, else `fcnbench-results` in it.
    """
    if board is None and not os.environ.get(BOARD_VARIABLE) and is_board_repository(Path()):
        return Path()
    return results(board)


def is_board_repository(folder: Path) -> bool:
    """Return whether a folder holds `submissions/` or `leaderboards/`."""
    return any((folder / name).is_dir() for name in ("submissions", "leaderboards"))


def keep_out_of_git(results_folder: Path) -> None:
    """Write a `.gitignore` that ignores everything into the default results folder, as tools do with their caches.

    A folder of another name was chosen by the user, and is left as it is.

    Raises:
        OutputError: the folder is not writable.
    """
    ignore_file = results_folder / ".gitignore"
    if results_folder.name == RESULTS and not ignore_file.exists():
        files.write_bytes(ignore_file, b"*\n")
