"""Where an output cell of a network looks at the picture; from that, the papers' crop offsets.

Along one axis, cell i of a layer's output is centred at `stride * i + start` in picture pixels. Convolutions, pools and
transposed convolutions each map that pair to the next; sizes are not needed. Exact fractions, since pools put centres
between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fcnbench.errors import ModelError


@dataclass(frozen=True)
class Grid:
    """Centres of a layer's cells along one axis: cell i lies at `stride * i + start` in picture pixels.

    Attributes:
        stride: picture pixels between neighbouring cells.
        start: picture coordinate of cell 0's centre; pixel 0's centre is 0.
        field: side of the receptive field of a cell, in picture pixels.
    """

    stride: Fraction = Fraction(1)
    start: Fraction = Fraction(0)
    field: Fraction = Fraction(1)

    def windowed(self, kernel: int, stride: int = 1, pad: int = 0) -> Grid:
        """The grid after a convolution or pool of this kernel, stride and padding."""
        centre = Fraction(kernel - 1, 2) - pad
        field = self.field + (kernel - 1) * self.stride
        return Grid(self.stride * stride, self.start + self.stride * centre, field)

    def upsampled(self, kernel: int, stride: int) -> Grid:
        """The grid after a transposed convolution of this kernel and stride, without padding."""
        finer = self.stride / stride
        return Grid(finer, self.start - finer * Fraction(kernel - 1, 2), self.field)

    def crop_onto(self, other: Grid) -> int:
        """How many leading cells to drop so that cell 0 lies where the other grid's cell 0 lies.

        Raises:
            ModelError: the strides differ, or the grids do not fall onto each other.
        """
        offset = (other.start - self.start) / self.stride
        if self.stride != other.stride or offset.denominator != 1 or offset < 0:
            raise ModelError(f"{self} can't be cropped onto {other}: the cells do not fall onto each other")
        return int(offset)


PICTURE = Grid()
"""The picture's own grid: cell i is pixel i."""
