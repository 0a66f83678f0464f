"""Class with the largest logit per pixel, on the CPU, in cache-sized blocks of pixels.

numpy's own `argmax` over the first axis of [C, H, W] strides through memory C times per pixel. A running maximum over a
block of pixels reads every plane once, in order, while the maximum stays in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import PredictionError
from fcnbench.labelspace import MAX_CLASSES

_BLOCK = 1 << 16
"""Pixels per block: the running maximum (256 KiB), comparison and labels (64 KiB each) fit the L2 cache (measured)."""


def argmax_map(logits: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the label map of one image: the class with the largest logit, the lowest index on a tie.

    Args:
        logits: float32 or float64 [C, H, W], C at most 255.

    Returns:
        uint8 [H, W].

    Raises:
        PredictionError: a logit is NaN, all logits of a pixel are minus infinity, or the shape is not [C, H, W] with 1
            to 255 channels.

    See Also:
        fcnbench.metrics.confusion.confusion_matrix: compares the label map with the ground truth.

    >>> argmax_map(np.array([[[0.1, 2.0]], [[0.3, 2.0]]], np.float32)).tolist()
    [[1, 0]]
    """
    if logits.ndim != 3:
        raise PredictionError(f"logits of one image are [C, H, W]; these have shape {logits.shape}")
    channels, height, width = logits.shape
    if not 1 <= channels <= MAX_CLASSES:
        raise PredictionError(f"1 to {MAX_CLASSES} classes are possible, not {channels}")
    # Double precision is compared as it is: rounded to float32, values may tie, or overflow.
    dtype = np.float64 if logits.dtype == np.float64 else np.float32
    planes = np.ascontiguousarray(logits, dtype).reshape(channels, height * width)
    labels = np.zeros(height * width, np.uint8)
    if not _write_labels(planes, labels):
        raise undefined_logits(nan=bool(np.isnan(planes).any()))
    return labels.reshape(height, width)


def _write_labels(planes: NDArray[Any], labels: NDArray[np.uint8]) -> bool:
    """Write the labels [N] of planes [C, N] over zeros; return False if a pixel has no largest logit."""
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
            return False
    return True


def undefined_logits(nan: bool) -> PredictionError:
    """Return the error for logits without a largest value, on whichever device they are.

    Args:
        nan: whether they hold NaN; otherwise all logits of some pixel are minus infinity.

    >>> print(undefined_logits(nan=True).message)
    the logits hold NaN
    """
    found = "hold NaN" if nan else "are minus infinity in every class at some pixel, so no class is the largest there"
    return PredictionError(
        f"the logits {found}", "check the weights and the preprocessing; in half precision, check for overflow"
    )
