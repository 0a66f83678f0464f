"""Filing of a record: it is written below `submissions/`, and its dataset's board is rewritten."""

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
    """A record and the files that it was written to.

    Attributes:
        record: the record.
        path: path of `record.json`.
        board: path of the board that has its row; None for a part of a split, and for evaluated training images.
        identity: everything that the result depends on; None for stored predictions.
    """

    record: Record
    path: Path
    board: Path | None
    identity: Identity | None = None


def file_record(record: Record, root: Path, identity: Identity | None = None) -> Filed:
    """Write a record below a root, and its dataset's board if the record may enter it.

    Args:
        record: the record.
        root: folder of `submissions/` and `leaderboards/`.
        identity: everything that the result depends on, if the result may be reused.

    Raises:
        OutputError: the record or the board could not be written.
    """
    paths.keep_out_of_git(root)
    path = save(record, root)
    return Filed(record, path, build_board(root, record.protocol.dataset) if record.ranked else None, identity)
