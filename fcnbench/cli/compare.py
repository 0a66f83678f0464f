"""`fcnbench compare`: two records side by side, or one under other harnesses' rules."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING

from fcnbench.cli.output import print_json
from fcnbench.errors import UsageError
from fcnbench.metrics.titles import HEADINGS, percent

if TYPE_CHECKING:
    from fcnbench.comparison.conventions import ConventionScores


def execute(options: argparse.Namespace) -> int:
    """Compare, and print the result."""
    if options.lens is not None:
        if options.runs or options.predictions:
            raise UsageError("--lens reads one record", "drop the other arguments")
        return _lens(options.lens, options.json)
    if len(options.runs) != 2:
        raise UsageError(f"compare takes two runs, not {len(options.runs)}", "name A and B, or one with --lens")
    from fcnbench.api.compare import compare

    comparison = compare(*options.runs, predictions=tuple(options.predictions) if options.predictions else None)
    from fcnbench.comparison.comparison_report import text

    if options.json:
        print_json(asdict(comparison))
    else:
        print(text(comparison))
    return 0


def _lens(record: str, as_json: bool) -> int:
    from fcnbench.api.compare import lens

    readings = lens(record)
    if as_json:
        print_json({"readings": [asdict(reading) | {"scores": _without_nan(reading)} for reading in readings]})
        return 0
    from tabulate import tabulate

    rows = [
        [reading.convention, *(_percent(reading.scores, name) for name in HEADINGS), reading.why]
        for reading in readings
    ]
    columns = ["left", *["right"] * len(HEADINGS), "left"]
    widths = [None, *[None] * len(HEADINGS), 50]
    headers = ["rules of", *HEADINGS.values(), "why mean IU differs"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=columns, maxcolwidths=widths))
    return 0


def _without_nan(reading: ConventionScores) -> dict[str, float | None]:
    return {name: None if isnan(value) else value for name, value in reading.scores.items()}


def _percent(scores: dict[str, float], name: str) -> str:
    if name not in scores:
        return ""
    return "NaN" if isnan(scores[name]) else percent(scores[name])
