"""The report of a run: one self-contained HTML file with everything in its record, and example images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset, digest_label
from fcnbench.errors import PredictionError
from fcnbench.labelspace import IGNORE
from fcnbench.metrics.counts import GEO, LABELS, prefixed
from fcnbench.metrics.scores import class_counts, metrics_from_counts, shares
from fcnbench.metrics.titles import TITLES
from fcnbench.metrics.trimap import TRIMAP
from fcnbench.pages.charts import Axis, histogram, polyline
from fcnbench.pages.overlays import difference_url, image_url, overlay_url
from fcnbench.pages.render import render
from fcnbench.protocol import MeanOver
from fcnbench.records.evaluation import Counted, Summary
from fcnbench.records.json import per_class
from fcnbench.records.model import Record
from fcnbench.records.predictions import PredictionFolder
from fcnbench.records.serial import to_json
from fcnbench.util.console import listed, track

EXAMPLES = 6
"""Default number of best images that are shown, and of worst ones."""

_WIDTH, _HEIGHT = 520, 220
"""Canvas of a chart, in pixels."""


_BACKDROP = 200
"""Grey value that stands for an image where the store has label maps only."""


@dataclass(frozen=True)
class Example:
    """One image of the report.

    Attributes:
        id: image id.
        mean_iu: mean IU over the classes that are true in it.
        wrong: scored pixels with a wrong class.
        pixels: scored pixels.
        images: data URLs by title; empty without the dataset or the predictions.
    """

    id: str
    mean_iu: float
    wrong: int
    pixels: int
    images: dict[str, str]


def build(
    record: Record,
    dataset: Dataset | None = None,
    predictions: PredictionFolder | None = None,
    examples: int = EXAMPLES,
) -> str:
    """Return the report of a run as HTML.

    Args:
        record: the record of the run.
        dataset: its dataset, for example images.
        predictions: its predicted label maps, for example images.
        examples: number of best images that are shown, and of worst ones.

    Raises:
        PredictionError: the predictions are not those of the record.
    """
    evaluation, environment = record.evaluation, record.environment
    ious = image_scores(record)
    best, worst = _examples(record, ious, dataset, predictions, examples)
    classes = per_class(record)
    true_shares = shares(np.array([entry.true_pixels for entry in classes]))
    other_mean: MeanOver = "union" if record.protocol.mean == "gt" else "gt"
    return render(
        "report.html.j2",
        record=record,
        headline=_headline(record),
        signature=record.protocol.signature(),
        long_signature=record.protocol.signature(long=True),
        other_mean=other_mean,
        other_scores=record.all_scores(other_mean),
        titles=TITLES,
        classes=[to_json(entry) | {"share": share} for entry, share in zip(classes, true_shares.tolist(), strict=True)],
        confusion=_confusion(record),
        distribution=_distribution(ious),
        best=best,
        worst=worst,
        palette=_palette(record, dataset),
        trimaps=_trimaps(record),
        timing=_timing(record),
        reproducibility=evaluation.reproducibility.describe() if evaluation.reproducibility else "",
        execution=evaluation.execution.describe() if evaluation.execution else "",
        device_check=environment.device_check.describe() if environment.device_check else "",
    )


def card(record: Record) -> str:
    """Return the metrics of a run as a small HTML table, for notebooks."""
    return render("card.html.j2", record=record, headline=_headline(record))


def _headline(record: Record) -> list[tuple[str, float, tuple[float, float]]]:
    """Return title, score and interval of every metric."""
    ends = record.intervals()
    return [(TITLES[name], value, ends[name]) for name, value in record.all_scores().items()]


def image_scores(record: Record) -> NDArray[np.float64]:
    """Return the mean IU of every image over the classes that are true in it.

    Args:
        record: a record with N images.

    Returns:
        float64 [N]; NaN for an image without a scored pixel.
    """
    return metrics_from_counts(*class_counts(record.evaluation.matrices))["mean_iu"]


def _confusion(record: Record) -> list[dict[str, Any]]:
    """Return the rows of the heat map: shares of each true class by predicted class, with counts."""
    rows = []
    for name, counts, part in zip(record.classes, record.confusion, shares(record.confusion), strict=True):
        cells = [
            {"count": int(value), "share": float(share), "predicted": predicted}
            for predicted, value, share in zip(record.classes, counts, part, strict=True)
        ]
        rows.append({"name": name, "total": int(counts.sum()), "cells": cells})
    return rows


def _distribution(ious: NDArray[np.float64]) -> dict[str, Any]:
    """Return the bars of the histogram of the images' mean IU, and the median."""
    values = ious[~np.isnan(ious)]
    counts = histogram(values.tolist())
    top = max([*counts, 1])
    width = _WIDTH / len(counts)
    bars = [
        {
            "x": round(index * width + 1, 2),
            "y": round(_HEIGHT * (1 - amount / top), 2),
            "width": round(width - 2, 2),
            "height": round(_HEIGHT * amount / top, 2),
            "count": amount,
            "low": 100 * index // len(counts),
            "high": 100 * (index + 1) // len(counts),
        }
        for index, amount in enumerate(counts)
    ]
    return {
        "bars": bars,
        "width": _WIDTH,
        "height": _HEIGHT,
        "median": float(np.median(values)) if len(values) else None,
    }


