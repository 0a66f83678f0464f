"""The position of every cell of a feature map in the image, and the crop offsets that follow from it.

Along one axis, cell i of a layer's output is centred at `stride * i + start`, in image pixels. Convolutions, pools and
transposed convolutions each map this pair to the next one, whatever the size of the image. The numbers are exact
fractions, because pools put centres between pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fcnbench.errors import ModelError


@dataclass(frozen=True)
class Grid:
    """Centres of a layer's cells along one axis: cell i is centred at `stride * i + start`.

    Attributes:
        stride: distance between neighbouring cells, in image pixels.
        start: coordinate of the centre of cell 0, in image pixels; the centre of pixel 0 is 0.
        field: side of a cell's receptive field, in image pixels.

    >>> IMAGE.windowed(3, pad=1).windowed(2, stride=2)
    Grid(stride=Fraction(2, 1), start=Fraction(1, 2), field=Fraction(4, 1))
    """

    stride: Fraction = Fraction(1)
    start: Fraction = Fraction(0)
    field: Fraction = Fraction(1)

    def windowed(self, kernel: int, stride: int = 1, pad: int = 0) -> Grid:
        """Return the grid after a convolution or pool with this kernel, stride and padding."""
        centre = Fraction(kernel - 1, 2) - pad
        field = self.field + (kernel - 1) * self.stride
        return Grid(self.stride * stride, self.start + self.stride * centre, field)

    def upsampled(self, kernel: int, stride: int) -> Grid:
        """Return the grid after a transposed convolution with this kernel and stride, without padding."""
        finer = self.stride / stride
        return Grid(finer, self.start - finer * Fraction(kernel - 1, 2), self.field)

    def crop_onto(self, other: Grid) -> int:
        """Return how many leading cells to crop so that cell 0 coincides with cell 0 of another grid.

        Raises:
            ModelError: the strides differ, or the cells of the two grids do not coincide.

        >>> IMAGE.windowed(3, pad=3).crop_onto(IMAGE)
        2
        """
        offset = (other.start - self.start) / self.stride
        if self.stride != other.stride or offset.denominator != 1 or offset < 0:
            raise ModelError(f"{self} can't be cropped onto {other}: their cells do not coincide")
        return int(offset)


IMAGE = Grid()
"""The grid of the image itself: cell i is pixel i."""
