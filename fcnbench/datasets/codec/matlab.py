"""Label maps in MATLAB files (version 5), and the arithmetic of the reference layers on them.

scipy is imported on first use.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import DataCorrupt


def read_mat(content: bytes, name: str, *path: str) -> NDArray[Any]:
    """Return one array of a MATLAB file: a variable, or a field of a struct.

    Args:
        content: content of the file.
        name: name of the file, for messages.
        path: name of the variable, then of the fields.

    Raises:
        DataCorrupt: the file is not a MATLAB file, is damaged, or lacks the array.
    """
    from scipy.io import loadmat

    try:
        value: Any = loadmat(io.BytesIO(content), variable_names=[path[0]])[path[0]]
        for field in path[1:]:
            value = value.reshape(-1)[0][field]
        return np.asarray(value)
    # scipy raises many exceptions on damaged files: its own, those of struct, zlib and numpy, and MemoryError for a
    # wrong length.
    except Exception as error:
        raise DataCorrupt(
            f"{name} can't be read as {'.'.join(path)} of a MATLAB file: {type(error).__name__}: {error}",
            "get the file again and compare its digest or size",
        ) from error


def native_classes(values: NDArray[Any], lowest: int, highest: int, name: str) -> NDArray[Any]:
    """Check that an array is a label map of integers in a range, and return it.

    Args:
        values: the array [H, W]; integers may be stored as floats.
        lowest: smallest valid value.
        highest: largest valid value.
        name: name of the label map, for messages.

    Raises:
        DataCorrupt: the array has another shape or holds other values; the message lists them.
    """
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "iufb":
        raise DataCorrupt(
            f"{name} holds {values.dtype} of shape {values.shape}, expected a label map [H, W]",
            "use the dataset's original label maps",
        )
    # NaN fails every comparison, and the remainder of infinity is NaN: both are invalid.
    with np.errstate(invalid="ignore"):
        stray = values[~((values >= lowest) & (values <= highest) & (np.mod(values, 1) == 0))]
    if stray.size:
        shown = ", ".join(str(value) for value in np.unique(stray)[:5])
        raise DataCorrupt(
            f"{name} holds the values {shown} ({stray.size} pixels), expected integers {lowest}..{highest}",
            "use the dataset's original label maps",
        )
    return values


def minus_one(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return `label - 1` in uint8, as the reference layers do: 0 (unlabelled) wraps to 255, class 1 becomes 0.

    >>> minus_one(np.array([0, 1, 21]))
    array([255,   0,  20], dtype=uint8)
    """
    return values.astype(np.uint8) - np.uint8(1)
