"""Where a record lies: found without numpy, so that a wrong path is reported at once."""

from __future__ import annotations

from pathlib import Path

from fcnbench.errors import DataMissing
from fcnbench.util.paths import user_path

RECORD_NAME = "record.json"
"""The record's file in its run's folder."""

MATRICES_NAME = "confusion.npz"
"""The matrices' file beside it."""

VERIFICATION_NAME = "verification.json"
"""The findings of a verification beside them."""


def schema_path(board: Path) -> Path:
    """Return the path of the page that explains a board's columns."""
    return board.parents[1] / "SCHEMA.md"


def check_folder(root: Path) -> None:
    """Check that a folder of boards and submissions is there.

    Raises:
        DataMissing: it is not.
    """
    if not root.is_dir():
        what = f"{root} is not a folder" if root.exists() else f"there is no folder {root}"
        raise DataMissing(
            what, "run `fcnbench run` first, or name a folder of submissions/ and leaderboards/ with --board DIR"
        )


def find(path: str | Path) -> Path:
    """Return the path of the record that a user means: a record's file, or its folder.

    Raises:
        DataMissing: nothing is there.
        UsageError: it is not a path.
    """
    named = user_path(path, "the record")
    place = named / RECORD_NAME if named.is_dir() else named
    if not place.is_file():
        raise DataMissing(f"there is no record at {place}", f"name a {RECORD_NAME}, or the folder that holds one")
    return place
