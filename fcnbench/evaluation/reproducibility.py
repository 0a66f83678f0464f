"""The certificate of a run: how many pixels change class when nothing should change them.

A probe of the run's first images is predicted again: a second time, in a batch of two, on one thread, and, where the
run did otherwise, as the network is written in plain float32. Nothing of that should matter, and near ties flip all the
same; a board's reader may know how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from fcnbench.evaluation.argmax import Map, label_map
from fcnbench.evaluation.pipeline import Look
from fcnbench.evaluation.precision import FP32, Arithmetic, uncompiled
from fcnbench.models.fcn.fast import without_fast_path
from fcnbench.records.evaluation import Certificate
from fcnbench.util.console import progress

PROBE = 8
"""Images of the probe."""

PLAIN = "plain fp32"
"""The way of predicting that other arithmetics, and faster paths, are held against."""

Way = Callable[[Tensor], Map]
"""From a prepared picture [1, planes, H, W] to its label map."""


def certify(look: Look, places: list[int], arithmetic: Arithmetic = FP32, *, every: bool = True) -> Certificate:
    """Predict the first images of a run in other ways, and count the pixels that change class.

    Args:
        look: the model, on its device, and the samples.
        places: those that the run scored; the first 8 are the probe.
        arithmetic: of the run.
        every: whether to try every way, or only plain float32.
    """
    segmenter = look.segmenter

    def as_usual(batch: Tensor) -> Map:
        return label_map(segmenter.logits(batch)[0])

    ways: dict[str, Way] = {}
    if every:
        ways |= {
            "second run": as_usual,
            "batch of 2": lambda batch: label_map(segmenter.logits(torch.cat([batch, batch]))[1]),
            "one thread": lambda batch: _on_one_thread(lambda: as_usual(batch)),
        }
    reference = without_fast_path(segmenter)

    def as_written(batch: Tensor) -> Map:
        return label_map(reference.logits(batch)[0])

    held_against = not arithmetic.plain or reference is not segmenter
    flips: dict[str, int | None] = dict.fromkeys([*ways, *([PLAIN] if held_against else [])], 0)
    pixels = 0
    probe = places[:PROBE]
    with progress(len(probe), "certify") as bar:
        for place in probe:
            (read,) = look.read([place])
            assert read.prepared is not None
            batch = read.prepared[None]
            with arithmetic.held(look.device):
                first = as_usual(batch.clone())
                for way, predict in ways.items():
                    flips[way] = _added(flips[way], first, predict, batch)
            if held_against:
                with uncompiled(), FP32.held(look.device):
                    flips[PLAIN] = _added(flips[PLAIN], first, as_written, batch)
            pixels += first.size
            bar.update()
    return Certificate(len(probe), pixels, flips)


def _added(flips: int | None, first: Map, predict: Way, batch: Tensor) -> int | None:
    """The flips so far and those of one more image; None where the model can't be run so."""
    try:
        # A copy for each prediction: a model may write into its input.
        return None if flips is None else flips + int(np.count_nonzero(predict(batch.clone()) != first))
    # A network from a file may be fixed to one picture at a time, and says so in its own way.
    except Exception:  # noqa: BLE001
        return None


def _on_one_thread(predict: Callable[[], Map]) -> Map:
    with _threads(1):
        return predict()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
