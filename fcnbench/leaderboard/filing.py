"""Files a record: writes it below `submissions/`, and its row into the dataset's board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcnbench.leaderboard.board import build_board
from fcnbench.records.files import save
from fcnbench.records.identity import Identity
from fcnbench.records.model import Record
from fcnbench.util import paths


@dataclass(frozen=True, eq=False, repr=False)
class Filed:
    """A record that was written.

    Attributes:
        record: the result.
        path: path of `record.json`.
        board: path of the board that has its row; None for a part of a split, and for images trained on.
        identity: everything that the result depends on; None for stored predictions.
    """

    record: Record
    path: Path
    board: Path | None
    identity: Identity | None = None


def file_record(record: Record, root: Path, identity: Identity | None = None) -> Filed:
    """Write a record, and the board that it may enter.

    Args:
        record: the record.
        root: folder of `submissions/` and `leaderboards/`.
        identity: everything that the result depends on, where it may be reused.

    Raises:
        OutputError: record or board could not be written.
    """
    paths.keep_out_of_git(root)
    path = save(record, root)
    return Filed(record, path, build_board(root, record.protocol.dataset) if record.ranked else None, identity)
