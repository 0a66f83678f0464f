"""The report of a run: one HTML file that opens from disk, with everything that its record says, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset, digest_label
from fcnbench.errors import PredictionError
from fcnbench.metrics.trimap import WIDTHS, trimap_curves
from fcnbench.pages.charts import Axis, histogram, polyline
from fcnbench.pages.overlays import difference, overlay, photograph
from fcnbench.pages.render import render
from fcnbench.records.evaluation import Summary
from fcnbench.records.json import per_class
from fcnbench.records.model import Record
from fcnbench.records.predictions import PredictionFolder
from fcnbench.util.console import listed, track

EXAMPLES = 6
"""Best images that are shown, and worst ones."""

_TITLES = {
    "pixel_acc": "Pixel accuracy",
    "mean_acc": "Mean accuracy",
    "mean_iu": "Mean IU",
    "fw_iu": "Frequency-weighted IU",
    "mean_iu_nobg": "Mean IU without background",
    "geo_pixel_acc": "Geometric pixel accuracy",
}

_WIDTH, _HEIGHT = 520, 220
"""Canvas of a chart, in pixels."""


@dataclass(frozen=True)
class Example:
    """One image of the report, its pictures as data URLs; empty where the store has no picture or nothing was saved.

    Attributes:
        id: image id.
        mean_iu: mean IU over the classes that are true in it.
        wrong: scored pixels with a wrong class.
        pixels: scored pixels.
        pictures: title to data URL.
    """

    id: str
    mean_iu: float
    wrong: int
    pixels: int
    pictures: dict[str, str]


def build(
    record: Record,
    dataset: Dataset | None = None,
    predictions: PredictionFolder | None = None,
    examples: int = EXAMPLES,
) -> str:
    """The page.

    Args:
        record: the run.
        dataset: its data set, for pictures.
        predictions: its predicted label maps.
        examples: best and worst images that are shown.

    Raises:
        PredictionError: the predictions are not the record's.
    """
    ious = image_scores(record)
    best, worst = _examples(record, ious, dataset, predictions, examples)
    classes = per_class(record)
    total = sum(row["true_pixels"] for row in classes)
    return render(
        "report.html.j2",
        record=record,
        headline=_headline(record),
        signature=record.protocol.signature(),
        long_signature=record.protocol.signature(long=True),
        reference=record.all_scores("reference" if record.protocol.absent == "present" else "present"),
        titles=_TITLES,
        classes=[row | {"share": row["true_pixels"] / total} for row in classes],
        confusion=_confusion(record),
        distribution=_distribution(ious),
        best=best,
        worst=worst,
        palette=_palette(record, dataset),
        trimap=_trimap(record),
        timing=_timing(record),
    )


def card(record: Record) -> str:
    """The metrics of a run as a small HTML table, for notebooks."""
    return render("card.html.j2", record=record, headline=_headline(record))


def _headline(record: Record) -> list[tuple[str, float, tuple[float, float]]]:
    ends = record.intervals()
    return [(_TITLES[name], value, ends[name]) for name, value in record.all_scores().items()]


def image_scores(record: Record) -> NDArray[np.float64]:
    """Mean IU of every image over the classes that are true in it, float64 [N]; NaN where nothing is scored."""
    stack = record.evaluation.matrices
    hits, true, predicted = stack.diagonal(axis1=1, axis2=2), stack.sum(axis=2), stack.sum(axis=1)
    with np.errstate(invalid="ignore"):
        iu = hits / (true + predicted - hits)
        present = true > 0
        found: NDArray[np.float64] = np.where(present, iu, 0).sum(axis=1) / present.sum(axis=1)
    return found


def _confusion(record: Record) -> list[dict[str, Any]]:
    """Rows of the heat map: shares of a true class by predicted class, with counts."""
    rows = []
    for name, counts in zip(record.classes, record.confusion, strict=True):
        total = int(counts.sum())
        cells = [
            {"count": int(value), "share": value / total if total else 0.0, "predicted": predicted}
            for predicted, value in zip(record.classes, counts, strict=True)
        ]
        rows.append({"name": name, "total": total, "cells": cells})
    return rows


def _distribution(ious: NDArray[np.float64]) -> dict[str, Any]:
    values = ious[~np.isnan(ious)]
    counts = histogram(values.tolist())
    top = max([*counts, 1])
    width = _WIDTH / len(counts)
    bars = [
        {
            "x": round(place * width + 1, 2),
            "y": round(_HEIGHT * (1 - amount / top), 2),
            "width": round(width - 2, 2),
            "height": round(_HEIGHT * amount / top, 2),
            "count": amount,
            "low": 100 * place // len(counts),
            "high": 100 * (place + 1) // len(counts),
        }
        for place, amount in enumerate(counts)
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
    """The best and the worst images; none twice."""
    ids = record.evaluation.ids
    order = sorted(np.flatnonzero(~np.isnan(ious)).tolist(), key=lambda place: (ious[place], ids[place]))
    count = min(examples, len(order) // 2)
    places = {sample_id: place for place, sample_id in enumerate(dataset.ids)} if dataset is not None else {}

    def example(place: int) -> Example:
        matrix, name = record.evaluation.matrices[place], ids[place]
        pictures: dict[str, str] = {}
        if dataset is not None and predictions is not None and name in places:
            pictures = _pictures(record, place, dataset, places[name], predictions)
        pixels = int(matrix.sum())
        return Example(name, float(ious[place]), pixels - int(matrix.trace()), pixels, pictures)

    shown = [example(place) for place in track([*order[::-1][:count], *order[:count]], "draw examples", "image")]
    return shown[:count], shown[count:]


def _pictures(
    record: Record, place: int, dataset: Dataset, stored: int, predictions: PredictionFolder
) -> dict[str, str]:
    sample, name = dataset[stored], record.evaluation.ids[place]
    if name not in predictions.files:
        raise PredictionError(
            f"{predictions.folder} has no prediction for {name}", "pass the folder that the run saved"
        )
    prediction = predictions.read(name)
    if digest_label(prediction) != record.evaluation.predictions[place]:
        raise PredictionError(
            f"the prediction for {listed([name])} in {predictions.folder} is not the one that the record names",
            "pass the folder that this run saved",
        )
    image = sample.image if sample.image is not None else np.full((*sample.label.shape, 3), 200, np.uint8)
    palette = dataset.label_space.palette
    return {
        "image": photograph(image),
        "truth": overlay(image, sample.label, palette),
        "prediction": overlay(image, np.where(sample.label == 255, 255, prediction).astype(np.uint8), palette),
        "difference": difference(image, sample.label, prediction),
    }


def _palette(record: Record, dataset: Dataset | None) -> list[tuple[str, str]]:
    """Class names and their colours as CSS, for the legend."""
    if dataset is None:
        return []
    colours = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in dataset.label_space.palette)
    return list(zip(record.classes, colours, strict=True))


def _trimap(record: Record) -> dict[str, Any] | None:
    matrices = record.evaluation.trimap
    if matrices is None:
        return None
    curves = trimap_curves(matrices)
    known = [value for curve in curves.values() for value in curve if value is not None]
    if not known:
        return None
    low = max(0.0, min(known) - 0.02)
    x, y = Axis(WIDTHS[0], WIDTHS[-1], 44, _WIDTH - 8), Axis(low, 1.0, _HEIGHT - 26, 8)
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "lines": [(_TITLES[name], polyline(x, y, WIDTHS, curve)) for name, curve in curves.items()],
        "xs": [(x.place(value), f"{value:g}") for value in (1, 10, 20, 30, 40)],
        "ys": [(y.place(value), f"{100 * value:.0f}") for value in y.ticks()],
        "rows": [
            (width, curves["mean_iu"][width - 1], curves["pixel_acc"][width - 1]) for width in (1, 2, 3, 5, 10, 20, 40)
        ],
    }


def _timing(record: Record) -> dict[str, Any] | None:
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
