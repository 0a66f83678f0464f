"""Ranks with uncertainty: rows whose intervals overlap share a range of ranks.

numpy and pandas are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def rank_ranges(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the best and the worst possible rank of each row, where 1 is the highest.

    A row ranks below another with certainty if its interval ends before the other's begins. This is stricter than the
    paired test of `fcnbench compare`.

    Args:
        low: lower ends of the rows' intervals, [N].
        high: upper ends, [N].

    >>> import numpy as np
    >>> rank_ranges(np.array([0.6, 0.5, 0.1]), np.array([0.7, 0.65, 0.2]))
    [(1, 2), (1, 2), (3, 3)]
    """
    import numpy as np

    above = len(low) - np.searchsorted(np.sort(low), high, side="right")
    below = np.searchsorted(np.sort(high), low, side="left")
    return [(int(first) + 1, len(low) - int(last)) for first, last in zip(above, below, strict=True)]


def resolution_floor(board: pd.DataFrame) -> float | None:
    """Return the smallest gap in mean IU that a board's images separate; None without a measured row.

    It is the median width of the intervals of the measured rows: two intervals of the same width overlap unless their
    rows differ by that width.

    >>> import pandas as pd
    >>> resolution_floor(pd.DataFrame({"tier": ["reported"], "mean_iu_low": [0.25], "mean_iu_high": [0.5]}))
    0.25
    """
    measured = board[board["tier"] != "claimed"]
    return float((measured["mean_iu_high"] - measured["mean_iu_low"]).median()) if len(measured) else None
