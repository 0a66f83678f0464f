"""`fcnbench board`: write boards anew from their records."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import Command, add_board, add_json, print_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench board`."""
    parser.add_argument("--dataset", help="only this data set's board (default: all that have a record)")
    add_board(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Write the boards, and show them."""
    from fcnbench.api.board import board
    from fcnbench.results.board import read_board

    written = board(options.board, options.dataset)
    if options.json:
        print_json({"boards": [str(path) for path in written]})
        return 0
    from tabulate import tabulate

    shown = ["model", "pixel_acc", "mean_acc", "mean_iu", "fw_iu", "images", "tier", "signature"]
    for path in written:
        rows = read_board(path)[shown].values.tolist()
        print(f"{path}\n\n{tabulate(rows, headers=shown, floatfmt='.4f')}\n")
    return 0


COMMAND = Command("board", "write boards anew from their records, and show them", add_options, execute)
