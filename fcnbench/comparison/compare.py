"""Two runs side by side: is B better than A, where does it differ, and why may it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.comparison.attribution import Layer, layers
from fcnbench.errors import PredictionError, UsageError
from fcnbench.metrics.bootstrap import Difference, paired
from fcnbench.metrics.counts import CONFUSION, GEO, LABELS, prefixed
from fcnbench.metrics.scores import scores
from fcnbench.protocol import MeanOver
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.model import Record
from fcnbench.util.console import listed, track


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
        flips: pixels that changed class, over all images and all their label maps.
        exact: whether `flips` was counted on the predictions; a lower bound from the matrices otherwise.
        layers: why they may differ, in the order that an image goes through.
        flips_by: the same by the name of the label maps.
        unmatched: names of label maps that only one of the two predicts.
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
    flips_by: dict[str, int]
    unmatched: tuple[str, ...]

    def __repr__(self) -> str:
        before, after = (scores["mean_iu"] for scores in (self.before, self.after))
        return f"<Comparison of {self.images} images: mean IU {before:.4f} and {after:.4f}, {self.flipped()}>"

    def _repr_html_(self) -> str:
        """Return the view of a notebook: what `fcnbench compare` prints, as preformatted text."""
        from html import escape

        from fcnbench.comparison.comparison_report import text

        return f"<pre>{escape(text(self))}</pre>"

    def flipped(self) -> str:
        """Return in words how many pixels changed class, and whose predictions only one of the runs has."""
        exactly = "" if self.exact else "at least "
        text = f"{exactly}{self.flips:,} pixels of {len(self.moved):,} images changed class"
        if geo := self.flips_by.get(GEO):
            text += f", {geo:,} of them in the second label maps ({GEO})"
        return text + "".join(
            f"; only one of the two predicts the second label maps ({name})" for name in self.unmatched
        )


@dataclass(frozen=True, eq=False)
class _Pair:
    """The images that two runs scored: their ids, and their indices in each."""

    first: Evaluation
    second: Evaluation
    ids: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    def matrices(self, label_maps: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the confusion matrices of these label maps in both runs, int64 [N, C, C] each."""
        name = prefixed(CONFUSION, label_maps)
        one, two = self.first.counts[name].values, self.second.counts[name].values
        return one[list(self.before)], two[list(self.after)]

    def digests(self, label_maps: str) -> tuple[list[str], list[str]]:
        """Return the digests of these predicted label maps in both runs; empty where a run does not have them."""
        one, two = (found.digests.get(label_maps, ()) for found in (self.first, self.second))
        if not one or not two:
            return [], []
        return [one[index] for index in self.before], [two[index] for index in self.after]

    @property
    def label_maps(self) -> tuple[str, ...]:
        """Names of the label maps that both runs predict."""
        return tuple(name for name in _PREDICTED if all(_predicts(each, name) for each in (self.first, self.second)))

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Names of the label maps that only one of them predicts."""
        return tuple(name for name in _PREDICTED if _predicts(self.first, name) != _predicts(self.second, name))


_PREDICTED = (LABELS, GEO)


def _predicts(evaluation: Evaluation, label_maps: str) -> bool:
    return prefixed(CONFUSION, label_maps) in evaluation.counts


def compare(first: Record, second: Record, predictions: tuple[Path, Path] | None = None) -> Comparison:
    """Compare two runs on one dataset.

    Args:
        first: A.
        second: B.
        predictions: folders of their predicted label maps, to count flipped pixels exactly.

    Raises:
        UsageError: they are of different tasks or classes, or scored no image in common.
        PredictionError: a folder does not hold the predictions of its record.
    """
    _check_alike(first, second)
    pair = _common(first.evaluation, second.evaluation)
    one, two = pair.matrices(LABELS)
    mean = first.protocol.mean
    before, after = scores(one.sum(axis=0), mean), scores(two.sum(axis=0), mean)
    by_maps = _exact_flips(pair, predictions) if predictions is not None else _flips(pair)
    flips = np.sum(list(by_maps.values()), axis=0)
    classes = (
        ClassMove(name, _or_none(iu), _or_none(later))
        for name, iu, later in zip(first.classes, before.class_iu, after.class_iu, strict=True)
    )
    shared = frozenset(pair.ids)
    geo = _geo_accuracies(pair)
    return Comparison(
        images=len(pair.ids),
        only_first=tuple(each for each in first.evaluation.ids if each not in shared),
        only_second=tuple(each for each in second.evaluation.ids if each not in shared),
        before=before.as_dict() | ({_GEO_ACCURACY: geo[0]} if geo else {}),
        after=after.as_dict() | ({_GEO_ACCURACY: geo[1]} if geo else {}),
        differences=_differences(pair, mean),
        classes=tuple(sorted(classes, key=lambda each: -abs(each.moved))),
        moved=_moved(pair.ids, flips, one, two),
        flips=int(flips.sum()),
        exact=predictions is not None,
        layers=tuple(layers(first, second)),
        flips_by={name: int(found.sum()) for name, found in by_maps.items()},
        unmatched=pair.unmatched,
    )


_GEO_ACCURACY = "geo_pixel_acc"
"""Pixel accuracy of the second label maps, the number that the papers give of them."""


def _common(first: Evaluation, second: Evaluation) -> _Pair:
    """Return the images that both runs scored, in the first one's order."""
    index = {sample_id: position for position, sample_id in enumerate(second.ids)}
    common = [(position, index[name]) for position, name in enumerate(first.ids) if name in index]
    if not common:
        raise UsageError("the two runs scored no image in common", "compare runs on the same images")
    before, after = zip(*common, strict=True)
    return _Pair(first, second, tuple(first.ids[position] for position in before), before, after)


