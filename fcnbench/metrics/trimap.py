"""Scores near outlines: one confusion matrix for every width of a band around the truth's boundaries.

How well a net follows outlines shows in the pixels beside them; FCN-32s against FCN-8s is the classic case. A boundary
runs between neighbours of different truth, ignored pixels being a truth of their own; a band of width w holds the
scored pixels that lie less than w pixels from one beside a boundary.

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
    """Confusion matrices of the bands around the truth's boundaries.

    Args:
        truth: uint8 [H, W].
        prediction: uint8 [H, W], classes wherever truth is not `ignore`.
        num_classes: number of classes C.
        ignore: truth value of the pixels that are not scored.

    Returns:
        int64 [40, C, C]: a band of each of `WIDTHS`, every one within the next.

    Raises:
        DataCorrupt, PredictionError: as for `confusion_matrix`.
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
    for place, end in enumerate(ends[:-1]):
        part = slice(start, end)
        matrices[place] = confusion_matrix(flat_truth[part], flat_prediction[part], num_classes, ignore)
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
