"""The drift gate: is a run still what its baseline was? Identical, numerical noise within a budget, or drift."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fcnbench.comparison.attribution import first_difference, layers
from fcnbench.comparison.compare import Comparison, compare, other_ground_truth, without_digests
from fcnbench.options import Allowance
from fcnbench.records.evaluation import NEAR_TIES
from fcnbench.records.model import Record
from fcnbench.util.console import listed

Kind = Literal["identical", "numerical", "drift"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """The judgement on one run.

    Attributes:
        kind: `identical`, `numerical` or `drift`.
        model: the model's name.
        dataset: name of the dataset.
        signature: the baseline's protocol.
        allowance: what was allowed.
        reasons: why it is drift, a sentence each; none otherwise.
        ties: what the baseline's counts of near ties say; empty where they were not counted.
        comparison: baseline against run; None where their protocols can't be compared.
    """

    kind: Kind
    model: str
    dataset: str
    signature: str
    allowance: Allowance
    reasons: tuple[str, ...]
    ties: str
    comparison: Comparison | None

    @property
    def passed(self) -> bool:
        """Whether the gate opens."""
        return self.kind != "drift"

    def __repr__(self) -> str:
        return f"<Verdict {self.headline()}>"

    def headline(self) -> str:
        """Return the verdict as a sentence."""
        found = self.comparison
        name = f"{self.model} on {self.dataset}"
        if found is None or self.kind == "identical":
            return f"{name}: {self.kind}" + (f": {self.reasons[0]}" if self.reasons else ", pixel for pixel")
        return f"{name}: {self.kind}: {found.flipped()}; allowed: {self.allowance.describe()}"


def judge(
    baseline: Record, current: Record, allowance: Allowance, predictions: tuple[Path, Path] | None = None
) -> Verdict:
    """Judge a run against its baseline.

    Args:
        baseline: how it was.
        current: how it is now.
        allowance: what still counts as noise; without any, only identical predictions pass.
        predictions: folders of both runs' predicted label maps, to count flipped pixels exactly.

    Raises:
        PredictionError: a folder does not hold the predictions of its record.
    """
    protocol = current.protocol.with_unknowns_of(baseline.protocol)
    reasons = [f"protocol: {text}" for text in protocol.departures(baseline.protocol.signature(long=True))]
    if baseline.data.labels != current.data.labels and not reasons:
        reasons.append("data: the label maps are not the baseline's")
    if reasons:
        code = first_difference(layers(baseline, current)[:1])
        reasons += [f"code: {code.text}"] if code is not None else []
        return _verdict("drift", baseline, current, allowance, tuple(reasons), None)
    found = compare(baseline, current, predictions)
    reasons = _other_images(found)
    reasons += [
        f"data: the ground truth of the label maps ({name}) is not the baseline's"
        for name in other_ground_truth(baseline, current)
    ]
    undigested = without_digests(baseline, current)
    if found.flips == 0 and not found.unmatched and not undigested and not reasons:
        return _verdict("identical", baseline, current, allowance, (), found)
    if not allowance.given:
        reasons += [
            f"predictions: one of the two has no digests of the label maps ({name}), which show equal pixels"
            for name in undigested
        ]
    reasons += _reasons(found, allowance)
    return _verdict("drift" if reasons else "numerical", baseline, current, allowance, tuple(reasons), found)


def _other_images(found: Comparison) -> list[str]:
    """Return a reason where the two runs did not score the same images."""
    left, more = found.only_first, found.only_second
    parts = [f"{len(left)} of the baseline's were not scored ({listed(left)})"] if left else []
    parts += [f"{len(more)} were scored that the baseline does not have ({listed(more)})"] if more else []
    return [f"images: {', '.join(parts)}"] if parts else []


def _reasons(found: Comparison, allowance: Allowance) -> list[str]:
    reasons = [f"predictions: only one of the two predicts the second label maps ({name})" for name in found.unmatched]
    budget = allowance.budget if allowance.given else 0
    if budget is not None and found.flips > budget:
        more = "" if found.exact else " at least"
        reasons.append(f"pixels: {found.flips:,}{more} changed class, {budget:,} are allowed")
    if allowance.tolerance is not None:
        for name in found.before:
            moved = found.after[name] - found.before[name]
            if abs(moved) > allowance.tolerance:
                reasons.append(f"{name} moved by {moved:+.6f}, {allowance.tolerance:g} is allowed")
    if reasons and (layer := first_difference(list(found.layers))):
        reasons.append(f"the first layer that differs is {layer.name}: {layer.text}")
    return reasons


def _verdict(
    kind: Kind,
    baseline: Record,
    current: Record,
    allowance: Allowance,
    reasons: tuple[str, ...],
    found: Comparison | None,
) -> Verdict:
    protocol = baseline.protocol
    ties = _ties(baseline, found) if found is not None and found.flips else ""
    name = current.model.name
    return Verdict(kind, name, protocol.dataset, protocol.signature(), allowance, reasons, ties, found)


def _ties(baseline: Record, found: Comparison) -> str:
    """Whether the flips may be pixels that nearly tied before, as far as the baseline counted those."""
    counted = baseline.evaluation.counts.get(NEAR_TIES)
    if counted is None:
        return ""
    index = {sample_id: position for position, sample_id in enumerate(baseline.evaluation.ids)}
    counts = counted.values[[index[image.id] for image in found.moved]]
    gaps = counted.spec.axes["below"]
    totals = ", ".join(f"{int(count):,} below {gap:g}" for gap, count in zip(gaps, counts.sum(axis=0), strict=True))
    flips = np.array([image.flips for image in found.moved])
    over = [image.id for image, many in zip(found.moved, flips > counts[:, -1], strict=True) if many]
    text = f"near ties in the baseline's logits on the changed images: {totals}"
    if over:
        return f"{text}; more pixels flipped than nearly tied on {listed(over)}"
    return f"{text}; no image has more flips than near ties"
