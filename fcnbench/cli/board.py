"""`fcnbench board`: rewrite boards from their records, show them, check them, or write them as pages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed

if TYPE_CHECKING:
    import pandas as pd

    from fcnbench.leaderboard.table import Board

_SHOWN = ["rank", "model", "pixel_acc", "mean_acc", "mean_iu", "mean_iu_low", "mean_iu_high", "fw_iu", "images", "tier"]

_SHOWN_SPEED = [
    "model", "scenario", "batch", "median_ms", "p90_ms", "p99_ms", "mean_ms", "trials", "forward", "precision",
]  # fmt: skip


def execute(options: argparse.Namespace) -> int:
    """Build, show or verify boards; return exit code 1 if one is not what the records give."""
    if options.action == "verify":
        return _verify(options)
    from fcnbench.api.board import board, board_pages

    if options.action == "html":
        index = board_pages(options.output, options.board)
        print_json({"index": str(index)}) if options.json else print(index)
        return 0
    if options.action == "build":
        paths = board(options.board, options.dataset, claims=options.claims)
        from fcnbench.leaderboard.board import board_at

        boards = [board_at(path) for path in paths]
    else:
        from fcnbench.records.location import check_folder
        from fcnbench.util import paths as locations

        root = locations.boards(options.board)
        check_folder(root)
        from fcnbench.leaderboard.board import boards_below
        from fcnbench.leaderboard.score_board import ScoreBoard

        boards = [ScoreBoard.of(root, options.dataset)] if options.dataset else boards_below(root)
    if options.json:
        print_json({"boards": [_as_json(board) for board in boards]})
        return 0
    print("\n".join(_text(board) for board in boards))
    scores = [board.path for board in boards if board.kind == "scores"]
    if options.action == "build" and scores:
        from fcnbench.records.location import schema_path

        print(f"columns  {schema_path(scores[0])}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from fcnbench.api.board import verify_boards

    wrong = verify_boards(options.board)
    if options.json:
        print_json({"sound": not wrong, "wrong": wrong})
    else:
        # Names of files may hold anything, and these lines go into comments.
        shown = [" ".join(line.split()).replace("`", "'") for line in wrong]
        print("\n".join(shown) or "every board is what the records give")
    return CheckFailed.exit_code if wrong else 0


def _as_json(board: Board) -> dict[str, object]:
    from fcnbench.leaderboard.ranks import resolution_floor

    frame, path = board.read(), str(board.path)
    if board.kind == "speed":
        return {"path": path, "machine": board.path.stem, "rows": _records(frame)}
    floor = resolution_floor(frame)
    return {"path": path, "dataset": board.path.stem, "resolution_floor": floor, "rows": _records(frame)}


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows as JSON values: an empty cell is null."""
    import json

    rows: list[dict[str, object]] = json.loads(frame.to_json(orient="records"))
    return rows


def _text(board: Board) -> str:
    from tabulate import tabulate

    from fcnbench.leaderboard.ranks import resolution_floor

    frame = board.read()
    if board.kind == "speed":
        rows = frame[_SHOWN_SPEED].astype(object).to_numpy().tolist()
        return f"{board.path}\n\n{tabulate(rows, headers=_SHOWN_SPEED, floatfmt='.1f', intfmt=',')}\n"
    shown = [*_SHOWN, *(name for name in ("mean_iu_nobg", "geo_pixel_acc") if frame[name].notna().any())]
    rows = frame[shown].astype(object).where(frame[shown].notna(), None).to_numpy().tolist()
    table = tabulate(rows, headers=shown, floatfmt=".4f", disable_numparse=[0, 1] if rows else True)
    floor = resolution_floor(frame)
    said = "" if floor is None else f"these images do not separate gaps in mean IU below {100 * floor:.1f} points\n"
    return f"{board.path}\n\n{table}\n{said}"
