"""The filed record of a run on every rank: rank 0 writes it and sends it to the others as JSON and int64 arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcnbench.evaluation.distributed import Ranks
from fcnbench.leaderboard.filing import Filed
from fcnbench.records.identity import Identity
from fcnbench.records.json import arrays_of, record_of
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import from_json
from fcnbench.util.text import read_text


def broadcast_filed(ranks: Ranks, make: Callable[[], Filed]) -> Filed:
    """Call `make` on rank 0 and return its filed record on every rank.

    Args:
        ranks: the ranks of the run.
        make: writes record and board.

    Raises:
        RankLost: another rank has failed or is dead.
    """
    if ranks.size == 1:
        return make()
    if not ranks.is_rank0:
        content = ranks.broadcast_from_rank0(dict[str, Any])
        return _filed_of(content, ranks.broadcast_arrays({}))
    filed = make()
    ranks.broadcast_from_rank0(lambda: _content_of(filed))
    # The ids are in the JSON already, and no other array holds text.
    ranks.broadcast_arrays({name: array for name, array in arrays_of(filed.record).items() if name != "ids"})
    return filed


def _content_of(filed: Filed) -> dict[str, Any]:
    """Return a filed record as JSON values, without the arrays."""
    return {
        "record": json.loads(read_text(filed.path)),
        "path": str(filed.path),
        "board": None if filed.board is None else str(filed.board),
        "identity": None if filed.identity is None else asdict(filed.identity),
    }


def _filed_of(content: dict[str, Any], arrays: dict[str, Any]) -> Filed:
    """Return the filed record of its JSON values and arrays."""
    board, identity = content["board"], content["identity"]
    return Filed(
        record=record_of(from_json(content["record"], RecordFile), arrays),
        path=Path(content["path"]),
        board=None if board is None else Path(board),
        identity=None if identity is None else Identity(**identity),
    )
