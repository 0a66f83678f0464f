"""`fcnbench score`: stored predictions against a dataset's ground truth, or a recomputed record."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.cli.result import headline, metrics_table, report
from fcnbench.errors import CheckFailed, UsageError
from fcnbench.options import ScoreOptions
from fcnbench.util.option import options_of

if TYPE_CHECKING:
    from fcnbench.records.recompute import Rescored

_SHOWN = 20
"""Mismatches that are printed; `--json` has all."""


def execute(options: argparse.Namespace) -> int:
    """Score, and print the result; return exit code 1 if a record and its matrices do not agree."""
    from fcnbench.api.score import score

    if options.record is not None:
        if beside := sorted(options.given - {"record", "json"}):
            flags = {option.name: option.flag for option in options_of(ScoreOptions)}
            raise UsageError(f"--record recomputes a record, without {flags[beside[0]]}", "drop all other options")
        return _rescored(score(record=options.record), options.json)
    finished = score(**arguments(options))
    if options.json:
        print_json(finished.summary())
    else:
        print(report(finished, options.classes))
    return 0


def _rescored(rescored: Rescored, as_json: bool) -> int:
    agree = not rescored.mismatches
    if as_json:
        from fcnbench.records.json import summary

        mismatches = [asdict(mismatch) for mismatch in rescored.mismatches]
        print_json({**summary(rescored.record), "agree": agree, "mismatches": mismatches, "record": str(rescored.path)})
    else:
        print(f"{headline(rescored.record)}\n{metrics_table(rescored.record)}\n")
        for mismatch in rescored.mismatches[:_SHOWN]:
            print(f"DIFFERS  {mismatch.where}: the record says {mismatch.stored}, the matrices give {mismatch.found}")
        if len(rescored.mismatches) > _SHOWN:
            print(f"         and {len(rescored.mismatches) - _SHOWN} more")
        print("record and matrices agree" if agree else "record and matrices DO NOT agree: restore both from one run")
    return 0 if agree else CheckFailed.exit_code
