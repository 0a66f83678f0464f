"""From logits to label maps, found where the logits are: only labels come to the host."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation import device_argmax as devicelabels
from fcnbench.evaluation.device_argmax import begun_on_device, host_labels, trust_in
from fcnbench.records.evaluation import MARGINS

Map = devicelabels.Map


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


def begun(logits: Tensor, *, owned: bool = True) -> Callable[[], Map]:
    """Begin to find a label map, where the logits' device works beside the host; the answer, called, waits for it.

    Args:
        logits: floating point [C, H, W], on any device.
        owned: whether they keep their values until the answer is called; a CPU finds the labels only then. Where they
            are not, because the model may use their memory again, the labels are found now.
    """
    if logits.device.type != "cpu":
        return begun_on_device(logits)
    return partial(_on_host, logits) if owned else _at_once(logits)


def _on_host(logits: Tensor) -> Map:
    return host_labels(logits.detach())


def _at_once(logits: Tensor) -> Callable[[], Map]:
    """The answer, found now; what is wrong with the logits is raised when it is asked for."""
    done: Future[Map] = Future()
    try:
        done.set_result(_on_host(logits))
    except PredictionError as error:
        done.set_exception(error)
    return done.result


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
