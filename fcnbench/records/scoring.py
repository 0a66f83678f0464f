"""Scoring of stored predictions against a dataset's ground truth, without a model, images or torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset, Sample
from fcnbench.datasets.store.masks import HINT as MASKS_HINT
from fcnbench.errors import PredictionError, PredictionsError
from fcnbench.labelspace import IGNORE
from fcnbench.metrics.counts import GEO, LABELS, Count, ImageResult, LabelPair, confusion_counts
from fcnbench.metrics.trimap import TrimapCount
from fcnbench.records.evaluation import CountGatherer, Evaluation, ImageCounts, count_image
from fcnbench.records.predictions import PredictionFolder, open_predictions
from fcnbench.util.console import listed, note, progress
from fcnbench.util.threads import map_ordered

Map = NDArray[np.uint8]

_TOGETHER = 16
"""Images that a thread takes at once: one takes half a millisecond, handing it over a tenth of that."""


@dataclass(frozen=True, eq=False)
class _Result:
    """The counts of an image, and the prediction's values where there is none but 0 and 255."""

    counts: ImageCounts
    values: frozenset[int] | None


@dataclass(frozen=True)
class _Problem:
    """What is wrong with the prediction for an image."""

    what: str
    text: str
    values: frozenset[int] | None = None


def score_predictions(
    dataset: Dataset, folder: Path, allow_partial: bool = False, *, trimap: bool = False, threads: int | None = None
) -> Evaluation:
    """Score a folder of index PNGs against the label maps of a dataset.

    Args:
        dataset: the dataset with the ground truth; its images are not read.
        folder: the predictions, in either layout.
        allow_partial: score the ids that have both label and prediction, and say which others there are.
        trimap: whether to count the bands around the truth's boundaries too.
        threads: how many work; as many as there are cores by default.

    Raises:
        DataMissing: no such folder, or nothing in it.
        PredictionsError: some file is not a prediction, or is wrong; every such file is named.
        DataCorrupt: the dataset's store is damaged.
    """
    found = open_predictions(folder)
    problems = _gaps(dataset, found, allow_partial)
    space = dataset.label_space
    counts = (*confusion_counts(space, dataset.geo), *(_trimaps(dataset) if trimap else ()))
    gathered = CountGatherer([count.spec for count in counts])
    values: set[int | None] = set()
    for each in _scored(dataset, found, counts, threads):
        values |= each.values if each.values is not None else {None}
        if isinstance(each, _Problem):
            problems.setdefault(each.what, []).append(each.text)
        else:
            gathered.add(each.counts)
    masks = space.num_classes > 1 and values == {0, IGNORE}
    if problems:
        if masks:
            problems["masks of 0 and 255? no file holds another value"] = [MASKS_HINT]
        raise PredictionsError.of_folder(found.folder, problems)
    if masks:
        note(
            f"WARNING: no prediction in {found.folder} holds a value but 0 and 255: class 0 is predicted everywhere; "
            f"if these are masks, {MASKS_HINT}"
        )
    if not gathered.ids:
        raise PredictionsError.of_folder(
            found.folder, {"no image has both label and prediction": [dataset.manifest.dataset]}
        )
    return gathered.evaluation()


def _trimaps(dataset: Dataset) -> tuple[Count, ...]:
    geo = () if dataset.geo is None else (TrimapCount(dataset.geo, GEO),)
    return (TrimapCount(dataset.label_space), *geo)


def _gaps(dataset: Dataset, found: PredictionFolder, allow_partial: bool) -> dict[str, list[str]]:
    """Return the missing and the surplus files; with `allow_partial`, whole missing images are only noted."""
    ids = set(dataset.ids)
    gaps = {
        "without a prediction": [sample_id for sample_id in dataset.ids if sample_id not in found.files],
        f"no id of {dataset.manifest.dataset} with a label map": [name for name in found.files if name not in ids],
    }
    if found.geo and dataset.geo:
        gaps["without a prediction of the second label map"] = [name for name in dataset.ids if name not in found.geo]
    gaps = {what: names for what, names in gaps.items() if names}
    if allow_partial:
        for what, names in gaps.items():
            note(f"left out, {what}: {len(names)} ({listed(names)})")
        gaps = {}
    return gaps | ({"no prediction": list(found.extra)} if found.extra else {})


def _scored(
    dataset: Dataset, found: PredictionFolder, counts: Sequence[Count], threads: int | None
) -> Iterator[_Result | _Problem]:
    """Score every image that has both label and prediction, in order, on all cores."""
    wanted = frozenset(index for index, sample_id in enumerate(dataset.ids) if sample_id in found.files)
    truths = ((index, packed) for index, packed in enumerate(dataset.encoded_label_maps()) if index in wanted)

    def one(item: tuple[int, dict[str, bytes | None]]) -> _Result | _Problem:
        return _one(dataset, dataset.decode_label_maps(*item), found, counts)

    with progress(len(wanted), f"score {found.folder.name} on {dataset.manifest.dataset}") as bar:
        for each in map_ordered(one, truths, threads, _TOGETHER):
            yield each
            bar.update()


def _one(dataset: Dataset, truth: Sample, found: PredictionFolder, counts: Sequence[Count]) -> _Result | _Problem:
    values = None
    try:
        prediction = found.read(truth.id)
        if prediction.shape != truth.label.shape:
            sizes = " against ".join(f"{width}x{height}" for height, width in (prediction.shape, truth.label.shape))
            return _Problem("of another size than the image", f"{truth.id} ({sizes})")
        values = _values(prediction)
        maps = {LABELS: LabelPair(truth.label, prediction)}
        if truth.geo is not None and dataset.geo is not None and truth.id in found.geo:
            maps[GEO] = LabelPair(truth.geo, found.read(truth.id, geo=True))
        return _Result(count_image(truth.id, ImageResult(maps), counts), values)
    except PredictionError as error:
        return _Problem("not a label map of these classes", f"{truth.id} ({error.message})", values)


def _values(prediction: Map) -> frozenset[int] | None:
    """Which of 0 and 255 occur; None where another value does."""
    # One more wraps 255 to 0, so that one maximum tells: a fiftieth of the time that scoring takes.
    if prediction.size == 0 or (prediction + np.uint8(1)).max() > 1:
        return None
    return frozenset(np.unique(prediction).tolist())
