"""From logits to label maps, found where the logits are: only labels come to the host."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from fcnbench.errors import PredictionError
from fcnbench.evaluation.result import MARGINS
from fcnbench.metrics.argmax import argmax_map, nan_logits

Map = NDArray[np.uint8]


def label_map(logits: Tensor) -> Map:
    """The class of the largest logit per pixel.

    Args:
        logits: floating point [C, H, W], on any device.

    Returns:
        uint8 [H, W]; the lowest class on a tie.

    Raises:
        PredictionError: some logit is NaN.
    """
    return begun(logits)()


def begun(logits: Tensor, *, owned: bool = True) -> Callable[[], Map]:
    """Begin to find a label map, where the logits' device works beside the host; the answer, called, waits for it.

    Args:
        logits: floating point [C, H, W], on any device.
        owned: whether they keep their values until the answer is called; a CPU finds the labels only then. Where they
            are not, because the model may use their memory again, the labels are found now.
    """
    if logits.device.type == "cpu":
        return partial(_on_host, logits) if owned else _at_once(logits)
    reduced = _reduced(logits)
    if logits.device.type != "cuda":
        return lambda: _checked(*reduced)
    found = [each.to("cpu", non_blocking=True) for each in reduced]
    arrived = torch.cuda.Event()
    arrived.record()

    def wait() -> Map:
        arrived.synchronize()
        return _checked(*found)

    return wait


def _on_host(logits: Tensor) -> Map:
    if logits.dtype == torch.float32:
        # `numpy()` by itself would forbid resizing, which the model may want to do if the memory is its own.
        return argmax_map(from_dlpack(logits.detach().resolve_neg()).numpy())
    return _checked(*_reduced(logits))


def _at_once(logits: Tensor) -> Callable[[], Map]:
    """The answer, found now; what is wrong with the logits is raised when it is asked for."""
    done: Future[Map] = Future()
    try:
        done.set_result(_on_host(logits))
    except PredictionError as error:
        done.set_exception(error)
    return done.result


def _reduced(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The labels, and whether some logit is NaN."""
    largest, labels = logits.max(dim=0)
    return labels.to(torch.uint8), largest.isnan().any()


def _checked(labels: Tensor, nan: Tensor) -> Map:
    if bool(nan):
        raise nan_logits()
    return labels.cpu().numpy()


def near_ties(logits: Tensor, truth: Map, ignore: int) -> NDArray[np.int64]:
    """How many scored pixels have their two largest logits closer than each of `MARGINS`, int64 [4].

    Args:
        logits: floating point [C, H, W], on any device.
        truth: uint8 [H, W].
        ignore: truth value of the pixels that are not scored.
    """
    if len(logits) == 1:
        return np.zeros(len(MARGINS), np.int64)
    first, second = logits.float().topk(2, dim=0).values
    gaps = (first - second)[torch.from_numpy(truth != ignore).to(logits.device)]
    return np.array([int((gaps < margin).sum()) for margin in MARGINS], np.int64)