def _examples(
    record: Record,
    ious: NDArray[np.float64],
    dataset: Dataset | None,
    predictions: PredictionFolder | None,
    examples: int,
) -> tuple[list[Example], list[Example]]:
    """Return the best and the worst images, best and worst first; no image is in both."""
    ids = record.evaluation.ids
    order = sorted(np.flatnonzero(~np.isnan(ious)).tolist(), key=lambda index: (ious[index], ids[index]))
    count = min(examples, len(order) // 2)
    stored = {sample_id: index for index, sample_id in enumerate(dataset.ids)} if dataset is not None else {}
    shown = []
    for index in track([*order[::-1][:count], *order[:count]], "draw examples", "image"):
        matrix, name = record.evaluation.matrices[index], ids[index]
        images: dict[str, str] = {}
        if dataset is not None and predictions is not None and name in stored:
            images = _images(record, index, dataset, stored[name], predictions)
        pixels = int(matrix.sum())
        shown.append(Example(name, float(ious[index]), pixels - int(matrix.trace()), pixels, images))
    return shown[:count], shown[count:]


def _images(
    record: Record, index: int, dataset: Dataset, stored_index: int, predictions: PredictionFolder
) -> dict[str, str]:
    """Return image, ground truth, prediction and difference of one image as data URLs."""
    sample, name = dataset[stored_index], record.evaluation.ids[index]
    if name not in predictions.files:
        raise PredictionError(
            f"{predictions.folder} has no prediction for {name}", "pass the folder that the run saved"
        )
    prediction = predictions.read(name)
    if digest_label(prediction) != record.evaluation.predictions[index]:
        raise PredictionError(
            f"the prediction for {listed([name])} in {predictions.folder} is not the one that the record names",
            "pass the folder that this run saved",
        )
    image = sample.image if sample.image is not None else np.full((*sample.label.shape, 3), _BACKDROP, np.uint8)
    palette = dataset.label_space.palette
    scored = np.where(sample.label == IGNORE, IGNORE, prediction).astype(np.uint8)
    return {
        "image": image_url(image),
        "ground truth": overlay_url(image, sample.label, palette),
        "prediction": overlay_url(image, scored, palette),
        "difference": difference_url(image, sample.label, prediction),
    }


def _palette(record: Record, dataset: Dataset | None) -> list[tuple[str, str]]:
    """Return class names and their colours as CSS, for the legend."""
    if dataset is None:
        return []
    colours = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in dataset.label_space.palette)
    return list(zip(record.classes, colours, strict=True))


def _trimaps(record: Record) -> list[dict[str, Any]]:
    """Return chart and table of the scores near outlines, for every kind of label maps that they were counted on."""
    counts = record.evaluation.counts
    names = (prefixed(TRIMAP, label_maps) for label_maps in (LABELS, GEO))
    found = [_trimap(counts[name]) for name in names if name in counts]
    return [chart for chart in found if chart is not None]


def _trimap(counted: Counted) -> dict[str, Any] | None:
    """Return the chart and the table of the scores near outlines; None where no image has an outline."""
    curves, widths = counted.derived, counted.spec.axes["width"]
    known = [value for curve in curves.values() for value in curve if value is not None]
    if not known:
        return None
    low = max(0.0, min(known) - 0.02)
    x, y = Axis(widths[0], widths[-1], 44, _WIDTH - 8), Axis(low, 1.0, _HEIGHT - 26, 8)
    return {
        "label_maps": "" if counted.spec.label_maps == LABELS else counted.spec.label_maps,
        "width": _WIDTH,
        "height": _HEIGHT,
        "lines": [(TITLES[name], polyline(x, y, widths, curve)) for name, curve in curves.items()],
        "xs": [(x.position(value), f"{value:g}") for value in (1, 10, 20, 30, 40)],
        "ys": [(y.position(value), f"{100 * value:.0f}") for value in y.ticks()],
        "rows": [
            (width, curves["mean_iu"][width - 1], curves["pixel_acc"][width - 1]) for width in (1, 2, 3, 5, 10, 20, 40)
        ],
    }


def _timing(record: Record) -> dict[str, Any] | None:
    """Return the table of the times per image; None where no image was timed."""
    timing = record.evaluation.timing
    if not timing.images:
        return None
    summaries = {phase: Summary.of(samples) for phase, samples in timing.phases.items()}
    total = sum(each.mean for each in summaries.values())
    return {
        "phases": [(phase, each, each.mean / total if total else 0.0) for phase, each in summaries.items()],
        "images": timing.images,
        "rate": timing.images_per_second,
        "paper": Summary.of(timing.paper) if timing.paper else None,
        "trials": len(timing.paper),
    }
