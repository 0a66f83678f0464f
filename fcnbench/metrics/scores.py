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
        counted = self.true_pixels > 0 if self.absent == "present" else ~np.isnan(self.class_iu)
        counted[index] = False
        return float(self.class_iu[counted].mean()) if counted.any() else float("nan")

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
    if absent not in ("present", "reference"):
        raise UsageError(f"absent-class policy {absent!r} is unknown", "use 'present' or 'reference'")
    counts = _checked(confusion)
    hits = counts.diagonal()
    true = counts.sum(axis=1)
    predicted = counts.sum(axis=0)
    pixels = int(true.sum())
    if pixels == 0:
        raise UsageError("the confusion matrix is empty: no pixel was scored", "check that the truth is not all ignore")
    # 0/0 is NaN by intent: such a class has no accuracy or IU, and the policies below leave it out.
    with np.errstate(invalid="ignore"):
        class_acc = hits / true
        class_iu = hits / (true + predicted - hits)
    present = true > 0
    counted = present if absent == "present" else ~np.isnan(class_iu)
    return Scores(
        pixel_acc=int(hits.sum()) / pixels,
        mean_acc=float(class_acc[present].mean()),
        mean_iu=float(class_iu[counted].mean()),
        fw_iu=float((true[present] * class_iu[present]).sum() / pixels),
        class_acc=class_acc,
        class_iu=class_iu,
        true_pixels=true,
        predicted_pixels=predicted,
        absent=absent,
    )


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
