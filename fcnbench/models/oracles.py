"""Oracles: no weights, no pictures; they answer from the truth. Upper and lower bounds for real models.

`oracle-perfect` repeats the truth, `oracle-constant:K` says class K everywhere, and `oracle-downsample:F` shrinks the
truth by F and blows it up again: the best that a net of output stride F could do (CVPR 2015, Appendix A).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import ModelError, UsageError
from fcnbench.labelspace import IGNORE
from fcnbench.models.names import whole_number

Labels = NDArray[np.uint8]


class Oracle:
    """A model that answers from the truth.

    Args:
        name: what it does, in a word.
        answer: from a truth, uint8 [H, W] with 255 for ignored pixels, to a prediction uint8 [H, W].
    """

    modalities: tuple[str, ...] = ()

    def __init__(self, name: str, answer: Callable[[Labels], Labels]) -> None:
        self.preprocessing = name
        self._answer = answer

    def prepare(self, *pictures: object) -> NoReturn:
        """An oracle takes no pictures.

        Raises:
            ModelError: always.
        """
        raise ModelError("an oracle answers from the truth and takes no pictures", "call answer(truth)")

    def logits(self, batch: object) -> NoReturn:
        """An oracle has no logits.

        Raises:
            ModelError: always.
        """
        raise ModelError("an oracle answers from the truth and has no logits", "call answer(truth)")

    def answer(self, truth: Labels) -> Labels:
        """The prediction for a truth; what it says of ignored pixels does not count."""
        found = self._answer(truth)
        return np.where(found == IGNORE, 0, found).astype(np.uint8)


def perfect() -> Oracle:
    """Repeats the truth."""
    return Oracle("the truth", lambda truth: truth)


def constant(argument: str = "0") -> Oracle:
    """Says one class everywhere.

    Raises:
        UsageError: the argument is no class index.
    """
    index = whole_number(argument, "oracle-constant")
    return Oracle(f"class {index}", lambda truth: np.full_like(truth, index))


def downsample(argument: str) -> Oracle:
    """Shrinks the truth by a factor and blows it up again, by one of `INTERPOLATIONS`: `32`, or `32:nearest`.

    Raises:
        UsageError: the argument is no factor, or names no interpolation.
    """
    text, _, method = argument.partition(":")
    factor = whole_number(text, "oracle-downsample")
    method = method or next(iter(INTERPOLATIONS))
    if method not in INTERPOLATIONS:
        raise UsageError(f"oracle-downsample knows no {method!r}", f"choose one of {', '.join(INTERPOLATIONS)}")
    return Oracle(f"by {factor}, {method}", lambda truth: INTERPOLATIONS[method](truth, factor))


def _sides(truth: Labels, factor: int) -> tuple[int, int]:
    """Height and width after shrinking: rounded, and never 0."""
    height, width = truth.shape
    return max(1, round(height / factor)), max(1, round(width / factor))


def _nearest_places(side: int, taken_from: int) -> NDArray[np.int64]:
    """For each of `side` cells, which of `taken_from` cells over the same length lies under its centre."""
    return ((np.arange(side) + 0.5) * taken_from / side).astype(np.int64)


def _resized(values: Labels, sides: tuple[int, int]) -> Labels:
    """Nearest neighbour to another height and width."""
    rows, columns = (_nearest_places(side, old) for side, old in zip(sides, values.shape, strict=True))
    return values[np.ix_(rows, columns)]


def _nearest(truth: Labels, factor: int) -> Labels:
    """Nearest neighbour down, and up."""
    return _resized(_resized(truth, _sides(truth, factor)), (truth.shape[0], truth.shape[1]))


def _bilinear(truth: Labels, factor: int) -> Labels:
    """Nearest neighbour down; up bilinearly, class by class, as a net's up-sampling does, then the largest."""
    small = _resized(truth, _sides(truth, factor))
    return _largest(small, (truth.shape[0], truth.shape[1]), "bilinear")


def _area(truth: Labels, factor: int) -> Labels:
    """The commonest class of each cell; up by nearest neighbour."""
    return _resized(_largest(truth, _sides(truth, factor), "area"), (truth.shape[0], truth.shape[1]))


def _largest(values: Labels, sides: tuple[int, int], mode: str) -> Labels:
    """Every class interpolated by itself, then the largest at each place; ignored pixels speak for none."""
    import torch
    from torch.nn import functional

    classes = [int(index) for index in np.unique(values) if index != IGNORE] or [0]
    planes = torch.from_numpy(np.stack([values == index for index in classes]).astype(np.float32))[None]
    corners = {"align_corners": False} if mode == "bilinear" else {}
    found = functional.interpolate(planes, sides, mode=mode, **corners)
    table: Labels = np.array(classes, np.uint8)
    answer: Labels = table[found[0].argmax(0).numpy()]
    return answer


INTERPOLATIONS: dict[str, Callable[[Labels, int], Labels]] = {
    "bilinear": _bilinear,
    "area": _area,
    "nearest": _nearest,
}
"""Ways to shrink and blow up. The paper does not say which is its own; the first comes closest, docs/models.md."""
