"""From logits to label maps, found where the logits are: only labels come to the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation import devicelabels
from fcnbench.evaluation.devicelabels import begun_on_device, host_labels, trust_in
from fcnbench.evaluation.result import MARGINS
from fcnbench.metrics.argmax import argmax_map

Map = devicelabels.Map

_GLANCES = 4
"""Rows, and columns, of the logits that are looked at twice."""


def label_map(logits: Tensor) -> Map:
    """The class of the largest logit per pixel.

    Args:
        logits: floating point [C, H, W], on any device.

    Returns:
        uint8 [H, W]; the lowest class on a tie.

    Raises:
        PredictionError: some logit is NaN, or a pixel's logits are all minus infinity.
    """
    return begun(logits)()


def begun(logits: Tensor) -> Callable[[], Map]:
    """Begin to find a label map, where the logits' device works beside the host; the answer, called, waits for it.

    Args:
        logits: floating point [C, H, W], on any device.
    """
    if logits.device.type == "cpu" and logits.dtype == torch.float32:
        before = _some(logits)

        def count() -> Map:
            labels = argmax_map(logits.numpy())
            if not torch.equal(_some(logits), before):
                raise PredictionError(
                    "the logits changed after the model had answered: it writes its next answer into the same memory",
                    "return a tensor of its own for every answer, such as logits.clone()",
                )
            return labels

        return count
    if logits.device.type != "cpu":
        return begun_on_device(logits)
    return lambda: host_labels(logits)


def _some(logits: Tensor) -> Tensor:
    """A few hundred of the values, which tell whether somebody wrote over them."""
    rows, columns = (max(1, side // _GLANCES) for side in logits.shape[-2:])
    return logits[:, rows // 2 :: rows, columns // 2 :: columns].clone()


def near_ties(logits: Tensor, truth: Map, ignore: int) -> NDArray[np.int64]:
    """How many scored pixels have their two largest logits closer than each of `MARGINS`, int64 [4].

    Args:
        logits: floating point [C, H, W], on any device.
        truth: uint8 [H, W].
        ignore: truth value of the pixels that are not scored.
    """
    if len(logits) == 1:
        return np.zeros(len(MARGINS), np.int64)
    if not trust_in(logits.device).argmax:
        logits = logits.cpu()
    first, second = logits.float().topk(2, dim=0).values
    # Two logits of plus infinity tie, and their difference is NaN.
    gaps = torch.where(first == second, 0.0, first - second)[torch.from_numpy(truth != ignore).to(logits.device)]
    return np.array([int((gaps < margin).sum()) for margin in MARGINS], np.int64)
