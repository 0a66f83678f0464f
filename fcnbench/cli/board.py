"""`fcnbench board`: rewrite boards from their records, show them, check them, or write them as pages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ["rank", "model", "pixel_acc", "mean_acc", "mean_iu", "mean_iu_low", "mean_iu_high", "fw_iu", "images", "tier"]


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
    else:
        from fcnbench.records.location import check_folder
        from fcnbench.util import paths as locations

        root = locations.boards(options.board)
        check_folder(root)
        from fcnbench.leaderboard.board import board_path, boards_of

        paths = [board_path(root, options.dataset)] if options.dataset else boards_of(root)
    if options.json:
        print_json({"boards": [_as_json(path) for path in paths]})
        return 0
    print("\n".join(_text(path) for path in paths))
    tables = [path for path in paths if path.parent.name != "speed"]
    if options.action == "build" and tables:
        from fcnbench.records.location import schema_path

        print(f"columns  {schema_path(tables[0])}")
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


def _as_json(path: Path) -> dict[str, object]:
    from fcnbench.leaderboard.board import floor_of, read_board
    from fcnbench.leaderboard.speed_board import read_speed_board

    if path.parent.name == "speed":
        return {"path": str(path), "machine": path.stem, "rows": _records(read_speed_board(path))}
    frame = read_board(path)
    return {"path": str(path), "dataset": path.stem, "resolution_floor": floor_of(frame), "rows": _records(frame)}


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows as JSON values: an empty cell is null."""
    import json

    rows: list[dict[str, object]] = json.loads(frame.to_json(orient="records"))
    return rows


def _text(path: Path) -> str:
    from tabulate import tabulate

    from fcnbench.leaderboard.board import floor_of, read_board

    if path.parent.name == "speed":
        return _speed_text(path)
    frame = read_board(path)
    shown = [*_SHOWN, *(name for name in ("mean_iu_nobg", "geo_pixel_acc") if frame[name].notna().any())]
    rows = frame[shown].astype(object).where(frame[shown].notna(), None).to_numpy().tolist()
    floor = floor_of(frame)
    said = "" if floor is None else f"these images do not separate gaps in mean IU below {100 * floor:.1f} points\n"
    return (
        f"{path}\n\n{tabulate(rows, headers=shown, floatfmt='.4f', disable_numparse=[0, 1] if rows else True)}\n{said}"
    )


def _speed_text(path: Path) -> str:
    from tabulate import tabulate

    from fcnbench.leaderboard.speed_board import read_speed_board

    shown = ["model", "scenario", "batch", "median_ms", "p90_ms", "p99_ms", "mean_ms", "trials", "forward", "precision"]
    rows = read_speed_board(path)[shown].astype(object).to_numpy().tolist()
    return f"{path}\n\n{tabulate(rows, headers=shown, floatfmt='.1f', intfmt=',')}\n"
