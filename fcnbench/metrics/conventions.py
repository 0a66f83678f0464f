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
"""How the ratios are formed: the last sums the areas of every image in float32, and rounds percent to 2 decimals."""


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
    # 0/0 is NaN, as in every one of these harnesses.
    with np.errstate(invalid="ignore"):
        acc, iu = hits / true, hits / (true + predicted - hits)
        present = true > 0
        counted = {"present": present, "plain": np.full_like(present, True)}.get(averaging, ~np.isnan(iu))
        found = {
            "pixel_acc": hits.sum() / true.sum(),
            "mean_acc": acc[present].mean(),
            "mean_iu": iu[counted].mean(),
            "fw_iu": (true * iu)[present].sum() / true.sum(),
        }
    if arithmetic == "float32 areas, rounded":
        return {name: round(float(value * 100), 2) / 100 for name, value in found.items()}
    return {name: float(value) for name, value in found.items()}


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
