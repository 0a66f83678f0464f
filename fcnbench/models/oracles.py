"""Oracles: models that predict from the ground truth, as upper and lower bounds for real models.

`oracle-perfect` predicts the ground truth, `oracle-constant:K` predicts class K everywhere, and `oracle-downsample:F`
shrinks the ground truth by F and enlarges it again: the best that a net of output stride F could do (CVPR 2015,
Appendix A). They need neither weights nor images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import ModelError, UsageError
from fcnbench.labelspace import IGNORE
from fcnbench.models.names import whole_number

LabelMap = NDArray[np.uint8]
"""Class indices [H, W]; 255 marks ignored pixels of the ground truth."""


class Oracle:
    """A model that predicts from the ground truth.

    Args:
        name: a few words about the prediction, for the record.
        predict: from ground truth to prediction, both uint8 [H, W].
    """

    modalities: tuple[str, ...] = ()

    def __init__(self, name: str, predict: Callable[[LabelMap], LabelMap]) -> None:
        self.preprocessing = name
        self._predict = predict

    def prepare(self, *images: object) -> NoReturn:
        """Refuse images.

        Raises:
            ModelError: always.
        """
        raise ModelError("an oracle takes no images", "call predict_from_ground_truth(label)")

    def logits(self, batch: object) -> NoReturn:
        """Refuse to compute logits.

        Raises:
            ModelError: always.
        """
        raise ModelError("an oracle has no logits", "call predict_from_ground_truth(label)")

    def predict_from_ground_truth(self, label: LabelMap) -> LabelMap:
        """Return the prediction for a ground truth, uint8 [H, W]; ignored pixels of the result become class 0.

        >>> perfect().predict_from_ground_truth(np.array([[1, 255]], np.uint8)).tolist()
        [[1, 0]]
        """
        prediction = self._predict(label)
        return np.where(prediction == IGNORE, 0, prediction).astype(np.uint8)


def perfect() -> Oracle:
    """Return the oracle that predicts the ground truth."""
    return Oracle("the truth", lambda label: label)


def constant(argument: str = "0") -> Oracle:
    """Return the oracle that predicts one class everywhere.

    Raises:
        UsageError: the argument is not a class index.
    """
    index = whole_number(argument, "oracle-constant")
    return Oracle(f"class {index}", lambda label: np.full_like(label, index))


def downsample(argument: str) -> Oracle:
    """Return the oracle that shrinks the ground truth by a factor and enlarges it again.

    Args:
        argument: the factor, or the factor and one of `INTERPOLATIONS`: `32`, `32:nearest`.

    Raises:
        UsageError: the argument is not a factor, or names an unknown interpolation.

    >>> label = np.array([[3, 3, 5, 5], [3, 1, 5, 1]], np.uint8)
    >>> downsample("2:area").predict_from_ground_truth(label).tolist()
    [[3, 3, 5, 5], [3, 3, 5, 5]]
    """
    text, _, method = argument.partition(":")
    factor = whole_number(text, "oracle-downsample")
    method = method or next(iter(INTERPOLATIONS))
    if method not in INTERPOLATIONS:
        raise UsageError(
            f"oracle-downsample does not know the interpolation {method!r}",
            f"choose one of {', '.join(INTERPOLATIONS)}",
        )
    return Oracle(f"by {factor}, {method}", lambda label: INTERPOLATIONS[method](label, factor))


def _small_size(label: LabelMap, factor: int) -> tuple[int, int]:
    """Return height and width after shrinking: rounded, at least 1."""
    height, width = label.shape
    return max(1, round(height / factor)), max(1, round(width / factor))


def _nearest_indices(size: int, source_size: int) -> NDArray[np.int64]:
    """Return, for each of `size` cells, the index of the source cell that contains its centre."""
    return ((np.arange(size) + 0.5) * source_size / size).astype(np.int64)


def _resize_nearest(label: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Resize to a height and width by nearest neighbour."""
    rows, columns = (_nearest_indices(new, old) for new, old in zip(size, label.shape, strict=True))
    return label[np.ix_(rows, columns)]


def _nearest(label: LabelMap, factor: int) -> LabelMap:
    """Shrink and enlarge by nearest neighbour."""
    small = _resize_nearest(label, _small_size(label, factor))
    return _resize_nearest(small, (label.shape[0], label.shape[1]))


def _bilinear(label: LabelMap, factor: int) -> LabelMap:
    """Shrink by nearest neighbour; enlarge each class bilinearly, as a net's up-sampling does."""
    small = _resize_nearest(label, _small_size(label, factor))
    return _resize_classes(small, (label.shape[0], label.shape[1]), "bilinear")


def _area(label: LabelMap, factor: int) -> LabelMap:
    """Shrink to the most frequent class of each cell; enlarge by nearest neighbour."""
    small = _resize_classes(label, _small_size(label, factor), "area")
    return _resize_nearest(small, (label.shape[0], label.shape[1]))


def _resize_classes(label: LabelMap, size: tuple[int, int], mode: str) -> LabelMap:
    """Interpolate the mask of each class, and return the class of the largest value; ignored pixels are in no mask."""
    import torch
    from torch.nn import functional

    classes = [int(index) for index in np.unique(label) if index != IGNORE] or [0]
    masks = torch.from_numpy(np.stack([label == index for index in classes]).astype(np.float32))[None]
    corners = {"align_corners": False} if mode == "bilinear" else {}
    resized = functional.interpolate(masks, size, mode=mode, **corners)[0]
    result: LabelMap = np.array(classes, np.uint8)[resized.argmax(0).numpy()]
    return result


INTERPOLATIONS: dict[str, Callable[[LabelMap, int], LabelMap]] = {
    "bilinear": _bilinear,
    "area": _area,
    "nearest": _nearest,
}
"""Ways to shrink and enlarge. The paper does not name its own; the first comes closest (docs/models.md)."""
