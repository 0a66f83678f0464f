"""The committed records and boards: a file for each, so that new ones are not in the way of those that are frozen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.committed import committed
from tests.freeze.masks import dumped, masked
from tests.freeze.results import integers
from tests.freeze.session import Session

FOLDER = "committed"
"""Golden files below this folder may be fewer than there are records."""

_MOVING = ("rank", "tier_date", "tier_version")
"""Columns that change when other records arrive, or when a record is verified again."""


def committed_files(session: Session) -> dict[str, str]:
    """Return a golden file for every committed record, and one for the claims of every board."""
    root = committed()
    boards = session.json("board", "show", "--board", str(root))["boards"]
    rows: dict[str, Any] = {}
    found = {}
    for board in boards:
        name = board.get("dataset") or f"speed-{board['machine']}"
        kept = [{key: value for key, value in row.items() if key not in _MOVING} for row in board["rows"]]
        rows |= {str(row["record"]): row for row in kept if row["record"]}
        if claims := [row for row in kept if not row["record"]]:
            found[f"{FOLDER}/claims-{name}.json"] = dumped({"columns": list(claims[0]), "rows": _filled(claims)})
    for path in sorted(root.glob("submissions/*/*/*/*.json")):
        name = path.relative_to(root).as_posix()
        if path.name == "record.json":
            content: dict[str, Any] = {"row": _filled([rows[name]])[0], "integers": integers(path)}
            content["rescored"] = _rescored(session, path)
        elif path.name == "speed.json":
            content = {"row": _filled([rows[name]])[0], "samples": _samples(path)}
        else:
            continue
        found[f"{FOLDER}/{'-'.join(path.relative_to(root).parts[1:4])}.json"] = dumped(content)
    return found


def _filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows without empty cells."""
    return [{key: value for key, value in row.items() if value not in (None, "")} for row in rows]


def _rescored(session: Session, path: Path) -> Any:
    """Return what `score --record` says of a record, without times."""
    content = session.json("score", "--record", str(path))
    content["record"] = content["run"] = "<committed>"
    return masked(content, session.root)


def _samples(path: Path) -> dict[str, Any]:
    samples = json.loads(path.read_text(encoding="utf-8"))["samples"]
    return {"number": len(samples), "digest": hashlib.sha256(json.dumps(samples).encode()).hexdigest()}
