"""The reproducibility check: predictions repeated in other ways that should not change a pixel.

The first images of a run are predicted a second time, in a batch of two, on one thread, and, where the run used another
precision or a faster path, in plain float32. Near ties flip all the same; the record says how many pixels did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.host_argmax import LabelMap
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.precision import FP32, Precision, uncompiled
from fcnbench.models.fcn.fast import without_fast_path
from fcnbench.models.segmenter import Segmenter, logits_of_heads
from fcnbench.records.evaluation import ReproducibilityCheck
from fcnbench.util.console import progress

CHECKED_IMAGES = 8
"""Number of images that are predicted again."""

PLAIN = "plain fp32"
"""Name of the network as written in float32, with which other precisions and faster paths are compared."""

Predict = Callable[[Segmenter, Tensor, bool], list[LabelMap]]
"""Predicts the label maps of one preprocessed image [1, planes, H, W]; the last argument asks for the second ones."""


def check_reproducibility(
    pipeline: ImagePipeline, indices: list[int], precision: Precision = FP32, *, every: bool = True
) -> ReproducibilityCheck:
    """Predict the first images of a run in other ways, and count the pixels that change class.

    Args:
        pipeline: the model, on its device, and the samples.
        indices: the samples that the run scored; the first 8 of them are checked.
        precision: precision of the run.
        every: whether to try every way, or only plain float32.
    """
    segmenter, reference = pipeline.segmenter, without_fast_path(pipeline.segmenter)
    variants: dict[str, Predict] = dict(_VARIANTS) if every else {}
    compare_plain = not precision.plain or reference is not segmenter
    names = [*variants, PLAIN] if compare_plain else list(variants)
    flips: dict[str, int | None] = dict.fromkeys(names, 0)
    pixels = 0
    checked = indices[:CHECKED_IMAGES]
    with progress(len(checked), "reproducibility") as bar:
        for index in checked:
            (sample,) = pipeline.read([index])
            assert sample.tensor is not None  # only oracles preprocess nothing, and they are not checked
            batch = sample.tensor[None]
            geo = sample.sample.geo is not None
            with precision.applied(pipeline.device):
                first = _predict(segmenter, batch.clone(), geo)
                for name, predict in variants.items():
                    flips[name] = _add_flips(flips[name], first, predict, segmenter, batch, geo)
            if compare_plain:
                with uncompiled(), FP32.applied(pipeline.device):
                    flips[PLAIN] = _add_flips(flips[PLAIN], first, _predict, reference, batch, geo)
            pixels += sum(each.size for each in first)
            bar.update()
    return ReproducibilityCheck(len(checked), pixels, flips)


def _add_flips(
    flips: int | None, first: list[LabelMap], predict: Predict, segmenter: Segmenter, batch: Tensor, geo: bool
) -> int | None:
    """Return the flips so far plus those of one more image; None where the model can't be run in this way."""
    if flips is None:
        return None
    try:
        # A copy for each prediction: a model may write into its input.
        again = predict(segmenter, batch.clone(), geo)
        return flips + sum(int(np.count_nonzero(one != two)) for one, two in zip(first, again, strict=True))
    # A network from a file may accept one image at a time only, and may raise anything otherwise.
    except Exception:  # noqa: BLE001
        return None


def _predict(segmenter: Segmenter, batch: Tensor, geo: bool) -> list[LabelMap]:
    """Return the label map of the last image of a batch, and its second one where it is wanted and the model has it."""
    return [label_map(logits[-1]) for logits in logits_of_heads(segmenter, batch, geo=geo)]


def _predict_in_batch(segmenter: Segmenter, batch: Tensor, geo: bool) -> list[LabelMap]:
    return _predict(segmenter, torch.cat([batch, batch]), geo)


def _predict_on_one_thread(segmenter: Segmenter, batch: Tensor, geo: bool) -> list[LabelMap]:
    with _threads(1):
        return _predict(segmenter, batch, geo)


_VARIANTS: dict[str, Predict] = {
    "second run": _predict,
    "batch of 2": _predict_in_batch,
    "one thread": _predict_on_one_thread,
}
"""Ways to predict by the names that records have for them."""


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
