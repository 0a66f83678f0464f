"""Two runs side by side: is B better than A, where does it differ, and why may it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.comparison.attribution import Layer, layers
from fcnbench.errors import PredictionError, UsageError
from fcnbench.metrics.bootstrap import Difference, paired
from fcnbench.metrics.scores import scores
from fcnbench.records.model import Record
from fcnbench.util.console import followed, listed


@dataclass(frozen=True)
class ClassMove:
    """How far the IU of a class moved, as fractions; None where it has none."""

    name: str
    before: float | None
    after: float | None

    @property
    def moved(self) -> float:
        """After minus before; a class that has an IU in one of them only moved by all of it."""
        return (self.after or 0.0) - (self.before or 0.0)


@dataclass(frozen=True)
class ImageMove:
    """How an image's prediction changed.

    Attributes:
        id: image id.
        flips: pixels that changed class: all of them where both predictions were there, else at least so many.
        before: right pixels of A.
        after: right pixels of B.
        pixels: scored pixels.
    """

    id: str
    flips: int
    before: int
    after: int
    pixels: int


@dataclass(frozen=True)
class Comparison:
    """Two runs on the images that both scored.

    Attributes:
        images: how many images both scored.
        only_first: ids that only A scored.
        only_second: ids that only B scored.
        before: A's metrics on the common images.
        after: B's.
        differences: B minus A with interval and p-value, by metric; empty where the truth of the two is not the same.
        classes: every class, those that moved most first.
        moved: images whose prediction changed, most flips first.
        flips: pixels that changed class, over all images.
        exact: whether `flips` was counted on the predictions; a lower bound from the matrices otherwise.
        layers: why they may differ, in the order that a picture goes through.
    """

    images: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    before: dict[str, float]
    after: dict[str, float]
    differences: dict[str, Difference]
    classes: tuple[ClassMove, ...]
    moved: tuple[ImageMove, ...]
    flips: int
    exact: bool
    layers: tuple[Layer, ...]

    def __repr__(self) -> str:
        flips = f"{'' if self.exact else 'at least '}{self.flips:,} pixels changed class"
        before, after = (scores["mean_iu"] for scores in (self.before, self.after))
        return f"<Comparison of {self.images} images: mean IU {before:.4f} and {after:.4f}, {flips}>"


def compare(first: Record, second: Record, predictions: tuple[Path, Path] | None = None) -> Comparison:
    """Compare two runs on one task.

    Args:
        first: A.
        second: B.
        predictions: folders of their predicted label maps, to count flipped pixels exactly.

    Raises:
        UsageError: they are of different tasks or classes, or scored no image in common.
        PredictionError: a folder does not hold the predictions of its record.
    """
    _check_alike(first, second)
    places = {sample_id: place for place, sample_id in enumerate(second.evaluation.ids)}
    common = [(place, places[each]) for place, each in enumerate(first.evaluation.ids) if each in places]
    if not common:
        raise UsageError("the two runs scored no image in common", "compare runs on the same images")
    ids = [first.evaluation.ids[place] for place, _ in common]
    one, two = first.evaluation.matrices[[a for a, _ in common]], second.evaluation.matrices[[b for _, b in common]]
    absent = first.protocol.absent
    same_truth = np.array_equal(one.sum(axis=2), two.sum(axis=2))
    before, after = scores(one.sum(axis=0), absent), scores(two.sum(axis=0), absent)
    flips = _flips(first, second, common, one, two)
    if predictions is not None:
        flips = _exact_flips(first, second, common, predictions)
    classes = (
        ClassMove(name, _or_none(iu), _or_none(later))
        for name, iu, later in zip(first.classes, before.class_iu, after.class_iu, strict=True)
    )
    return Comparison(
        images=len(common),
        only_first=tuple(each for each in first.evaluation.ids if each not in places),
        only_second=tuple(each for each in second.evaluation.ids if each not in frozenset(ids)),
        before=before.as_dict(),
        after=after.as_dict(),
        differences=paired(one, two, absent) if same_truth else {},
        classes=tuple(sorted(classes, key=lambda each: -abs(each.moved))),
        moved=_moved(ids, flips, one, two),
        flips=int(flips.sum()),
        exact=predictions is not None,
        layers=tuple(layers(first, second)),
    )


def _check_alike(first: Record, second: Record) -> None:
    one, two = ((r.protocol.dataset, r.classes, r.protocol.ignore, r.protocol.absent) for r in (first, second))
    if one != two:
        raise UsageError(
            f"the two runs have other rules: {first.protocol.signature()} and {second.protocol.signature()}",
            "compare runs on one task under one policy",
        )


def _flips(
    first: Record,
    second: Record,
    common: list[tuple[int, int]],
    one: NDArray[np.int64],
    two: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Pixels per image that changed class at least, int64 [N].

    Every pixel that left a cell of the matrix changed class; changes that cancel out can't be seen there. Predictions
    with different digests differ in one pixel at least, be it an ignored one.
    """
    flips: NDArray[np.int64] = np.clip(one - two, 0, None).sum(axis=(1, 2))
    before, after = first.evaluation.predictions, second.evaluation.predictions
    changed = np.array([before[a] != after[b] for a, b in common], np.int64)
    return np.maximum(flips, changed)


def _exact_flips(
    first: Record, second: Record, common: list[tuple[int, int]], predictions: tuple[Path, Path]
) -> NDArray[np.int64]:
    """Pixels per image that changed class, ignored ones among them, int64 [N]."""
    from fcnbench.datasets.store.dataset import digest_label
    from fcnbench.records.predictions import open_predictions

    one, two = (open_predictions(folder) for folder in predictions)
    counts, foreign = [], []
    for a, b in followed(common, "compare predictions", "image"):
        sample_id = first.evaluation.ids[a]
        if missing := [folder.folder for folder in (one, two) if sample_id not in folder.files]:
            raise PredictionError(
                f"{missing[0]} has no prediction for {sample_id}", "pass the folder that the run saved"
            )
        maps = one.read(sample_id), two.read(sample_id)
        digests = first.evaluation.predictions[a], second.evaluation.predictions[b]
        if tuple(digest_label(each) for each in maps) != digests:
            foreign.append(sample_id)
            continue
        counts.append(np.count_nonzero(maps[0] != maps[1]))
    if foreign:
        raise PredictionError(
            f"{len(foreign)} predictions are not those that their records name: {listed(foreign)}",
            "pass the folders in the order of the records, as the runs saved them",
        )
    return np.array(counts, np.int64)


def _moved(
    ids: list[str], flips: NDArray[np.int64], one: NDArray[np.int64], two: NDArray[np.int64]
) -> tuple[ImageMove, ...]:
    before, after = (stack.trace(axis1=1, axis2=2) for stack in (one, two))
    pixels = one.sum(axis=(1, 2))
    order = sorted(np.flatnonzero(flips), key=lambda place: (-flips[place], place))
    return tuple(
        ImageMove(ids[place], int(flips[place]), int(before[place]), int(after[place]), int(pixels[place]))
        for place in order
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
