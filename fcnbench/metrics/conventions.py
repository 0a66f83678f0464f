"""The rules of other harnesses as data: how they treat absent classes, sum areas and round.

The rules apply to the confusion matrices that fcnbench stores. Differences that arise before pixels are counted are not
covered: a harness may resize or drop pixels, or accept values outside the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fcnbench.metrics.scores import averaged_classes, class_counts, metrics_from_areas
from fcnbench.protocol import MeanOver

Averaging = MeanOver | Literal["plain", "pairs"]
"""What the mean IU runs over: the classes of a rule for the mean (`gt` or `union`, as for `scores`);
`plain`, all classes, so that one 0/0 makes the mean NaN; `pairs`, all pairs of an image and a class that is true or
predicted in it."""

Division = Literal["float64", "float32", "float32 areas, rounded"]
"""How areas are summed and divided. `float32 areas, rounded` sums the areas of all images, unions too, in float32 and
rounds percentages to 2 decimals as numpy rounds float32: halves go to the even digit, such as 67.525 to 67.52."""


@dataclass(frozen=True)
class Convention:
    """The rules by which a harness turns confusion matrices into metrics.

    Attributes:
        name: name of the harness.
        source: where its rules are written.
        reports: which of the four metrics it reports.
        averaging: what its mean IU runs over.
        division: how it sums areas and divides.
    """

    name: str
    source: str
    reports: tuple[str, ...]
    averaging: Averaging
    division: Division = "float64"

    def scores(self, per_image: NDArray[np.int64]) -> dict[str, float]:
        """Compute the metrics that the harness reports.

        Args:
            per_image: confusion matrices, int64 [N, C, C], rows = ground truth, columns = prediction.

        Returns:
            Fractions by metric; NaN where the rules give NaN.

        See Also:
            convention_scores: all four metrics under the same rules.

        >>> CONVENTIONS[0].scores(np.array([[[3, 1], [0, 4]]]))["pixel_acc"]
        0.875
        """
        found = convention_scores(per_image, self.averaging, self.division)
        return {name: found[name] for name in self.reports}


_ALL = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")
_MMSEG = "mmseg/evaluation/metrics/iou_metric.py"

CONVENTIONS = (
    Convention("FCN paper", "CVPR 2015, section 5 and footnote 9", _ALL, "gt"),
    Convention("FCN reference", "shelhamer/fcn.berkeleyvision.org score.py; torchfcn utils.py", _ALL, "union"),
    Convention("VOC devkit", "VOCevalseg.m, as adapted copies have it", ("pixel_acc", "mean_iu"), "plain"),
    Convention("Cityscapes", "cityscapesScripts evalPixelLevelSemanticLabeling.py", ("mean_iu",), "union"),
    Convention("mmsegmentation", _MMSEG, _ALL[:3], "union", "float32 areas, rounded"),
    Convention("detectron2", "detectron2/evaluation/sem_seg_evaluation.py", _ALL, "gt"),
    Convention("torchvision", "references/segmentation/utils.py", ("pixel_acc", "mean_iu"), "plain", "float32"),
    Convention("HF evaluate", "metrics/mean_iou/mean_iou.py", _ALL[:3], "union"),
    Convention("per image", "torchmetrics segmentation.MeanIoU", ("mean_iu",), "pairs"),
)
"""All conventions, the papers' own rules first."""


def convention_scores(
    per_image: NDArray[np.int64], averaging: Averaging, division: Division = "float64"
) -> dict[str, float]:
    """Compute the four metrics of a stack of confusion matrices under given rules.

    Args:
        per_image: int64 [N, C, C], rows = ground truth, columns = prediction.
        averaging: what the mean IU runs over.
        division: how areas are summed and divided.

    Returns:
        Fractions by metric; NaN where the rules give NaN.

    See Also:
        fcnbench.metrics.scores.scores: the metrics under fcnbench's own rules.

    >>> matrices = np.array([[[8, 0, 2], [0, 10, 0], [0, 0, 0]]])
    >>> convention_scores(matrices, "gt")["mean_iu"], round(convention_scores(matrices, "union")["mean_iu"], 4)
    (0.9, 0.6)
    """
    counts = class_counts(per_image)
    hits, true, predicted = (_areas(count, averaging, division) for count in counts)
    union = true + predicted - hits
    if division == "float32 areas, rounded":
        union = _areas(counts[1] + counts[2] - counts[0], averaging, division)
    found = metrics_from_areas(hits, true, union, _averaged(true, predicted, averaging))
    if division == "float32 areas, rounded":
        return {name: _rounded(value) for name, value in found.items()}
    return {name: float(value) for name, value in found.items()}


def _averaged(true: NDArray[Any], predicted: NDArray[Any], averaging: Averaging) -> NDArray[np.bool_]:
    """Return which classes, or pairs of image and class, the mean IU runs over."""
    if averaging == "plain":
        return np.full(true.shape, True)
    # A pair counts if its class is true or predicted in its image, which is the rule `union` for one image.
    return averaged_classes(true, predicted, "union" if averaging == "pairs" else averaging)


def _areas(counts: NDArray[np.int64], averaging: Averaging, division: Division) -> NDArray[Any]:
    """Sum counts [N, C] to areas per class, [C]; for `pairs` return one area per image and class, [N * C]."""
    if averaging == "pairs":
        return counts.astype(np.float64).reshape(-1)
    if division == "float32 areas, rounded":
        total = np.zeros(counts.shape[1], np.float32)
        for areas in counts.astype(np.float32):
            total += areas
        return total
    summed: NDArray[Any] = counts.sum(axis=0)
    return summed.astype(np.float64 if division == "float64" else np.float32)


def _rounded(fraction: Any) -> float:
    """Round a fraction in float32 to two decimals of its percentage; return it in float64, as it is printed."""
    percent = np.round(np.float32(fraction) * np.float32(100), 2)
    return round(float(percent), 2) / 100
