"""The pocket check: does a device give the integers of the built-in dataset that the committed record has?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files as resources

import numpy as np
import torch
from numpy.typing import NDArray

from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.host_argmax import LabelMap
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.precision import FP32
from fcnbench.metrics.scores import scores
from fcnbench.models.load import open_model
from fcnbench.records.device_report import PocketCheck
from fcnbench.records.evaluation import Evaluation
from fcnbench.records.schema import ScoreEntry
from fcnbench.util.console import progress

MODEL, DATASET = "fcn8s-pocket", "pocket"
"""Model and dataset of the check: shipped weights on the built-in dataset."""

BUDGET = 200
"""Pixels of the 1.7 million that may differ from the expected ones: near ties that other kernels flip."""


def golden_confusion() -> NDArray[np.int64]:
    """Return the confusion matrix of `fcn8s-pocket` on `pocket` behind the committed board row, int64 [8, 8].

    >>> golden_confusion().shape
    (8, 8)
    """
    text = (resources("fcnbench.evaluation") / "pocket-golden.json").read_text(encoding="utf-8")
    return np.array(json.loads(text)["confusion"], np.int64)


def check_pocket(pipeline: ImagePipeline, indices: list[int], evaluation: Evaluation) -> PocketCheck:
    """Compare an evaluation of `MODEL` on `DATASET` with the expected matrix, and its label maps with the CPU's."""
    confusion, golden = evaluation.matrices.sum(axis=0), golden_confusion()
    pixels, differing = 0, 0
    for on_device, on_cpu in _label_maps(pipeline, indices):
        pixels += on_device.size
        differing += int(np.count_nonzero(on_device != on_cpu))
    # A pixel that moves between two cells changes both of them by one.
    moved = int(np.abs(confusion - golden).sum() + 1) // 2
    return PocketCheck(
        model=MODEL,
        dataset=DATASET,
        images=len(indices),
        pixels=pixels,
        confusion=tuple(map(tuple, confusion.tolist())),
        from_golden=moved,
        from_cpu=differing,
        scores=ScoreEntry(**scores(confusion).as_dict()),
        golden_scores=ScoreEntry(**scores(golden).as_dict()),
        budget=BUDGET,
        sound=max(moved, differing) <= BUDGET,
    )


def _label_maps(pipeline: ImagePipeline, indices: list[int]) -> Iterator[tuple[LabelMap, LabelMap]]:
    """Yield the label map of every image as predicted on the device and on the CPU."""
    cpu = ImagePipeline(open_model(MODEL).segmenter, pipeline.dataset, torch.device("cpu"))
    with progress(len(indices), "compare with the CPU") as bar:
        for index in indices:
            yield _predict(pipeline, index), _predict(cpu, index)
            bar.update()


def _predict(pipeline: ImagePipeline, index: int) -> LabelMap:
    (sample,) = pipeline.read([index])
    assert sample.tensor is not None  # the model is a network
    with FP32.applied(pipeline.device):
        return label_map(pipeline.segmenter.logits(sample.tensor[None])[0])
