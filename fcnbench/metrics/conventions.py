"""How other harnesses would score the same matrices: their rules for absent classes, sums and rounding, as data.

What no matrix can show is not here: pixels that a harness drops or resizes before it counts, and stray values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Averaging = Literal["present", "predicted", "plain", "pairs"]
"""What the mean IU runs over: classes with true pixels; those and predicted ones, which have IU 0; all classes, so that
0/0 spreads as NaN; all pairs of an image and a class that is true or predicted in it."""

Arithmetic = Literal["float64", "float32", "float32 areas, rounded"]
"""How the ratios are formed: the last sums the areas of every image, unions too, in float32, and rounds percent to 2
decimals as numpy rounds float32: what lies halfway goes to the even digit, such as 67.525 to 67.52."""


@dataclass(frozen=True)
class Convention:
    """The rules of a harness.

    Attributes:
        name: what it is called here.
        source: where its rules are written.
        reports: which of the four metrics it has.
        averaging: what its mean IU runs over.
        arithmetic: how it sums and divides.
    """

    name: str
    source: str
    reports: tuple[str, ...]
    averaging: Averaging
    arithmetic: Arithmetic = "float64"

    def read(self, per_image: NDArray[np.int64]) -> dict[str, float]:
        """What it would report for confusion matrices int64 [N, C, C], rows = truth: fractions by metric."""
        found = read(per_image, self.averaging, self.arithmetic)
        return {name: found[name] for name in self.reports}


_ALL = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
_MMSEG = "mmseg/evaluation/metrics/iou_metric.py"

CONVENTIONS = (
    Convention("FCN paper", "CVPR 2015, section 5 and footnote 9", _ALL, "present"),
    Convention("FCN reference", "shelhamer/fcn.berkeleyvision.org score.py; torchfcn utils.py", _ALL, "predicted"),
    Convention("VOC devkit", "VOCevalseg.m, as adapted copies have it", ("pixel_acc", "mean_iu"), "plain"),
    Convention("Cityscapes", "cityscapesScripts evalPixelLevelSemanticLabeling.py", ("mean_iu",), "predicted"),
    Convention("mmsegmentation", _MMSEG, _ALL[:3], "predicted", "float32 areas, rounded"),
    Convention("detectron2", "detectron2/evaluation/sem_seg_evaluation.py", _ALL, "present"),
    Convention("torchvision", "references/segmentation/utils.py", ("pixel_acc", "mean_iu"), "plain", "float32"),
    Convention("HF evaluate", "metrics/mean_iou/mean_iou.py", _ALL[:3], "predicted"),
    Convention("per image", "torchmetrics segmentation.MeanIoU", ("mean_iu",), "pairs"),
)
"""The papers' own rules first."""


def read(per_image: NDArray[np.int64], averaging: Averaging, arithmetic: Arithmetic = "float64") -> dict[str, float]:
    """The four metrics of a stack of confusion matrices under a harness's rules.

    Args:
        per_image: int64 [N, C, C], rows = truth, columns = prediction.
        averaging: what the mean IU runs over.
        arithmetic: how sums and ratios are formed.

    Returns:
        Fractions by metric; NaN where the rules give that.
    """
    parts = (per_image.diagonal(axis1=1, axis2=2), per_image.sum(axis=2), per_image.sum(axis=1))
    hits, true, predicted = (_summed(part, averaging, arithmetic) for part in parts)
    union = true + predicted - hits
    if arithmetic == "float32 areas, rounded":
        union = _summed(parts[1] + parts[2] - parts[0], averaging, arithmetic)
    # 0/0 is NaN, as in every one of these harnesses.
    with np.errstate(invalid="ignore"):
        acc, iu = hits / true, hits / union
        present = true > 0
        counted = {"present": present, "plain": np.full_like(present, True)}.get(averaging, ~np.isnan(iu))
        found = {
            "pixel_acc": hits.sum() / true.sum(),
            "mean_acc": _mean(acc, present),
            "mean_iu": _mean(iu, counted),
            "fw_iu": np.where(present, true * iu, 0).sum() / true.sum(),
        }
    if arithmetic == "float32 areas, rounded":
        return {name: _rounded(value) for name, value in found.items()}
    return {name: float(value) for name, value in found.items()}


def _mean(values: NDArray[Any], chosen: NDArray[np.bool_]) -> Any:
    """Mean of the chosen values in their own type, NaN where none is chosen; summed in the order of `np.nanmean`."""
    total = np.where(chosen, values, values.dtype.type(0)).sum()
    return values.dtype.type(total / np.count_nonzero(chosen)) if chosen.any() else np.nan


def _rounded(fraction: Any) -> float:
    """A fraction in float32 to two decimals of its percentage; then in float64, so that it is printed as it is."""
    percent = np.round(np.float32(fraction) * np.float32(100), 2)
    return round(float(percent), 2) / 100


def _summed(part: NDArray[np.int64], averaging: Averaging, arithmetic: Arithmetic) -> NDArray[Any]:
    """Areas per class, [C]; for the mean over pairs per image and class, [N, C]."""
    if averaging == "pairs":
        return part.astype(np.float64)
    if arithmetic == "float32 areas, rounded":
        total = np.zeros(part.shape[1], np.float32)
        for areas in part.astype(np.float32):
            total += areas
        return total
    summed: NDArray[Any] = part.sum(axis=0)
    return summed.astype(np.float64 if arithmetic == "float64" else np.float32)
