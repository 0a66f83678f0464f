"""The four metrics of the FCN papers, from a confusion matrix. The one place that divides.

With n[i][j] = pixels of true class i predicted as j, t_i = sum_j n[i][j] (CVPR 2015, section 5):

    pixel accuracy         sum_i n[i][i] / sum_i t_i
    mean accuracy          mean_i of n[i][i] / t_i
    mean IU                mean_i of n[i][i] / (t_i + sum_j n[j][i] - n[i][i])
    frequency-weighted IU  sum_i t_i IU_i / sum_k t_k
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcnbench.errors import UsageError
from fcnbench.protocol import AbsentPolicy

METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
"""The four metrics in the order of the papers' tables."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The four metrics as fractions, and what they are made of.

    Attributes:
        pixel_acc: pixel accuracy.
        mean_acc: mean accuracy.
        mean_iu: mean intersection over union.
        fw_iu: frequency-weighted intersection over union.
        class_acc: accuracy per class, float64 [C]; NaN for a class without true pixels.
        class_iu: IU per class, float64 [C]; NaN for a class neither true nor predicted anywhere.
        true_pixels: true pixels t_i per class, int64 [C].
        predicted_pixels: predicted pixels per class, int64 [C].
        absent: the policy that the means follow.
    """

    pixel_acc: float
    mean_acc: float
    mean_iu: float
    fw_iu: float
    class_acc: NDArray[np.float64]
    class_iu: NDArray[np.float64]
    true_pixels: NDArray[np.int64]
    predicted_pixels: NDArray[np.int64]
    absent: AbsentPolicy

    def mean_iu_without(self, index: int) -> float:
        """Mean IU over the classes that `mean_iu` counts except one, such as background; NaN if none is left."""
        counted = _counted(self.true_pixels, self.class_iu, self.absent)
        return float(_mean(self.class_iu, counted & (np.arange(counted.size) != index)))

    def as_dict(self) -> dict[str, float]:
        """The four metrics by name, in the papers' order."""
        return {name: float(getattr(self, name)) for name in METRICS}


def scores(confusion: ArrayLike, absent: AbsentPolicy = "present") -> Scores:
    """Work out the four metrics of a confusion matrix in float64.

    Args:
        confusion: integer [C, C], rows = truth, columns = prediction, ignored pixels already left out.
        absent: `present` (the papers' rule) takes the means over classes with true pixels; `reference` is the
            nanmean of the reference `score.py`: a class without true pixels that was predicted somewhere counts
            as IU 0. False positives lower the IU of the true classes under both.

    Raises:
        UsageError: not a square non-negative integer matrix, no pixel in it or too many, or an unknown policy.
    """
    counts = _checked(confusion)
    hits, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    if not true.any():
        raise UsageError("the confusion matrix is empty: no pixel was scored", "check that the truth is not all ignore")
    class_acc, class_iu = _class_rates(hits, true, predicted)
    return Scores(
        **{name: float(value) for name, value in metrics(hits, true, predicted, absent).items()},
        class_acc=class_acc,
        class_iu=class_iu,
        true_pixels=true,
        predicted_pixels=predicted,
        absent=absent,
    )


def metrics(
    hits: NDArray[Any],
    true: NDArray[Any],
    predicted: NDArray[Any],
    absent: AbsentPolicy = "present",
    without: int | None = None,
) -> dict[str, NDArray[np.float64]]:
    """The four metrics of many confusion matrices at once, by name.

    Args:
        hits: diagonals of the matrices, [..., C].
        true: row sums, pixels whose truth is the class.
        predicted: column sums, pixels whose prediction is the class.
        absent: policy for classes without true pixels, as for `scores`.
        without: also give `mean_iu_nobg`, the mean IU without the class of this index.

    Returns:
        float64 [...] each; NaN where no pixel is scored.

    Raises:
        UsageError: an unknown policy.
    """
    if absent not in ("present", "reference"):
        raise UsageError(f"absent-class policy {absent!r} is unknown", "use 'present' or 'reference'")
    class_acc, class_iu = _class_rates(hits, true, predicted)
    present, counted = true > 0, _counted(true, class_iu, absent)
    with np.errstate(invalid="ignore"):
        pixels = true.sum(axis=-1)
        found = {
            "pixel_acc": hits.sum(axis=-1) / pixels,
            "mean_acc": _mean(class_acc, present),
            "mean_iu": _mean(class_iu, counted),
            "fw_iu": np.where(present, true * class_iu, 0).sum(axis=-1) / pixels,
        }
    if without is not None:
        found["mean_iu_nobg"] = _mean(class_iu, counted & (np.arange(true.shape[-1]) != without))
    return found


def _class_rates(
    hits: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and IU per class; 0/0 is NaN by intent: such a class has none, and the policies leave it out."""
    with np.errstate(invalid="ignore"):
        return hits / true, hits / (true + predicted - hits)


def _counted(true: NDArray[Any], class_iu: NDArray[np.float64], absent: AbsentPolicy) -> NDArray[np.bool_]:
    """Which classes the mean IU runs over."""
    return true > 0 if absent == "present" else ~np.isnan(class_iu)


def _mean(values: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of the chosen values along the last axis; NaN where none is chosen."""
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(chosen, values, 0).sum(axis=-1) / chosen.sum(axis=-1)
    return mean


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
