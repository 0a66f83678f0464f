"""Counts: what is counted on every image, as int64 arrays that add up.

A count is one small class. The evaluation loop, the scoring of stored predictions, the journal, the merge over ranks,
the record, its recomputation and its verification handle every count through `CountSpec` alone, without knowing which
it is; comparisons read the confusion matrices and the near ties. Counts on label maps are here and in `trimap`; counts
on logits are in `fcnbench/evaluation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.scores import scores

LABELS = "labels"
"""Name of a dataset's label maps; the counts on them have no prefix."""

GEO = "geo"
"""Name of a dataset's second label maps; the counts on them have the prefix `geo_`."""

CONFUSION = "confusion"
"""Name of the count that every record has: the confusion matrices."""

GEO_CONFUSION = "geo_confusion"
"""Name of the confusion matrices of the second label maps."""


@dataclass(frozen=True)
class CountSpec:
    """What an array of counts is: enough to store, merge, check and compare it.

    Attributes:
        name: its name in journals, records and `confusion.npz`.
        shape: shape of one image's array.
        per_image: whether every image's array is kept; otherwise only their sum is.
        label_maps: the label maps that it is derived from, `labels` or `geo`; empty where it needs more than those.
        label_space: name of the label space where the last two axes are a confusion matrix; empty where they are not.
        axes: name and values of the other axes, in order.

    Raises:
        ValueError: the axes do not fit the shape.
    """

    name: str
    shape: tuple[int, ...]
    per_image: bool = True
    label_maps: str = ""
    label_space: str = ""
    axes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        matrix = self.shape[-2:] if self.label_space else ()
        lengths = tuple(len(values) for values in self.axes.values())
        if not self.name.isidentifier() or self.shape != (*lengths, *matrix) or min(self.shape, default=0) < 1:
            raise ValueError(f"the count {self.name!r} has shape {self.shape} and axes of {lengths}")
        if self.label_space and (len(matrix) != 2 or matrix[0] != matrix[1]):
            raise ValueError(f"the count {self.name!r} is not a confusion matrix: its shape is {self.shape}")

    def stored_shape(self, images: int) -> tuple[int, ...]:
        """Return the shape of the stored array for this many images."""
        return (images, *self.shape) if self.per_image else self.shape

    def total(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum over the images, int64 `shape`, of a stored array."""
        total: NDArray[np.int64] = values.sum(axis=0) if self.per_image else values
        return total

    def derived(self, values: NDArray[np.int64]) -> dict[str, tuple[int | float | None, ...]]:
        """Return what follows from a stored array along its first axis: totals, or scores of confusion matrices.

        Args:
            values: int64, of `stored_shape`.

        Returns:
            `total` for a plain count with one axis; `mean_iu` and `pixel_acc` for confusion matrices along one axis,
            None where no pixel was scored; nothing for a count without an axis or with several. The scores of the
            confusion matrices of whole images are elsewhere in the record.
        """
        if len(self.axes) != 1:
            return {}
        total = self.total(values)
        if not self.label_space:
            return {"total": tuple(total.tolist())}
        along = [scores(matrix) if matrix.any() else None for matrix in total]
        return {
            name: tuple(None if one is None else float(getattr(one, name)) for one in along)
            for name in ("mean_iu", "pixel_acc")
        }


@dataclass(frozen=True, eq=False)
class LabelPair:
    """A ground-truth label map and the prediction for it, uint8 [H, W] each."""

    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What a count sees of one image.

    Attributes:
        maps: label maps by name, `labels` and maybe `geo`.
        logits: floating point [C, H, W] on any device; None where no model ran here.
    """

    maps: Mapping[str, LabelPair]
    logits: Any = None


class Count(ABC):
    """Something that is counted on every image.

    Attributes:
        spec: what the array is.
        needs_logits: whether it looks at the logits.
    """

    spec: CountSpec
    needs_logits: bool = False

    @abstractmethod
    def count(self, image: ImageResult) -> NDArray[np.int64] | None:
        """Return the counts of one image, int64 `spec.shape`; None where the image lacks what is counted.

        Raises:
            DataCorrupt: a ground-truth value is not a class.
            PredictionError: a predicted value is not a class.
        """


class ConfusionCount(Count):
    """Counts the confusion matrix of one of a dataset's label maps: int64 [C, C], rows = ground truth.

    Args:
        space: the label space.
        label_maps: `labels` or `geo`.

    >>> space = LabelSpace("two", ("background", "thing"), ((0, 0, 0), (128, 0, 0)))
    >>> truth = np.array([[0, 1, 255]], np.uint8)
    >>> ConfusionCount(space).count(ImageResult({"labels": LabelPair(truth, np.array([[0, 0, 1]], np.uint8))}))
    array([[1, 0],
           [1, 0]])
    """

    def __init__(self, space: LabelSpace, label_maps: str = LABELS) -> None:
        self._space = space
        shape = (space.num_classes, space.num_classes)
        self.spec = CountSpec(prefixed(CONFUSION, label_maps), shape, label_maps=label_maps, label_space=space.name)

    def count(self, image: ImageResult) -> NDArray[np.int64] | None:
        """Return the confusion matrix; None where the image has no such label map or no prediction for it."""
        pair = image.maps.get(self.spec.label_maps)
        if pair is None:
            return None
        return confusion_matrix(pair.truth, pair.prediction, self._space.num_classes, self._space.ignore)


def prefixed(name: str, label_maps: str) -> str:
    """Return the name of a count on these label maps.

    >>> prefixed("trimap", "labels"), prefixed("trimap", "geo")
    ('trimap', 'geo_trimap')
    """
    return name if label_maps == LABELS else f"{label_maps}_{name}"


def confusion_counts(labels: LabelSpace, geo: LabelSpace | None) -> tuple[Count, ...]:
    """Return the counts that every evaluation makes: the confusion matrices of a dataset's label maps.

    >>> space = LabelSpace("two", ("background", "thing"), ((0, 0, 0), (128, 0, 0)))
    >>> [count.spec.name for count in confusion_counts(space, None)]
    ['confusion']
    """
    return (ConfusionCount(labels), *(() if geo is None else (ConfusionCount(geo, GEO),)))
