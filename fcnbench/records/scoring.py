"""Scoring of stored predictions against a data set's truth: no model, no pictures, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset, Sample, digest_label
from fcnbench.datasets.store.masks import HINT as MASKS_HINT
from fcnbench.errors import PredictionError
from fcnbench.labelspace import IGNORE, LabelSpace
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.trimap import WIDTHS, trimap_matrices
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.predictions import PredictionFolder, open_predictions
from fcnbench.util.console import listed, note, progress
from fcnbench.util.threads import map_ordered

Map = NDArray[np.uint8]

_TOGETHER = 16
"""Images that a thread takes at once: one takes half a millisecond, handing it over a tenth of that."""


class PredictionsError(PredictionError):
    """A folder of predictions that can't be scored as it is: everything that is wrong with it, at once.

    Attributes:
        problems: what is wrong, and the files or ids where it is.
    """

    def __init__(self, folder: Path, problems: dict[str, list[str]]) -> None:
        lines = [f"{what}: {', '.join(names)}" for what, names in problems.items()]
        super().__init__(
            f"the predictions in {folder} can't be scored as they are\n  " + "\n  ".join(lines),
            "mend what is named; --allow-partial scores the ids that have both label and prediction",
        )
        self.problems = problems


@dataclass(frozen=True, eq=False)
class _Result:
    """What was counted on an image; the prediction's values where none is but 0 and 255."""

    id: str
    matrix: NDArray[np.int64]
    digest: str
    geo: NDArray[np.int64] | None
    bands: NDArray[np.int64] | None
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
    """Score a folder of index PNGs against the label maps of a data set.

    Args:
        dataset: the truth; its pictures are not read.
        folder: the predictions, in either layout.
        allow_partial: score the ids that have both label and prediction, and say which others there are.
        trimap: whether to count the bands around the truth's boundaries too.
        threads: how many work; as many as there are cores by default.

    Raises:
        DataMissing: no such folder, or nothing in it.
        PredictionsError: something in it is no prediction, or a wrong one; all of it is named.
        DataCorrupt: the data set's store is damaged.
    """
    found = open_predictions(folder)
    problems = _gaps(dataset, found, allow_partial)
    space = dataset.label_space
    bands = np.zeros((len(WIDTHS), space.num_classes, space.num_classes), np.int64)
    done: list[_Result] = []
    values: set[int | None] = set()
    for each in _scored(dataset, found, trimap, threads):
        values |= each.values if each.values is not None else {None}
        if isinstance(each, _Problem):
            problems.setdefault(each.what, []).append(each.text)
            continue
        if each.bands is not None:
            # Added up at once: the bands of all images would take a hundred times the memory of their matrices.
            bands += each.bands
        done.append(replace(each, bands=None))
    masks = space.num_classes > 1 and values == {0, IGNORE}
    if problems:
        if masks:
            problems["masks of 0 and 255? no file holds another value"] = [MASKS_HINT]
        raise PredictionsError(found.folder, problems)
    if masks:
        note(
            f"WARNING: no prediction in {found.folder} holds a value but 0 and 255: class 0 is predicted everywhere; "
            f"if these are masks, {MASKS_HINT}"
        )
    if not done:
        raise PredictionsError(found.folder, {"no image has both label and prediction": [dataset.manifest.dataset]})
    geo = [each.geo for each in done if each.geo is not None]
    return Evaluation(
        ids=tuple(each.id for each in done),
        matrices=np.stack([each.matrix for each in done]),
        predictions=tuple(each.digest for each in done),
        geo=np.stack(geo) if len(geo) == len(done) else None,
        trimap=bands if trimap else None,
    )


def _gaps(dataset: Dataset, found: PredictionFolder, allow_partial: bool) -> dict[str, list[str]]:
    """What is missing or too much; with `allow_partial` only told, as far as it concerns whole images."""
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
    dataset: Dataset, found: PredictionFolder, trimap: bool, threads: int | None
) -> Iterator[_Result | _Problem]:
    """Every image that has both label and prediction, in order, on all cores."""
    wanted = frozenset(place for place, sample_id in enumerate(dataset.ids) if sample_id in found.files)
    truths = ((place, packed) for place, packed in enumerate(dataset.encoded_label_maps()) if place in wanted)

    def one(item: tuple[int, dict[str, bytes | None]]) -> _Result | _Problem:
        return _one(dataset, dataset.decode_label_maps(*item), found, trimap)

    with progress(len(wanted), f"score {found.folder.name} on {dataset.manifest.dataset}") as bar:
        for each in map_ordered(one, truths, threads, _TOGETHER):
            yield each
            bar.update()


def _one(dataset: Dataset, truth: Sample, found: PredictionFolder, trimap: bool) -> _Result | _Problem:
    space, geo, values = dataset.label_space, None, None
    try:
        prediction = found.read(truth.id)
        if prediction.shape != truth.label.shape:
            sizes = " against ".join(f"{width}x{height}" for height, width in (prediction.shape, truth.label.shape))
            return _Problem("of another size than the picture", f"{truth.id} ({sizes})")
        values = _values(prediction)
        matrix = _matrix(truth.label, prediction, space)
        if truth.geo is not None and dataset.geo is not None and truth.id in found.geo:
            geo = _matrix(truth.geo, found.read(truth.id, geo=True), dataset.geo)
    except PredictionError as error:
        return _Problem("no label map of these classes", f"{truth.id} ({error.message})", values)
    bands = trimap_matrices(truth.label, prediction, space.num_classes, space.ignore) if trimap else None
    return _Result(truth.id, matrix, digest_label(prediction), geo, bands, values)


def _values(prediction: Map) -> frozenset[int] | None:
    """Which of 0 and 255 occur; None where another value does."""
    # One more wraps 255 to 0, so that one maximum tells: a fiftieth of the time that scoring takes.
    if prediction.size == 0 or (prediction + np.uint8(1)).max() > 1:
        return None
    return frozenset(np.unique(prediction).tolist())


def _matrix(truth: Map, prediction: Map, space: LabelSpace) -> NDArray[np.int64]:
    return confusion_matrix(truth, prediction, space.num_classes, space.ignore)
