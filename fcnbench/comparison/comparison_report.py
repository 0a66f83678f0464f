"""Two runs side by side as text: metrics, classes and images that moved, and why they may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcnbench.metrics.titles import HEADINGS, MORE, percent
from fcnbench.util.console import listed

if TYPE_CHECKING:
    from fcnbench.comparison.compare import Comparison

_MOST = 8
"""Classes and images that are listed; `--json` has all."""


def text(comparison: Comparison) -> str:
    """Format a comparison for a terminal."""
    from tabulate import tabulate

    parts = [f"{comparison.images} images in common"]
    for which, ids in (("A", comparison.only_first), ("B", comparison.only_second)):
        if ids:
            parts.append(f"only in {which}: {len(ids)} ({listed(ids)})")
    titles = {name: title for name, title in (HEADINGS | MORE).items() if name in comparison.before}
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
