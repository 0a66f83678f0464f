"""The convention lens: a record's scores under the rules of other harnesses, and which rule causes each gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.metrics.conventions import CONVENTIONS, Averaging, Convention, convention_scores
from fcnbench.records.model import Record

_EQUAL = 5e-13
"""Smaller gaps are rounding of float64."""


@dataclass(frozen=True)
class ConventionScores:
    """The scores that a harness would report.

    Attributes:
        convention: name of the harness.
        source: where its rules are written.
        scores: the metrics that it reports, as fractions; NaN where its rules give NaN.
        why: which of its rules causes the gap to the papers' mean IU, and how large the gap is.
    """

    convention: str
    source: str
    scores: dict[str, float]
    why: str


def score_conventions(record: Record) -> list[ConventionScores]:
    """Score a record's matrices under every convention, the papers' own first.

    Args:
        record: the record; its per-image matrices are used.
    """
    matrices = record.evaluation.matrices
    return [
        ConventionScores(each.name, each.source, each.scores(matrices), _why(each, matrices, record))
        for each in CONVENTIONS
    ]


def _why(convention: Convention, matrices: NDArray[np.int64], record: Record) -> str:
    """Describe the gap between a convention and the papers' rules: first by averaging, then by rounding."""
    paper = convention_scores(matrices, "gt")["mean_iu"]
    exact = convention_scores(matrices, convention.averaging)
    averaged = exact["mean_iu"]
    reported = convention.scores(matrices)
    reasons = []
    if np.isnan(averaged) or abs(averaged - paper) > _EQUAL:
        gap = "" if np.isnan(averaged) else f" ({100 * (averaged - paper):+.2f})"
        reasons.append(_describe_averaging(convention.averaging, record) + gap)
    rounding = max((abs(reported[name] - exact[name]) for name in reported if not np.isnan(exact[name])), default=0.0)
    if rounding > _EQUAL:
        reasons.append(f"{convention.division} (at most {100 * rounding:.1g})")
    return "; ".join(reasons) or "the same"


def _describe_averaging(averaging: Averaging, record: Record) -> str:
    """Describe the effect of an averaging rule on this record's classes."""
    if averaging == "pairs":
        return "averages over pairs of image and class, where a few pixels weigh as much as a whole image"
    true, predicted = record.confusion.sum(axis=1), record.confusion.sum(axis=0)
    classes = list(zip(record.classes, true, predicted, strict=True))
    only_predicted = [name for name, t, p in classes if not t and p]
    absent = [name for name, t, p in classes if not t and not p]
    effects = []
    if only_predicted:
        effects.append(f"counts 0 for {', '.join(only_predicted)}, predicted and nowhere true")
    if absent and averaging == "plain":
        effects.append(f"is NaN, since {', '.join(absent)} is neither true nor predicted and 0/0 spreads")
    return " and ".join(effects)
