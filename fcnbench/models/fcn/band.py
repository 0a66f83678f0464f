"""Which cells of a padded VGG trunk depend on the picture at all.

The first convolution is padded by 100, so most of the early activations look at nothing but zeros: away from the
canvas's edge they are one constant per channel, and near it they are what an empty picture gives. Only the cells within
the layers' reach of the picture have to be computed; this module says which ones, in whole numbers, per axis.

Outwards from the picture the influence reaches 2, 6, 18, 42, 90 pixels after the stages of VGG16; inwards from the
canvas's edge the padding of the later convolutions reaches 1, 5, 17, 41, 89. With 99 pixels between picture and edge
the picture's cells keep clear of the edge for four stages, and not for the fifth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fcnbench.models.fcn.trunks import VggTrunk


@dataclass(frozen=True)
class Span:
    """The cells of one stage along one axis; the canvas is what the network computes without this shortcut.

    Attributes:
        before: cells of the stage's input that its convolutions need before the picture's cells.
        after: the same behind them.
        start: first cell of the pool's output that depends on the picture.
        stop: the cell behind the last one.
        size: cells of the pool's output on the whole canvas.
        near: cells at the canvas's start that its padding reaches.
        far: the same at its end, with the cell that the pool fills only in part.
    """

    before: int
    after: int
    start: int
    stop: int
    size: int
    near: int
    far: int


def spans(trunk: VggTrunk, side: int) -> tuple[Span, ...]:
    """The stages of an axis of so many picture pixels, for as long as picture and canvas edge keep clear of each other.

    Raises:
        ValueError: the axis has no pixel.
    """
    if side < 1:
        raise ValueError(f"a picture has at least one pixel, not {side}")
    found: list[Span] = []
    # In the first convolution's output the picture begins `pad - 1` cells in; the zeros around it go on for ever.
    start, stop, size = trunk.pad - 1, trunk.pad - 1 + side, side + 2 * (trunk.pad - 1)
    near = far = -1
    for stage, depth in enumerate(trunk.depths):
        pooled_start, pooled_stop = (start - depth) // 2, -(-(stop + depth) // 2)
        before, after = start - (2 * pooled_start - depth), 2 * pooled_stop + depth - stop
        outside = start - before < 0 or stop + after > size
        if stage and outside:
            break
        pooled_near, pooled_size = -(-(near + depth) // 2), -(-size // 2)
        pooled_far = pooled_size - (size - far - depth) // 2
        start, stop, size, near, far = pooled_start, pooled_stop, pooled_size, pooled_near, pooled_far
        if start < 0 or stop > size:
            break
        found.append(Span(before, after, start, stop, size, near, far))
    return tuple(found)


@cache
def banded_stages(trunk: VggTrunk) -> int:
    """How many leading stages can be computed on the picture's cells alone, whatever its size: 4 for VGG16."""
    return min(len(spans(trunk, side)) for side in range(1, 1 + 2 ** len(trunk.depths)))


@cache
def empty_canvas(trunk: VggTrunk, side: int) -> int:
    """Side of the smallest canvas whose edges look like those of a picture of this side, with a constant cell between.

    It is as much smaller as a multiple of the last banded stage's stride, so that every pool cuts it alike.
    """
    stages = banded_stages(trunk)
    stride: int = 2**stages
    canvas = side + 2 * (trunk.pad - 1)
    last = spans(trunk, side)[stages - 1]
    spare = last.size - last.near - last.far - 1
    return canvas - spare * stride


def folded(span: Span, size: int) -> list[int]:
    """Of a smaller canvas with so many cells and the same edges: its edges' cells, and one constant cell between."""
    return [*range(span.near + 1), *range(size - span.far, size)]


def unfolded(span: Span, start: int, stop: int) -> list[int]:
    """For the cells `start` to `stop` of the whole canvas, which of the `folded` ones look the same."""
    near, far = span.near, span.size - span.far
    return [min(cell, near) if cell < far else near + 1 + cell - far for cell in range(start, stop)]
