"""`fcnbench compare`: two records side by side, or one under other harnesses' rules."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING, Any

from fcnbench.cli.output import print_json
from fcnbench.cli.result import MORE, TITLES, percent
from fcnbench.errors import UsageError
from fcnbench.util.console import listed

if TYPE_CHECKING:
    from fcnbench.comparison.compare import Comparison
    from fcnbench.comparison.conventions import ConventionScores

_MOST = 8
"""Classes and images that are printed; `--json` has all."""


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
    if options.json:
        print_json(asdict(comparison))
    else:
        print(_text(comparison))
    return 0


def _lens(record: str, as_json: bool) -> int:
    from fcnbench.api.compare import lens

    readings = lens(record)
    if as_json:
        print_json({"readings": [asdict(reading) | {"scores": _without_nan(reading)} for reading in readings]})
        return 0
    from tabulate import tabulate

    rows = [
        [reading.convention, *(_percent(reading.scores, name) for name in TITLES), reading.why] for reading in readings
    ]
    columns = ["left", *["right"] * len(TITLES), "left"]
    widths = [None, *[None] * len(TITLES), 50]
    headers = ["rules of", *TITLES.values(), "why mean IU differs"]
    print(tabulate(rows, headers, disable_numparse=True, colalign=columns, maxcolwidths=widths))
    return 0


def _without_nan(reading: ConventionScores) -> dict[str, float | None]:
    return {name: None if isnan(value) else value for name, value in reading.scores.items()}


def _percent(scores: dict[str, float], name: str) -> str:
    if name not in scores:
        return ""
    return "NaN" if isnan(scores[name]) else percent(scores[name])


def _text(comparison: Comparison) -> str:
    from tabulate import tabulate

    parts = [f"{comparison.images} images in common"]
    for which, ids in (("A", comparison.only_first), ("B", comparison.only_second)):
        if ids:
            parts.append(f"only in {which}: {len(ids)} ({listed(ids)})")
    titles = {name: title for name, title in (TITLES | MORE).items() if name in comparison.before}
    rows: list[list[Any]] = [
        ["A", *(percent(comparison.before[name]) for name in titles)],
        ["B", *(percent(comparison.after[name]) for name in titles)],
    ]
    if comparison.differences:
        each = [comparison.differences[name] for name in titles if name in comparison.differences]
        rows.append(["B - A", *(f"{100 * one.value:+.2f}" for one in each)])
        rows.append(["95% interval", *(f"{100 * one.low:+.2f}..{100 * one.high:+.2f}" for one in each)])
        rows.append(["p", *(f"{one.p:.4f}" for one in each)])
    headers = ["in percent", *titles.values()]
    parts.append("\n" + tabulate(rows, headers, stralign="right", colalign=("left",), disable_numparse=True) + "\n")
    if not comparison.differences:
        parts.append("the ground truth of the two differs: no interval, and no p\n")
    moves = [
        [move.name, percent(move.before), percent(move.after), f"{100 * move.moved:+.2f}"]
        for move in comparison.classes[:_MOST]
        if move.moved
    ]
    if moves:
        headers = ["class", "IU of A", "of B", "moved"]
        parts.append(tabulate(moves, headers, disable_numparse=True, colalign=["left", *["right"] * 3]) + "\n")
    parts.append(comparison.flipped())
    images = [[move.id, f"{move.flips:,}", f"{move.after - move.before:+,}"] for move in comparison.moved[:_MOST]]
    if images:
        headers = ["image", "changed", "right pixels"]
        parts.append(tabulate(images, headers, disable_numparse=True, colalign=["left", *["right"] * 2]))
    layers = [[layer.name, layer.state, layer.text] for layer in comparison.layers]
    headers = ["why", "", ""]
    parts.append("\n" + tabulate(layers, headers, disable_numparse=True, maxcolwidths=[None, None, 84]))
    return "\n".join(parts)
