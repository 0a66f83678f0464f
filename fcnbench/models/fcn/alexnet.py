"""The trunk of CaffeNet, Caffe's variant of AlexNet (Krizhevsky et al., NIPS 2012), with fc6 and fc7 as convolutions.

CaffeNet pools before it normalises; AlexNet does the opposite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.geometry import IMAGE, Grid
from fcnbench.models.fcn.trunk import FullyConnectedTrunk, Stream, local_response_norm


class _Convolution(NamedTuple):
    """One convolution, and whether a 3x3 pool of stride 2 and a normalisation follow its ReLU."""

    kernel: int
    stride: int = 1
    padding: int = 1
    groups: int = 1
    pooled: bool = False
    normalised: bool = False


_CONVOLUTIONS = (
    _Convolution(kernel=11, stride=4, padding=100, pooled=True, normalised=True),
    _Convolution(kernel=5, padding=2, groups=2, pooled=True, normalised=True),
    _Convolution(kernel=3),
    _Convolution(kernel=3, groups=2),
    _Convolution(kernel=3, groups=2, pooled=True),
)
"""`conv1` ... `conv5` of the reference's voc-fcn-alexnet."""


@dataclass(frozen=True)
class AlexNetTrunk(FullyConnectedTrunk):
    """Five convolutions, three of them in two groups, then fc6 and fc7.

    Attributes:
        widths: output channels of the five convolutions.
        fc_width: output channels of fc6 and fc7.
        fc_kernel: kernel side of fc6.
    """

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    fc_width: int = 4096
    fc_kernel: int = 6

    def add_layers(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1` ... `conv5`, `fc6` and `fc7`."""
        channels = stream.channels
        for number, (width, row) in enumerate(zip(self.widths, _CONVOLUTIONS, strict=True), start=1):
            layer = nn.Conv2d(channels, width, row.kernel, row.stride, row.padding, groups=row.groups)
            stream.add(net, f"conv{number}", layer)
            channels = width
        self.add_fully_connected(net, stream)

    def forward(self, net: nn.Module, x: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Return the outputs of pools 1, 2 and 5 and of fc7."""
        pools: dict[int, Tensor] = {}
        for number, row in enumerate(_CONVOLUTIONS, start=1):
            x = torch.relu_(stream.layer(net, f"conv{number}")(x))
            if row.pooled:
                x = pools[number] = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            if row.normalised:
                x = local_response_norm(x)
        return pools, self.forward_fully_connected(net, x, stream)

    def pool_grid(self, pool: int) -> Grid:
        """Return the grid of pool 1, 2 or 5."""
        grid = IMAGE
        for row in _CONVOLUTIONS[:pool]:
            grid = grid.windowed(row.kernel, row.stride, row.padding)
            if row.pooled:
                grid = grid.windowed(3, stride=2)
        return grid

    def upsampling_kernel(self, stride: int) -> int:
        """Return the kernel side of the last up-sampling layer: 63 in the reference net."""
        return 2 * stride - 1

    @property
    def learned_layers(self) -> int:
        """Number of learned layers with the score layer: 8."""
        return len(self.widths) + 3


ALEXNET = AlexNetTrunk()
"""The trunk of FCN-AlexNet."""
