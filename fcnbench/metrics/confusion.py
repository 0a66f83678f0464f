"""The confusion matrix of a label map and a prediction: int64, rows = ground truth, columns = prediction.

The count has one row and one column more than there are classes. They take every value outside the classes, so that
such a value is detected and never lands in the cell of another class. Label maps are mostly flat: a run of pixels with
the same ground truth and the same prediction is counted as one entry. Noisy maps, where runs do not pay, are counted
pixel by pixel, in blocks that stay in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import DataCorrupt, PredictionError, UsageError
from fcnbench.labelspace import IGNORE, MAX_CLASSES

_VALUES = 256
"""Values of an 8-bit label."""

_BLOCK = 1 << 15
"""Pixels counted at a time on noisy maps: their int64 codes are 256 KiB and stay in the L2 cache."""

_MAX_RUN_SHARE = 0.35
"""Above this share of run ends among the pixels, counting runs costs more than counting pixels (measured)."""


def confusion_matrix(
    truth: NDArray[Any], prediction: NDArray[Any], num_classes: int, ignore: int = IGNORE
) -> NDArray[np.int64]:
    """Count the pixels of each true class that are predicted as each class.

    Args:
        truth: ground truth, an integer array of any shape; values 0..num_classes-1 and `ignore`.
        prediction: integer array of the same shape; values 0..num_classes-1 wherever `truth` is not `ignore`.
        num_classes: number of classes C, 1..255.
        ignore: ground-truth value of pixels that are not scored, 0..255 and outside the classes.

    Returns:
        int64 [C, C], rows = ground truth, columns = prediction.

    Raises:
        UsageError: `num_classes` is out of range, or `ignore` is one of the classes.
        DataCorrupt: the ground truth holds a value that is neither a class nor `ignore`.
        PredictionError: the shapes differ, or the prediction of a scored pixel is outside the classes.

    See Also:
        fcnbench.metrics.scores.scores: the metrics of a confusion matrix.

    >>> truth, prediction = np.array([[0, 1, 1, 255]]), np.array([[0, 0, 1, 1]])
    >>> confusion_matrix(truth, prediction, 2).tolist()
    [[1, 0], [1, 1]]
    """
    if not 1 <= num_classes <= MAX_CLASSES:
        raise UsageError(f"1 to {MAX_CLASSES} classes are possible, not {num_classes}")
    if not num_classes <= ignore < _VALUES:
        raise UsageError(
            f"the ignore value {ignore} must lie in {num_classes}..{_VALUES - 1}: outside the classes, within 8 bits",
            "an ignore value that is a class turns IU into recall; convert labels to canonical form (ignore 255)",
        )
    for values, what in ((truth, "ground truth"), (prediction, "prediction")):
        if not isinstance(values, np.ndarray):
            raise UsageError(f"the {what} is a {type(values).__name__}, expected a numpy array", "pass numpy arrays")
    if truth.shape != prediction.shape:
        raise PredictionError(
            f"the prediction has shape {prediction.shape}, its ground truth {truth.shape}",
            "predict at the image's own size, one class index per pixel",
        )
    flat_truth = _as_bytes(truth, "ground truth", DataCorrupt)
    flat_prediction = _as_bytes(_without_ignored(truth, prediction, ignore), "prediction", PredictionError)
    counts, ignored = _count(flat_truth, flat_prediction, num_classes, ignore)
    if counts[num_classes].sum() != ignored or counts[:num_classes, num_classes].any():
        _report_stray(flat_truth, flat_prediction, num_classes, ignore)
    return counts[:num_classes, :num_classes].copy()


def _without_ignored(truth: NDArray[Any], prediction: NDArray[Any], ignore: int) -> NDArray[Any]:
    """Return a prediction wider than 8 bits with its ignored pixels set to 0, since they may hold anything."""
    if prediction.dtype == np.uint8 or prediction.dtype.kind not in "iu":
        return prediction
    return np.where(truth == ignore, 0, prediction)


def _as_bytes(values: NDArray[Any], what: str, failure: type[DataCorrupt] | type[PredictionError]) -> NDArray[np.uint8]:
    """Return the values as flat uint8; wider integers are checked before they are narrowed."""
    if failure is PredictionError:
        hint = "predict one of the label space's classes at every pixel"
    else:
        hint = "map labels to 0..C-1 and void to 255 first; a `label - 1` must wrap in uint8"
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values).reshape(-1)
    if values.dtype.kind not in "iu":
        raise failure(f"the {what} must hold integers, one class index per pixel; it is {values.dtype}")
    if values.size and not (values.min() >= 0 and values.max() < _VALUES):
        raise failure(f"the {what} holds values {values.min()}..{values.max()}, outside 0..{_VALUES - 1}", hint)
    return np.ascontiguousarray(values, dtype=np.uint8).reshape(-1)


def _count(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int, ignore: int
) -> tuple[NDArray[np.int64], int]:
    """Return the pixels per (ground truth, prediction), int64 [C+1, C+1], and the number of ignored pixels.

    The last row and column count values outside the classes, ignored pixels included.
    """
    side = num_classes + 1
    counts = np.zeros(side * side, np.int64)
    ignored = 0
    changes = truth[1:] != truth[:-1]
    changes |= prediction[1:] != prediction[:-1]
    if truth.size and np.count_nonzero(changes) <= _MAX_RUN_SHARE * truth.size:
        changed = changes.nonzero()[0]
        ends = np.empty(changed.size + 1, np.int64)
        ends[:-1] = changed
        ends[-1] = truth.size - 1
        lengths = ends.copy()
        lengths[0] += 1
        lengths[1:] -= ends[:-1]
        truth = truth[ends]
        np.add.at(counts, _codes(truth, prediction[ends], num_classes), lengths)
        ignored = int(lengths[truth == ignore].sum())
    else:
        for start in range(0, truth.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            np.add.at(counts, _codes(truth[part], prediction[part], num_classes), 1)
            ignored += int(np.count_nonzero(truth[part] == ignore))
    return counts.reshape(side, side), ignored


def _codes(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int) -> NDArray[np.intp]:
    """Return one code per pixel: row times C+1 plus column; values outside the classes count as C."""
    # An array as the limit, since numpy's minimum against a scalar is not vectorised (12 times slower).
    limit = np.full(truth.shape, num_classes, np.uint8)
    codes = np.minimum(truth, limit).astype(np.uint16)
    codes *= num_classes + 1
    codes += np.minimum(prediction, limit)
    return codes.astype(np.intp)


def _report_stray(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int, ignore: int) -> None:
    """Raise the error that names the values which are neither class nor ignore, those of the ground truth first."""
    counts = np.bincount(truth, minlength=_VALUES)
    counts[:num_classes] = counts[ignore] = 0
    if counts.any():
        raise DataCorrupt(
            f"the ground truth holds {_listed(counts)}: neither a class (0..{num_classes - 1}) nor ignore ({ignore})",
            "canonicalise the labels: every pixel is a class or ignore",
        )
    counts = np.bincount(prediction[truth != ignore], minlength=_VALUES)
    counts[:num_classes] = 0
    raise PredictionError(
        f"the prediction holds {_listed(counts)} where the ground truth is scored: outside the classes "
        f"0..{num_classes - 1}",
        "predict one of the label space's classes at every pixel",
    )


def _listed(counts: NDArray[np.int64]) -> str:
    """Format values and how often they occur: `value 7 (12 pixels), value 9 (1 pixels)`."""
    return ", ".join(f"value {value} ({counts[value]} pixels)" for value in np.flatnonzero(counts))
