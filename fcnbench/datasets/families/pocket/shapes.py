"""Shapes as boolean masks, in integer arithmetic: without rounding, so that all platforms agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.families.pocket.draws import Draws

Mask = NDArray[np.bool_]
Point = tuple[int, int]
"""(row, column) in pixels."""

_COMPASS: tuple[Point, ...] = (
    (0, 64), (17, 62), (32, 55), (45, 45), (55, 32), (62, 17), (64, 0), (62, -17), (55, -32), (45, -45), (32, -55),
    (17, -62), (0, -64), (-17, -62), (-32, -55), (-45, -45), (-55, -32), (-62, -17), (-64, 0), (-62, 17), (-55, 32),
    (-45, 45), (-32, 55), (-17, 62),
)  # fmt: skip
"""24 directions as integer vectors of length 64 (to half a unit): a table of angles without sine and cosine."""

_UNIT = 64
"""Length of the compass vectors."""


@dataclass(frozen=True)
class Canvas:
    """Row and column indices of the pixels of an image."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, height: int, width: int) -> Canvas:
        """Return the canvas of a size in pixels."""
        rows, columns = np.mgrid[:height, :width].astype(np.int64)
        return cls(rows, columns)


def disk(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return a filled circle of radius `size`."""
    return _square_distance(canvas, centre) <= size * size


def ring(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return a ring of outer radius `size`, a third of it thick, at least 5 px."""
    inner = max(size - max(size // 3, 5), 0)
    distance = _square_distance(canvas, centre)
    return (distance <= size * size) & (distance > inner * inner)


def square(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return a rotated square with corners at distance `size` from its centre."""
    return _regular(canvas, centre, size, corners=4, draws=draws)


def triangle(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return a rotated equilateral triangle with corners at distance `size` from its centre."""
    return _regular(canvas, centre, size, corners=3, draws=draws)


def cross(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return two bars at a right angle, 2 `size` long and 2/3 `size` wide."""
    turn = draws.integer(0, len(_COMPASS) - 1)
    half = max(size // 3, 3)
    return _bar(canvas, centre, turn, size, half) | _bar(canvas, centre, turn + 6, size, half)


def stick(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return a thin bar, 4 `size` long and 5 to 9 px wide."""
    return _bar(canvas, centre, draws.integer(0, len(_COMPASS) - 1), 2 * size, draws.integer(2, 4))


def star(canvas: Canvas, centre: Point, size: int, draws: Draws) -> Mask:
    """Return two opposite triangles with corners at distance `size` from their common centre."""
    turn = draws.integer(0, len(_COMPASS) - 1)
    return _polygon(canvas, centre, size, [turn, turn + 8, turn + 16]) | _polygon(
        canvas, centre, size, [turn + 4, turn + 12, turn + 20]
    )


Shape = Callable[[Canvas, Point, int, Draws], Mask]


def _square_distance(canvas: Canvas, centre: Point) -> NDArray[np.int64]:
    down, right = canvas.rows - centre[0], canvas.columns - centre[1]
    return down * down + right * right


def _regular(canvas: Canvas, centre: Point, size: int, corners: int, draws: Draws) -> Mask:
    turn = draws.integer(0, len(_COMPASS) - 1)
    return _polygon(canvas, centre, size, [turn + corner * len(_COMPASS) // corners for corner in range(corners)])


def _polygon(canvas: Canvas, centre: Point, size: int, directions: list[int]) -> Mask:
    """Return a convex polygon with corners at distance `size` from the centre, in compass order."""
    corners = [_COMPASS[direction % len(_COMPASS)] for direction in directions]
    # All coordinates are scaled by _UNIT, so that the corners are integers.
    down = (canvas.rows - centre[0]) * _UNIT
    right = (canvas.columns - centre[1]) * _UNIT
    mask = np.ones(canvas.rows.shape, bool)
    for (row, column), (next_row, next_column) in zip(corners, corners[1:] + corners[:1], strict=True):
        edge_down, edge_right = (next_row - row) * size, (next_column - column) * size
        mask &= edge_down * (right - column * size) - edge_right * (down - row * size) <= 0
    return mask


def _bar(canvas: Canvas, centre: Point, direction: int, half_length: int, half_width: int) -> Mask:
    """Return a bar along a compass direction."""
    row, column = _COMPASS[direction % len(_COMPASS)]
    down, right = canvas.rows - centre[0], canvas.columns - centre[1]
    along = down * row + right * column
    across = down * column - right * row
    return (abs(along) <= half_length * _UNIT) & (abs(across) <= half_width * _UNIT)