def _geo_accuracies(pair: _Pair) -> tuple[float, float] | None:
    """Return the pixel accuracies of the second label maps; None where one of the runs has none."""
    if GEO not in pair.label_maps:
        return None
    one, two = (found.sum(axis=0) for found in pair.matrices(GEO))
    return (scores(one).pixel_acc, scores(two).pixel_acc) if one.any() and two.any() else None


def _differences(pair: _Pair, mean: MeanOver) -> dict[str, Difference]:
    """Return B minus A by metric, for the label maps whose ground truth is the same in both."""
    one, two = pair.matrices(LABELS)
    if not np.array_equal(one.sum(axis=2), two.sum(axis=2)):
        return {}
    found = paired(one, two, mean)
    if _geo_accuracies(pair) is not None:
        one, two = pair.matrices(GEO)
        if np.array_equal(one.sum(axis=2), two.sum(axis=2)):
            found = {**found, _GEO_ACCURACY: paired(one, two)["pixel_acc"]}
    return found


def other_ground_truth(first: Record, second: Record) -> tuple[str, ...]:
    """Return the names of the label maps whose ground truth differs on the images that both runs scored."""
    pair = _common(first.evaluation, second.evaluation)
    totals = {name: [found.sum(axis=2) for found in pair.matrices(name)] for name in pair.label_maps}
    return tuple(name for name, (one, two) in totals.items() if not np.array_equal(one, two))


def without_digests(first: Record, second: Record) -> tuple[str, ...]:
    """Return the names of the label maps that both runs predict, and of which one has no digests.

    Older versions wrote none of the second label maps. Equal matrices do not show there that the pixels are equal.
    """
    pair = _common(first.evaluation, second.evaluation)
    return tuple(name for name in pair.label_maps if not pair.digests(name)[0])


def _check_alike(first: Record, second: Record) -> None:
    one, two = ((r.protocol.dataset, r.classes, r.protocol.ignore, r.protocol.mean) for r in (first, second))
    geo_classes = {record.geo_classes for record in (first, second) if record.geo_classes}
    if one != two or len(geo_classes) > 1:
        raise UsageError(
            f"the two runs have other rules: {first.protocol.signature()} and {second.protocol.signature()}",
            "compare runs on one dataset with the same mean",
        )


def _flips(pair: _Pair) -> dict[str, NDArray[np.int64]]:
    """Return the pixels per image that changed class at least, int64 [N], by the name of the label maps.

    Every pixel that left a cell of a matrix, or came to one, changed class; changes that cancel out can't be seen
    there. Predictions with different digests differ in one pixel at least, be it an ignored one.
    """
    flips = {}
    for name in pair.label_maps:
        one, two = pair.matrices(name)
        before, after = pair.digests(name)
        changed = np.array([a != b for a, b in zip(before, after, strict=True)] or [False], np.int64)
        gone, come = (np.clip(moved, 0, None).sum(axis=(1, 2)) for moved in (one - two, two - one))
        flips[name] = np.maximum(np.maximum(gone, come), changed)
    return flips


def _exact_flips(pair: _Pair, predictions: tuple[Path, Path]) -> dict[str, NDArray[np.int64]]:
    """Return the pixels per image that changed class, ignored ones among them, int64 [N], by label maps."""
    from fcnbench.datasets.store.dataset import digest_label
    from fcnbench.records.predictions import open_predictions

    one, two = (open_predictions(folder) for folder in predictions)
    flips = {name: np.zeros(len(pair.ids), np.int64) for name in pair.label_maps}
    foreign = []
    for name in pair.label_maps:
        before, after = pair.digests(name)
        if not before:
            continue  # a record of an older version has no digests of the second label maps
        for position, sample_id in enumerate(track(pair.ids, "compare predictions", "image")):
            if missing := [folder.folder for folder in (one, two) if sample_id not in folder.of(name)]:
                raise PredictionError(
                    f"{missing[0]} has no prediction of {name} for {sample_id}", "pass the folder that the run saved"
                )
            maps = one.read(sample_id, geo=name == GEO), two.read(sample_id, geo=name == GEO)
            if tuple(digest_label(each) for each in maps) != (before[position], after[position]):
                foreign.append(sample_id)
                continue
            flips[name][position] = np.count_nonzero(maps[0] != maps[1])
    if foreign:
        raise PredictionError(
            f"{len(foreign)} predictions are not those that their records name: {listed(foreign)}",
            "pass the folders in the order of the records, as the runs saved them",
        )
    return flips


def _moved(
    ids: Sequence[str], flips: NDArray[np.int64], one: NDArray[np.int64], two: NDArray[np.int64]
) -> tuple[ImageMove, ...]:
    before, after = (stack.trace(axis1=1, axis2=2) for stack in (one, two))
    pixels = one.sum(axis=(1, 2))
    order = sorted(np.flatnonzero(flips), key=lambda place: (-flips[place], place))
    return tuple(
        ImageMove(ids[int(place)], int(flips[place]), int(before[place]), int(after[place]), int(pixels[place]))
        for place in order
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
