"""The certificate of a run: how many pixels change class when nothing should change them.

A probe of the run's first images is predicted again, in a batch of two, and on one thread. Nothing of that may matter,
and near ties flip all the same; a board's reader may know how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.datasets.store import Dataset
from fcnbench.evaluation.device import full_precision
from fcnbench.evaluation.loop import label_map
from fcnbench.evaluation.result import Certificate
from fcnbench.ground.console import progress
from fcnbench.models.segmenter import Segmenter, modalities_of

PROBE = 8
"""Images of the probe."""


def certify(segmenter: Segmenter, dataset: Dataset, places: list[int], device: torch.device) -> Certificate:
    """Predict the first images of a run in other ways, and count the pixels that change class.

    Args:
        segmenter: the model; its network is on the device.
        dataset: the samples.
        places: those that the run scored; the first 8 are the probe.
        device: where the run ran.
    """
    prepare: Callable[..., Tensor] = segmenter.prepare
    flips: dict[str, int | None] = dict.fromkeys(("second run", "batch of 2", "one thread"), 0)
    pixels = 0
    probe = places[:PROBE]
    with full_precision(), torch.inference_mode(), progress(len(probe), "certify") as bar:
        for place in probe:
            sample = dataset[place]
            pictures = [sample.modality(name) for name in modalities_of(segmenter)]
            batch = prepare(*pictures)[None].to(device)
            first = label_map(segmenter.logits(batch)[0])
            pixels += first.size
            ways: dict[str, Callable[[], NDArray[np.uint8]]] = {
                "second run": lambda: label_map(segmenter.logits(batch)[0]),  # noqa: B023 - called at once
                "batch of 2": lambda: label_map(segmenter.logits(torch.cat([batch, batch]))[1]),  # noqa: B023
                "one thread": lambda: _on_one_thread(lambda: label_map(segmenter.logits(batch)[0])),  # noqa: B023
            }
            for way, predict in ways.items():
                flips[way] = _added(flips[way], first, predict)
            bar.update()
    return Certificate(len(probe), pixels, flips)


def _added(flips: int | None, first: NDArray[np.uint8], predict: Callable[[], NDArray[np.uint8]]) -> int | None:
    """The flips so far and those of one more image; None where the model can't be run so."""
    try:
        return None if flips is None else flips + int(np.count_nonzero(predict() != first))
    # A network from a file may be fixed to one picture at a time, and says so in its own way.
    except Exception:  # noqa: BLE001
        return None


def _on_one_thread(predict: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
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
