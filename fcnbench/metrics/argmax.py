"""Class of the largest logit per pixel, on the CPU, in one pass over cache-sized blocks of rows.

numpy's own `argmax` over the first axis of [C, H, W] strides through memory C times per pixel. A running maximum over
a block of rows reads every plane once, in order, while its best-so-far stays in the cache. With the extra `fast` it is
compiled (`compiled.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import PredictionError
from fcnbench.labelspace import MAX_CLASSES
from fcnbench.metrics.compiled import argmax_kernel

_BLOCK = 1 << 15
"""Pixels per block: best values (32 KiB), comparison and labels (8 KiB each) fit the L1/L2 cache."""


def argmax_map(logits: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """The label map of one image's logits: the class with the largest value, the lowest index on a tie.

    Args:
        logits: float32 or float64 [C, H, W], C at most 255.

    Returns:
        uint8 [H, W].

    Raises:
        PredictionError: some logit is NaN, a pixel's logits are all minus infinity, or the shape is not [C, H, W] with
            1 to 255 channels.
    """
    if logits.ndim != 3:
        raise PredictionError(f"logits of one image are [C, H, W]; these have shape {logits.shape}")
    channels, height, width = logits.shape
    if not 1 <= channels <= MAX_CLASSES:
        raise PredictionError(f"1 to {MAX_CLASSES} classes are possible, not {channels}")
    # Double precision is compared as it is: rounded to float32, values may tie, or overflow.
    double = logits.dtype == np.float64
    planes = np.ascontiguousarray(logits, None if double else np.float32).reshape(channels, height * width)
    labels = np.zeros(height * width, np.uint8)
    kernel = None if double else argmax_kernel()
    if (_by_numpy if kernel is None else kernel)(planes, labels):
        raise undefined_logits(nan=bool(np.isnan(planes).any()))
    return labels.reshape(height, width)


def _by_numpy(planes: NDArray[Any], labels: NDArray[np.uint8]) -> bool:
    """Write the labels [N] of planes [C, N] over zeros; return whether some pixel has no largest value."""
    wins = np.empty(_BLOCK, np.uint8)
    for start in range(0, labels.size, _BLOCK):
        block = planes[:, start : start + _BLOCK]
        best = block[0].copy()
        chosen = labels[start : start + _BLOCK]
        win = wins[: best.size]
        for channel in range(1, len(planes)):
            plane = block[channel]
            # A plane that wins overwrites the label with its channel, which is larger than any label before it:
            # a product and a maximum of bytes do that without a branch.
            np.greater(plane, best, out=win.view(bool))
            np.multiply(win, channel, out=win)
            np.maximum(chosen, win, out=chosen)
            # np.maximum carries a NaN along to the end, where one comparison finds it, and minus infinity too.
            np.maximum(best, plane, out=best)
        if not np.greater(best, -np.inf, out=win.view(bool)).all():
            return True
    return False


def undefined_logits(nan: bool) -> PredictionError:
    """Return the error for logits without a largest value, whichever device found it.

    Args:
        nan: whether they hold NaN; else all logits of some pixel are minus infinity.
    """
    found = "hold NaN" if nan else "are minus infinity in every class at some pixel, so no class is the largest there"
    return PredictionError(
        f"the logits {found}", "check the weights and the preprocessing; in half precision, check for overflow"
    )
