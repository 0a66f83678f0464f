"""Scoring of stored predictions against a data set's truth: no model, no pictures, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store import Dataset, Sample, digest_label
from fcnbench.errors import PredictionError
from fcnbench.evaluation.predictions import PredictionFolder, open_predictions
from fcnbench.evaluation.result import Evaluation
from fcnbench.ground.console import listed, note, progress
from fcnbench.ground.parallel import ordered
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.confusion import confusion_matrix

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
class _Scored:
    """One image's result, or what is wrong with its prediction."""

    id: str
    result: tuple[NDArray[np.int64], str, NDArray[np.int64] | None] | None = None
    problem: tuple[str, str] = ("", "")


def score_predictions(
    dataset: Dataset, folder: Path, allow_partial: bool = False, threads: int | None = None
) -> Evaluation:
    """Score a folder of index PNGs against the label maps of a data set.

    Args:
        dataset: the truth; its pictures are not read.
        folder: the predictions, in either layout.
        allow_partial: score the ids that have both label and prediction, and say which others there are.
        threads: how many work; as many as there are cores by default.

    Raises:
        DataMissing: no such folder, or nothing in it.
        PredictionsError: something in it is no prediction, or a wrong one; all of it is named.
        DataCorrupt: the data set's store is damaged.
    """
    found = open_predictions(folder)
    problems = _gaps(dataset, found, allow_partial)
    scored = _scored(dataset, found, threads)
    for each in scored:
        if each.result is None:
            what, text = each.problem
            problems.setdefault(what, []).append(text)
    if problems:
        raise PredictionsError(found.folder, problems)
    done = [(each.id, *each.result) for each in scored if each.result is not None]
    if not done:
        raise PredictionsError(found.folder, {"no image has both label and prediction": [dataset.manifest.dataset]})
    geo = [matrix for _, _, _, matrix in done if matrix is not None]
    return Evaluation(
        ids=tuple(sample_id for sample_id, *_ in done),
        matrices=np.stack([matrix for _, matrix, _, _ in done]),
        predictions=tuple(digest for _, _, digest, _ in done),
        geo=np.stack(geo) if len(geo) == len(done) else None,
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


def _scored(dataset: Dataset, found: PredictionFolder, threads: int | None) -> list[_Scored]:
    """Every image that has both label and prediction, on all cores."""
    wanted = [place for place, sample_id in enumerate(dataset.ids) if sample_id in found.files]
    chosen = frozenset(wanted)
    truths = ((place, packed) for place, packed in enumerate(dataset.packed_truths()) if place in chosen)
    results = []
    with progress(len(wanted), "score") as bar:
        for each in ordered(lambda item: _one(dataset, dataset.truth(*item), found), truths, threads, _TOGETHER):
            results.append(each)
            bar.update()
    return results


def _one(dataset: Dataset, truth: Sample, found: PredictionFolder) -> _Scored:
    try:
        prediction = found.read(truth.id)
        if prediction.shape != truth.label.shape:
            sizes = " against ".join(f"{width}x{height}" for height, width in (prediction.shape, truth.label.shape))
            return _Scored(truth.id, problem=("of another size than the picture", f"{truth.id} ({sizes})"))
        matrix = _matrix(truth.label, prediction, dataset.label_space)
        geo = None
        if truth.geo is not None and dataset.geo is not None and truth.id in found.geo:
            geo = _matrix(truth.geo, found.read(truth.id, geo=True), dataset.geo)
    except PredictionError as error:
        return _Scored(truth.id, problem=("no label map of these classes", f"{truth.id} ({error.message})"))
    return _Scored(truth.id, (matrix, digest_label(prediction), geo))


def _matrix(truth: Map, prediction: Map, space: LabelSpace) -> NDArray[np.int64]:
    return confusion_matrix(truth, prediction, space.num_classes, space.ignore)
