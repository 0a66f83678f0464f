"""The four metrics of the FCN papers, computed from a confusion matrix.

With `n[i][j]` = pixels of true class i predicted as j, `t_i = sum_j n[i][j]` (CVPR 2015, section 5):

    pixel accuracy         sum_i n[i][i] / sum_i t_i
    mean accuracy          mean_i of n[i][i] / t_i
    mean IU                mean_i of n[i][i] / (t_i + sum_j n[j][i] - n[i][i])
    frequency-weighted IU  sum_i t_i IU_i / sum_k t_k

Every ratio of pixel counts in a record, a board or a page is formed in this module. Three things are not: the rules of
other harnesses round their percentages in `metrics/conventions.py`, published percentages become fractions in
`leaderboard/claims.py`, and fractions are rounded where they are written or printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcnbench.errors import UsageError
from fcnbench.protocol import MeanOver

METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
"""The four metrics in the order of the papers' tables."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The four metrics as fractions, and the per-class values that they are means of.

    Attributes:
        pixel_acc: pixel accuracy.
        mean_acc: mean accuracy.
        mean_iu: mean intersection over union.
        fw_iu: frequency-weighted intersection over union.
        class_acc: accuracy per class, float64 [C]; NaN for a class without true pixels.
        class_iu: IU per class, float64 [C]; NaN for a class that is neither true nor predicted anywhere.
        true_pixels: true pixels t_i per class, int64 [C].
        predicted_pixels: predicted pixels per class, int64 [C].
        mean: the classes that mean IU runs over.

    See Also:
        scores: computes them from a confusion matrix.
    """

    pixel_acc: float
    mean_acc: float
    mean_iu: float
    fw_iu: float
    class_acc: NDArray[np.float64]
    class_iu: NDArray[np.float64]
    true_pixels: NDArray[np.int64]
    predicted_pixels: NDArray[np.int64]
    mean: MeanOver

    def mean_iu_without(self, index: int) -> float:
        """Return the mean IU without one class, such as the background.

        Args:
            index: index of the class to leave out.

        Returns:
            The mean over the other classes that `mean_iu` counts; NaN if there are none.

        >>> scores([[3, 1], [2, 4]]).mean_iu_without(0) == 4 / 7
        True
        """
        counted = averaged_classes(self.true_pixels, self.predicted_pixels, self.mean)
        return float(_mean(self.class_iu, counted & (np.arange(counted.size) != index)))

    def as_dict(self) -> dict[str, float]:
        """Return the four metrics by name, in the papers' order.

        >>> scores([[3, 1], [0, 4]]).as_dict()["pixel_acc"]
        0.875
        """
        return {name: float(getattr(self, name)) for name in METRICS}


def scores(confusion: ArrayLike, mean: MeanOver = "gt") -> Scores:
    """Compute the four metrics of a confusion matrix in float64.

    Args:
        confusion: integers [C, C], rows = ground truth, columns = prediction, ignored pixels already left out.
        mean: `gt` (the papers' rule) averages over the classes in the ground truth. `union` follows the papers'
            `score.py`, which uses `nanmean`: a class that is predicted, but does not occur in the ground truth, counts
            with an IU of 0. False positives lower the IU of the true classes under both rules.

    Returns:
        The metrics, and accuracy, IU and pixels of every class.

    Raises:
        UsageError: the matrix is not square, not of integers, negative, empty or too large, or the
            rule for the mean is unknown.

    See Also:
        fcnbench.metrics.confusion.confusion_matrix: counts the matrix of one image.
        metrics_from_counts: the same metrics of many matrices at once.

    >>> found = scores([[3, 1], [2, 4]])
    >>> found.pixel_acc
    0.7
    >>> round(found.mean_iu, 4)
    0.5357
    """
    counts = _checked(confusion)
    hits, true, predicted = class_counts(counts)
    if not true.any():
        raise UsageError(
            "the confusion matrix is empty: no pixel was scored", "check that the ground truth is not all ignore"
        )
    class_acc, class_iu = _class_rates(hits, true, true + predicted - hits)
    return Scores(
        **{name: float(value) for name, value in metrics_from_counts(hits, true, predicted, mean).items()},
        class_acc=class_acc,
        class_iu=class_iu,
        true_pixels=true,
        predicted_pixels=predicted,
        mean=mean,
    )


def class_counts(confusion: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the three counts per class that every metric is made of.

    Args:
        confusion: matrices [..., C, C], rows = ground truth, columns = prediction.

    Returns:
        Correct pixels (the diagonal), true pixels (row sums) and predicted pixels (column sums), [..., C] each.

    >>> [counts.tolist() for counts in class_counts(np.array([[3, 1], [2, 4]]))]
    [[3, 4], [4, 6], [5, 5]]
    """
    return confusion.diagonal(axis1=-2, axis2=-1), confusion.sum(axis=-1), confusion.sum(axis=-2)


def metrics_from_counts(
    hits: NDArray[Any],
    true: NDArray[Any],
    predicted: NDArray[Any],
    mean: MeanOver = "gt",
    without: int | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Compute the four metrics of many confusion matrices at once.

    Args:
        hits: correct pixels per class, [..., C].
        true: pixels whose ground truth is the class, [..., C].
        predicted: pixels whose prediction is the class, [..., C].
        mean: `gt` or `union`, as for `scores`.
        without: index of a class; if given, the result also has `mean_iu_nobg`, the mean IU without that class.

    Returns:
        Name of each metric to float64 [...]; NaN where no pixel is scored.

    Raises:
        UsageError: the rule for the mean is unknown.

    See Also:
        class_counts: the three arguments of a stack of matrices.

    >>> matrices = np.array([[[3, 1], [0, 4]], [[0, 0], [0, 2]]])
    >>> metrics_from_counts(*class_counts(matrices))["pixel_acc"].tolist()
    [0.875, 1.0]
    """
    if mean not in ("gt", "union"):
        raise UsageError(f"rule for the mean {mean!r} is unknown", "use 'gt' or 'union'")
    union = true + predicted - hits
    _, class_iu = _class_rates(hits, true, union)
    counted = averaged_classes(true, predicted, mean)
    found: dict[str, NDArray[np.float64]] = metrics_from_areas(hits, true, union, counted)
    if without is not None:
        found["mean_iu_nobg"] = _mean(class_iu, counted & (np.arange(true.shape[-1]) != without))
    return found


def metrics_from_areas(
    hits: NDArray[Any], true: NDArray[Any], union: NDArray[Any], counted: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Compute the four metrics in the floating-point type of the areas (float64 for integers).

    Args:
        hits: correct pixels per class, [..., C].
        true: pixels whose ground truth is the class, [..., C].
        union: pixels whose ground truth or prediction is the class, [..., C].
        counted: classes that the mean IU runs over, bool [..., C].

    Returns:
        Name of each metric to an array [...]; NaN where no pixel is scored.

    >>> areas = np.array([3, 4]), np.array([4, 6]), np.array([6, 7])
    >>> float(metrics_from_areas(*areas, np.array([True, False]))["mean_iu"])
    0.5
    """
    class_acc, class_iu = _class_rates(hits, true, union)
    present = true > 0
    with np.errstate(invalid="ignore"):
        pixels = true.sum(axis=-1)
        return {
            "pixel_acc": hits.sum(axis=-1) / pixels,
            "mean_acc": _mean(class_acc, present),
            "mean_iu": _mean(class_iu, counted),
            "fw_iu": np.where(present, true * class_iu, 0).sum(axis=-1) / pixels,
        }


def averaged_classes(true: NDArray[Any], predicted: NDArray[Any], mean: MeanOver) -> NDArray[np.bool_]:
    """Return which classes the mean IU runs over by a rule for the mean.

    Args:
        true: pixels whose ground truth is the class, [..., C].
        predicted: pixels whose prediction is the class, [..., C].
        mean: `gt` or `union`, as for `scores`.

    Returns:
        bool [..., C].

    >>> averaged_classes(np.array([5, 0, 0]), np.array([4, 1, 0]), "union").tolist()
    [True, True, False]
    """
    present: NDArray[np.bool_] = true > 0
    return present if mean == "gt" else present | (predicted > 0)


def shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts as shares of their sum along the last axis.

    Args:
        counts: non-negative counts [..., C], for example a confusion matrix.

    Returns:
        float64 [..., C]; zeros where the sum is 0.

    >>> shares(np.array([[3, 1], [0, 0]])).tolist()
    [[0.75, 0.25], [0.0, 0.0]]
    """
    total = counts.sum(axis=-1, keepdims=True)
    found: NDArray[np.float64] = counts / np.maximum(total, 1)
    return found


def _class_rates(hits: NDArray[Any], true: NDArray[Any], union: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return accuracy and IU per class; 0/0 is NaN on purpose, since such a class has none."""
    with np.errstate(invalid="ignore"):
        return hits / true, hits / union


def _mean(values: NDArray[Any], counted: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the mean of the counted values along the last axis, in their own type; NaN where none is counted."""
    with np.errstate(invalid="ignore"):
        mean = np.where(counted, values, values.dtype.type(0)).sum(axis=-1) / counted.sum(axis=-1)
    cast: NDArray[Any] = mean.astype(values.dtype)
    return cast


def _checked(confusion: ArrayLike) -> NDArray[np.int64]:
    given: NDArray[Any] = np.asarray(confusion)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.shape[0] == 0:
        raise UsageError(f"a confusion matrix is square [C, C]; this one has shape {given.shape}")
    if given.dtype.kind not in "iu":
        raise UsageError(
            f"a confusion matrix holds integer pixel counts; this one is {given.dtype}",
            "keep the counts as int64: float32 loses pixels beyond 2**24",
        )
    if given.min() < 0:
        raise UsageError("a confusion matrix holds pixel counts; this one has a negative entry")
    if float(given.sum(dtype=np.float64)) >= 2.0**63:
        raise UsageError("the confusion matrix holds more pixels than 64 bits can count", "check where it comes from")
    return given.astype(np.int64)
