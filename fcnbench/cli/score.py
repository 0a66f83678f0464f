"""`fcnbench score`: stored predictions against a data set's truth, or a record worked out anew."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from fcnbench.cli.command import Command, add_board, add_data, add_json, print_json
from fcnbench.cli.result import headline, metrics_table, report
from fcnbench.errors import CheckFailed

if TYPE_CHECKING:
    from fcnbench.records.recompute import Rescored

_SHOWN = 20
"""Mismatches that are printed; `--json` has all."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench score`."""
    from fcnbench.api.defaults import DEFAULT_DATASET

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--predictions",
        metavar="DIR",
        help="folder of index PNGs: <id>.png, or the VOC devkit's <comp>_<set>_cls/<id>.png",
    )
    what.add_argument("--record", metavar="PATH", help="a record.json or its folder: recompute it from its matrices")
    parser.add_argument("--dataset", default=DEFAULT_DATASET, help="name of the task (default: %(default)s)")
    parser.add_argument("--model", help="what to call the maker of the predictions (default: the folder's name)")
    parser.add_argument(
        "--train-split", action="append", default=[], metavar="NAME", help="a split that it was trained on; repeatable"
    )
    add_data(parser)
    parser.add_argument("--trimap", action="store_true", help="also score the pixels within 1..40 px of outlines")
    parser.add_argument("--classes", action="store_true", help="print accuracy and IU of every class")
    add_board(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Score, and print the result; exit code 1 if a record and its matrices do not agree."""
    from fcnbench.api.score import score

    if options.record is not None:
        return _rescored(score(record=options.record), options.json)
    finished = score(
        options.predictions,
        options.dataset,
        model=options.model,
        train_splits=options.train_split,
        from_=options.from_,
        allow_partial=options.allow_partial,
        accept_terms=options.accept_terms,
        trimap=options.trimap,
        board=options.board,
    )
    if options.json:
        print_json(finished.summary())
    else:
        print(report(finished, options.classes))
    return 0


def _rescored(found: Rescored, as_json: bool) -> int:
    agree = not found.mismatches
    if as_json:
        from fcnbench.records.json import summary

        mismatches = [asdict(mismatch) for mismatch in found.mismatches]
        print_json({**summary(found.record), "agree": agree, "mismatches": mismatches, "record": str(found.path)})
    else:
        print(f"{headline(found.record)}\n{metrics_table(found.record)}\n")
        for mismatch in found.mismatches[:_SHOWN]:
            print(f"DIFFERS  {mismatch.where}: the record says {mismatch.stored}, it follows {mismatch.found}")
        if len(found.mismatches) > _SHOWN:
            print(f"         and {len(found.mismatches) - _SHOWN} more")
        print("record and matrices agree" if agree else "record and matrices DO NOT agree: restore both from one run")
    return 0 if agree else CheckFailed.exit_code


COMMAND = Command("score", "score stored predictions, or recompute a record from its matrices", add_options, execute)
