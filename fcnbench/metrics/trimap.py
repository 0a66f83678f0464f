"""Scores near outlines: one confusion matrix per width of a band around the boundaries of the ground truth.

Pixels near outlines show how well a network follows them; FCN-32s against FCN-8s is the classic case. A boundary runs
between neighbouring pixels of different ground truth, where ignored pixels count as a value of their own. The band of
width w holds the scored pixels that are less than w pixels away from a pixel beside a boundary.

scipy and scikit-image are imported on first use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.counts import LABELS, Count, CountSpec, ImageResult, prefixed

TRIMAP = "trimap"
"""Name of the count."""

WIDTHS = tuple(range(1, 41))
"""Widths of the band in pixels."""


def trimap_matrices(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int, ignore: int
) -> NDArray[np.int64]:
    """Count one confusion matrix per band around the boundaries of the ground truth.

    Args:
        truth: ground truth, uint8 [H, W].
        prediction: uint8 [H, W], a class wherever the ground truth is not `ignore`.
        num_classes: number of classes C.
        ignore: ground-truth value of the pixels that are not scored.

    Returns:
        int64 [40, C, C], one matrix per width of `WIDTHS`; every band contains the one before.

    Raises:
        DataCorrupt, PredictionError: as for `confusion_matrix`.

    See Also:
        trimap_curves: the metrics of the bands.

    >>> truth = np.repeat(np.array([[0, 0, 0, 1, 1, 1]], np.uint8), 4, axis=0)
    >>> trimap_matrices(truth, truth, 2, 255)[:3].sum(axis=(1, 2)).tolist()
    [8, 16, 24]
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import find_boundaries

    matrices = np.zeros((len(WIDTHS), num_classes, num_classes), np.int64)
    boundary = find_boundaries(truth, connectivity=1, mode="thick")
    if not boundary.any():
        return matrices
    ring = distance_transform_edt(~boundary).astype(np.int64)
    order = np.argsort(np.minimum(ring, len(WIDTHS)), axis=None, kind="stable")
    ends = np.cumsum(np.bincount(np.minimum(ring, len(WIDTHS)).reshape(-1), minlength=len(WIDTHS) + 1))
    flat_truth, flat_prediction = truth.reshape(-1)[order], prediction.reshape(-1)[order]
    start = 0
    for index, end in enumerate(ends[:-1]):
        part = slice(start, end)
        matrices[index] = confusion_matrix(flat_truth[part], flat_prediction[part], num_classes, ignore)
        start = end
    return matrices.cumsum(axis=0)


class TrimapCount(Count):
    """Counts the confusion matrices of the bands around ground-truth boundaries: int64 [40, C, C], summed over images.

    Kept for the whole split only: the bands of all images would take a hundred times the memory of their matrices.

    Args:
        space: the label space.
        label_maps: `labels` or `geo`.
    """

    def __init__(self, space: LabelSpace, label_maps: str = LABELS) -> None:
        self._space = space
        self.spec = CountSpec(
            prefixed(TRIMAP, label_maps),
            (len(WIDTHS), space.num_classes, space.num_classes),
            per_image=False,
            label_maps=label_maps,
            label_space=space.name,
            axes={"width": tuple(float(width) for width in WIDTHS)},
        )

    def count(self, image: ImageResult) -> NDArray[np.int64] | None:
        """Return the bands' confusion matrices; None where the image has no such label map or no prediction for it."""
        pair = image.maps.get(self.spec.label_maps)
        if pair is None:
            return None
        return trimap_matrices(pair.truth, pair.prediction, self._space.num_classes, self._space.ignore)
