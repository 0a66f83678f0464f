"""The convention lens: what other harnesses would report for the same matrices, and which of their rules does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.metrics.conventions import CONVENTIONS, Averaging, Convention, read
from fcnbench.records.model import Record

_EQUAL = 5e-13
"""Gaps below are rounding of float64."""


@dataclass(frozen=True)
class Reading:
    """What a harness would report.

    Attributes:
        convention: name of its rules.
        source: where they are written.
        scores: fractions by metric; NaN where its rules give that; only what it reports.
        why: which rule makes the gap to the papers' rules, and by how much.
    """

    convention: str
    source: str
    scores: dict[str, float]
    why: str


def look(record: Record) -> list[Reading]:
    """A record's matrices under every convention, the papers' own first."""
    stack = record.evaluation.matrices
    return [Reading(each.name, each.source, each.read(stack), _why(each, stack, record)) for each in CONVENTIONS]


def _why(convention: Convention, stack: NDArray[np.int64], record: Record) -> str:
    papers = read(stack, "present")["mean_iu"]
    averaged = read(stack, convention.averaging)["mean_iu"]
    theirs = convention.read(stack)
    exact = read(stack, convention.averaging)
    reasons = []
    if np.isnan(averaged) or abs(averaged - papers) > _EQUAL:
        by = "" if np.isnan(averaged) else f" ({100 * (averaged - papers):+.2f})"
        reasons.append(_averaging(convention.averaging, record) + by)
    rest = max((abs(theirs[name] - exact[name]) for name in theirs if not np.isnan(exact[name])), default=0.0)
    if rest > _EQUAL:
        reasons.append(f"{convention.arithmetic} (at most {100 * rest:.1g})")
    return "; ".join(reasons) or "the same"


def _averaging(averaging: Averaging, record: Record) -> str:
    """In words, what such a mean makes of this record's classes."""
    true, predicted = record.confusion.sum(axis=1), record.confusion.sum(axis=0)
    ghosts = [name for name, t, p in zip(record.classes, true, predicted, strict=True) if not t and p]
    nowhere = [name for name, t, p in zip(record.classes, true, predicted, strict=True) if not t and not p]
    if averaging == "pairs":
        return "averages over pairs of image and class, where a few pixels weigh as much as a whole picture"
    words = []
    if ghosts:
        words.append(f"counts 0 for {', '.join(ghosts)}, predicted and nowhere true")
    if nowhere and averaging == "plain":
        words.append(f"is NaN, since {', '.join(nowhere)} is neither true nor predicted and 0/0 spreads")
    return " and ".join(words)
