"""Which cells of a padded VGG trunk depend on the image, and which are the same for every image.

The first convolution is padded by 100, so most cells of the early feature maps see nothing but zeros. Far from the
border of the padded image (the canvas) each channel is constant there; near the border it has the value that an
all-zero image gives. Between the cells that depend on the image and those that depend on the border lies a constant
band. The fast path computes only the former; this module says which they are, along one axis, in whole numbers.

After the stages of VGG16 the influence of the image reaches 2, 6, 18, 42 and 90 pixels outwards, and that of the later
convolutions' padding reaches 1, 5, 17, 41 and 89 pixels inwards from the border. The distance between image and border
is 99 pixels. So the two stay apart for four stages, and meet in the fifth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fcnbench.models.fcn.vgg import VGGTrunk


@dataclass(frozen=True)
class Span:
    """The cells of one stage along one axis, by their positions on the whole canvas.

    Attributes:
        before: cells of the stage's input that its convolutions read before the first cell that depends on the image.
        after: cells that they read after the last one.
        start: first cell of the pool's output that depends on the image.
        stop: the cell after the last one that does.
        size: cells of the pool's output on the whole canvas.
        near: cells at the start of the canvas that depend on its padding.
        far: cells at the end of the canvas that depend on its padding, or that the pool fills only partly.
    """

    before: int
    after: int
    start: int
    stop: int
    size: int
    near: int
    far: int


def spans(trunk: VGGTrunk, side: int) -> tuple[Span, ...]:
    """Return the spans of the leading stages in which the image and the border of the canvas do not influence one cell.

    Args:
        trunk: the trunk.
        side: height or width of the image in pixels.

    Raises:
        ValueError: the side is less than one pixel.
    """
    if side < 1:
        raise ValueError(f"an image has at least one pixel, not {side}")
    stages: list[Span] = []
    # In the output of the first convolution the image starts after `pad - 1` cells. Zeros surround the canvas.
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
        stages.append(Span(before, after, start, stop, size, near, far))
    return tuple(stages)


@cache
def banded_stages(trunk: VGGTrunk) -> int:
    """Return how many leading stages have a constant band for images of any size: 4 for VGG16.

    >>> from fcnbench.models.fcn.vgg import VGG16
    >>> banded_stages(VGG16)
    4
    """
    return min(len(spans(trunk, side)) for side in range(1, 1 + 2 ** len(trunk.depths)))


@cache
def small_canvas(trunk: VGGTrunk, side: int) -> int:
    """Return the side of the smallest canvas that has the same borders as that of an image with this side.

    At least one constant cell separates its borders. The canvas is shrunk by a multiple of the last banded stage's
    stride, so that the pooling windows stay aligned.
    """
    stages = banded_stages(trunk)
    stride: int = 2**stages
    canvas = side + 2 * (trunk.pad - 1)
    last = spans(trunk, side)[stages - 1]
    spare = last.size - last.near - last.far - 1
    return canvas - spare * stride


def representative_cells(span: Span, size: int) -> list[int]:
    """Return the positions of the border cells, and of one constant cell between them, on a smaller canvas.

    Args:
        span: the stage.
        size: cells of the pool's output on the smaller canvas, which has the same borders.
    """
    return [*range(span.near + 1), *range(size - span.far, size)]


def representatives_of(span: Span, start: int, stop: int) -> list[int]:
    """Return, for cells `start` to `stop` of the whole canvas, which of `representative_cells` has the same values.

    >>> representatives_of(Span(0, 0, 0, 0, size=8, near=1, far=2), 0, 8)
    [0, 1, 1, 1, 1, 1, 2, 3]
    """
    near, far = span.near, span.size - span.far
    return [min(cell, near) if cell < far else near + 1 + cell - far for cell in range(start, stop)]
