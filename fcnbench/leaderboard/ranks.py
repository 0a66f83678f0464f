"""Ranks that the images allow: rows whose intervals overlap share a range of ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rank_ranges(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The best and the worst rank of each row, 1 the highest, given the ends of its interval.

    A row stands below another one for certain when its interval ends before the other's begins. This is stricter than a
    paired test, which `fcnbench compare` makes for two rows.
    """
    above = len(low) - np.searchsorted(np.sort(low), high, side="right")
    below = np.searchsorted(np.sort(high), low, side="left")
    return [(int(first) + 1, len(low) - int(last)) for first, last in zip(above, below, strict=True)]


def resolution_floor(low: NDArray[np.float64], high: NDArray[np.float64]) -> float | None:
    """The smallest gap in mean IU that these images separate: the median width of the rows' intervals.

    Two intervals of one width overlap until their rows lie that width apart. None without a row.
    """
    return float(np.median(high - low)) if len(low) else None
