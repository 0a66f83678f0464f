"""Label maps in MATLAB files, and the arithmetic that the reference does on them.

scipy reads MATLAB's version 5 format; it is imported on first use.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import DataCorrupt


def read_mat(content: bytes, what: str, *path: str) -> NDArray[Any]:
    """Read one array from a MATLAB file: a variable, or a field of a struct.

    Args:
        content: the file's bytes.
        what: name of the file, for messages.
        path: name of the variable, then of the fields.

    Raises:
        DataCorrupt: no MATLAB file, a damaged one, or the array is not in it.
    """
    from scipy.io import loadmat

    try:
        value: Any = loadmat(io.BytesIO(content), variable_names=[path[0]])[path[0]]
        for name in path[1:]:
            value = value.reshape(-1)[0][name]
        return np.asarray(value)
    # scipy raises almost anything on broken bytes: its own errors, struct's, zlib's, numpy's, and running out of
    # memory over a length that is a lie.
    except Exception as error:
        raise DataCorrupt(
            f"{what} can't be read as {'.'.join(path)} of a MATLAB file: {type(error).__name__}: {error}",
            "get the file again and compare its digest or size",
        ) from error


def native_classes(values: NDArray[Any], lowest: int, highest: int, what: str) -> NDArray[Any]:
    """Check that an array is a label map [H, W] of whole numbers in a range.

    Raises:
        DataCorrupt: it is not; the error names the values.
    """
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "iufb":
        raise DataCorrupt(
            f"{what} holds {values.dtype} of shape {values.shape}, expected a label map [H, W]",
            "use the dataset's original label maps",
        )
    # NaN fails every comparison, so it is found here too; and so is infinity, whose remainder is NaN.
    with np.errstate(invalid="ignore"):
        stray = values[~((values >= lowest) & (values <= highest) & (np.mod(values, 1) == 0))]
    if stray.size:
        shown = ", ".join(str(value) for value in np.unique(stray)[:5])
        raise DataCorrupt(
            f"{what} holds the values {shown} ({stray.size} pixels), expected whole numbers {lowest}..{highest}",
            "use the dataset's original label maps",
        )
    return values


def minus_one(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The reference layers' `label - 1` in uint8: 0, unlabelled, wraps to 255; class 1 becomes 0."""
    return values.astype(np.uint8) - np.uint8(1)
