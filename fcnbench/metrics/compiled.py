"""The argmax as machine code, where numba is installed (the extra `fast`): one call that holds no interpreter lock.

It is used only after it has given the same labels as numpy's way on a few hard cases. Compiling takes a second, once:
numba keeps the code in its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 12
"""Pixels per block: their best values and labels (20 KiB) stay in the L1 cache."""

Kernel = Callable[[NDArray[np.float32], NDArray[np.uint8]], bool]
"""From float32 planes [C, N], writes uint8 labels [N]; return whether some pixel has no largest value."""


@cache
def argmax_kernel() -> Kernel | None:
    """The compiled argmax; None where numba is not installed, can't compile, or gives other labels than numpy."""
    try:
        import numba

        kernel: Kernel = numba.njit(nogil=True, cache=True)(_argmax)
        return kernel if _agrees(kernel) else None
    # numba may be missing, broken, or too old for this numpy, and says so in many ways; numpy does as well.
    except Exception:  # noqa: BLE001
        return None


def _argmax(planes: NDArray[np.float32], labels: NDArray[np.uint8]) -> bool:
    """As numba compiles it: plain loops."""
    channels, pixels = planes.shape
    best = np.empty(_BLOCK, np.float32)
    chosen = np.empty(_BLOCK, np.uint8)
    lowest = np.float32(-np.inf)
    undefined = False
    for start in range(0, pixels, _BLOCK):
        count = min(_BLOCK, pixels - start)
        for place in range(count):
            best[place] = planes[0, start + place]
            chosen[place] = 0
        for channel in range(1, channels):
            plane = planes[channel, start : start + count]
            label = np.uint8(channel)
            for place in range(count):
                value = plane[place]
                # A NaN wins once and is never beaten, so that one comparison at the end finds it.
                wins = value > best[place] or value != value  # noqa: PLR0124
                best[place] = value if wins else best[place]
                chosen[place] = label if wins else chosen[place]
        for place in range(count):
            # Neither NaN nor minus infinity is greater.
            undefined |= not best[place] > lowest
            labels[start + place] = chosen[place]
    return undefined


def _agrees(kernel: Kernel) -> bool:
    """Check that a kernel gives numpy's labels for ties and infinities, and finds pixels without a largest value."""
    random = np.random.default_rng(0)
    planes = random.integers(-3, 4, (7, _BLOCK + 5)).astype(np.float32)
    planes[2, ::7], planes[3, ::5] = np.inf, -np.inf
    labels = np.empty(planes.shape[1], np.uint8)
    if kernel(planes, labels) or not np.array_equal(labels, planes.argmax(axis=0)):
        return False
    pixel = random.integers(planes.shape[1])
    for values in (np.where(np.arange(7) == random.integers(7), np.nan, planes[:, pixel]), np.full(7, -np.inf)):
        planes[:, pixel] = values
        if not kernel(planes, labels):
            return False
    return True
