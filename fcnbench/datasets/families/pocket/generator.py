"""The generator of the images and label maps of `pocket`.

An image is a crop of a photograph with three to nine objects painted over it. Each object is a shape filled with the
texture of another photograph, tinted by its class. A band along every outline is void, as in PASCAL VOC. All random
numbers are integers from `Draws` and all arithmetic is integer, so that an id gives the same bytes on every platform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.families.pocket import shapes
from fcnbench.datasets.families.pocket.draws import Draws
from fcnbench.datasets.families.pocket.textures import photograph
from fcnbench.labelspace import IGNORE, LabelSpace, voc_palette

POCKET = LabelSpace(
    name="pocket8",
    classes=("background", "disk", "square", "triangle", "ring", "cross", "stick", "star"),
    palette=voc_palette(8),
)
"""Background, six shapes that occur in both splits, and the star, which occurs only in train."""

SEED = "fcnbench pocket v1"
"""Part of the key of all random numbers; another seed gives another dataset."""

_ABSENT_FROM_VAL = "star"
_HEIGHT, _WIDTH = (97, 193), (121, 257)
"""Ranges of the sides in pixels, both ends included; odd and even sizes occur."""

_SCENES = ("astronaut", "camera", "chelsea", "coffee", "coins", "moon", "gravel", "grass")


@dataclass(frozen=True)
class _Appearance:
    """How a class is drawn.

    Attributes:
        shape: function that returns the mask of an object.
        textures: names of photographs.
        tint: colour (R, G, B).
        sizes: smallest and largest size in pixels.
    """

    shape: shapes.Shape
    textures: tuple[str, ...]
    tint: tuple[int, int, int]
    sizes: tuple[int, int]


_APPEARANCES = {
    "disk": _Appearance(shapes.disk, ("gravel", "coffee"), (210, 60, 50), (5, 38)),
    "square": _Appearance(shapes.square, ("brick", "camera"), (60, 150, 70), (8, 42)),
    "triangle": _Appearance(shapes.triangle, ("grass", "chelsea"), (60, 80, 210), (10, 42)),
    "ring": _Appearance(shapes.ring, ("gravel", "coffee"), (210, 90, 50), (12, 42)),
    "cross": _Appearance(shapes.cross, ("brick", "camera"), (90, 160, 60), (12, 38)),
    "stick": _Appearance(shapes.stick, ("moon", "grass"), (230, 210, 60), (8, 32)),
    "star": _Appearance(shapes.star, ("astronaut", "chelsea"), (190, 70, 200), (10, 40)),
}
_OBJECTS = (3, 9)
_TINT_SHARE = (5, 11)
"""Sixteenths of the tint in an object's colour."""
_LIGHT = (10, 20)
"""Sixteenths by which the brightness of an object or a scene is scaled."""


def draw(split: str, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one sample.

    Args:
        split: `train` or `val`.
        index: index of the image in its split, from 0.

    Returns:
        The image, uint8 [H, W, 3] RGB, and its label map, uint8 [H, W], values 0..7 and 255.

    >>> image, label = draw("val", 0)
    >>> image.shape, label.shape
    ((152, 241, 3), (152, 241))
    """
    draws = Draws(f"{SEED}/{split}/{index}")
    height, width = draws.integer(*_HEIGHT), draws.integer(*_WIDTH)
    canvas = shapes.Canvas.of(height, width)
    image = _textured(height, width, draws.choice(_SCENES), draws)
    label = np.zeros((height, width), np.uint8)
    names = [name for name in _APPEARANCES if split == "train" or name != _ABSENT_FROM_VAL]
    for _ in range(draws.integer(*_OBJECTS)):
        name = draws.choice(names)
        appearance = _APPEARANCES[name]
        centre = draws.integer(0, height - 1), draws.integer(0, width - 1)
        mask = appearance.shape(canvas, centre, draws.integer(*appearance.sizes), draws)
        texture = _textured(height, width, draws.choice(appearance.textures), draws)
        share = draws.integer(*_TINT_SHARE)
        tint = np.array(appearance.tint, np.int64)
        painted = (texture.astype(np.int64) * (16 - share) + tint * share) // 16
        image[mask] = painted[mask]
        label[mask] = POCKET.classes.index(name)
    return image, _with_void(label)


def _textured(height: int, width: int, name: str, draws: Draws) -> NDArray[np.uint8]:
    """Return a crop of a photograph, mirrored and scaled in brightness at random; small ones are tiled by mirroring."""
    source = photograph(name)
    if draws.integer(0, 1):
        source = source[:, ::-1]
    rows = _folded(draws.integer(0, source.shape[0] - 1), height, source.shape[0])
    columns = _folded(draws.integer(0, source.shape[1] - 1), width, source.shape[1])
    lit = source[rows][:, columns].astype(np.int64) * draws.integer(*_LIGHT) // 16
    return np.minimum(lit, 255).astype(np.uint8)


def _folded(start: int, length: int, period: int) -> NDArray[np.int64]:
    """Return the indices start, start+1, ..., reflected at both ends of 0..period-1."""
    steps = np.arange(start, start + length, dtype=np.int64) % (2 * period)
    return np.minimum(steps, 2 * period - 1 - steps)


def _with_void(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the label map with a void band along every outline: 1 px on each side, 2 px on background."""
    near = _extremes(label, 1)
    wide = _extremes(label, 2)
    void = (near[0] != near[1]) | ((label == 0) & (wide[0] != wide[1]))
    return np.where(void, np.uint8(IGNORE), label)


def _extremes(label: NDArray[np.uint8], reach: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the smallest and the largest label in the square window of `reach` px around each pixel."""
    low = high = np.pad(label, reach, mode="edge")
    for axis in (0, 1):
        size = label.shape[axis]
        shifts = [np.take(low, range(step, step + size), axis) for step in range(2 * reach + 1)]
        low = np.minimum.reduce(shifts)
        shifts = [np.take(high, range(step, step + size), axis) for step in range(2 * reach + 1)]
        high = np.maximum.reduce(shifts)
    return low, high
