"""The trunk of GoogLeNet (Szegedy et al., CVPR 2015), without its classifiers and its final average pooling.

That is what section 4.1 of the FCN paper describes; no definition was ever published. Layer names and order are those
of Caffe's bvlc_googlenet. The first convolution is padded by 100 as in the papers' other nets, so that an image of any
size has at least one score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.geometry import IMAGE, Grid
from fcnbench.models.fcn.trunk import Stream, Trunk, local_response_norm

_PAD = 100
"""Padding of the first convolution."""

_DROPOUT = 0.4
"""Dropout rate after the last inception module."""

_POOL_AFTER = ("3b", "4e")
"""Inception modules that are followed by pools 3 and 4."""


@dataclass(frozen=True)
class Inception:
    """Channels of an inception module: four branches whose outputs are concatenated.

    Attributes:
        name: `3a` ... `5b`.
        conv1x1: output channels of the 1x1 branch.
        conv3x3: channels of the 1x1 reduction and of the 3x3 convolution.
        conv5x5: channels of the 1x1 reduction and of the 5x5 convolution.
        pool_proj: output channels of the 1x1 convolution after a 3x3 pool of stride 1.
    """

    name: str
    conv1x1: int
    conv3x3: tuple[int, int]
    conv5x5: tuple[int, int]
    pool_proj: int

    @property
    def channels(self) -> int:
        """Output channels of the module."""
        return self.conv1x1 + self.conv3x3[1] + self.conv5x5[1] + self.pool_proj

    @property
    def prefix(self) -> str:
        """What the names of the module's layers start with."""
        return f"inception_{self.name}"

    def add_layers(self, net: nn.Module, channels: int, stream: Stream) -> None:
        """Add the module's six convolutions, whose input has `channels` channels."""
        reduce3, conv3 = self.conv3x3
        reduce5, conv5 = self.conv5x5
        stream.add(net, f"{self.prefix}/1x1", nn.Conv2d(channels, self.conv1x1, 1))
        stream.add(net, f"{self.prefix}/3x3_reduce", nn.Conv2d(channels, reduce3, 1))
        stream.add(net, f"{self.prefix}/3x3", nn.Conv2d(reduce3, conv3, 3, padding=1))
        stream.add(net, f"{self.prefix}/5x5_reduce", nn.Conv2d(channels, reduce5, 1))
        stream.add(net, f"{self.prefix}/5x5", nn.Conv2d(reduce5, conv5, 5, padding=2))
        stream.add(net, f"{self.prefix}/pool_proj", nn.Conv2d(channels, self.pool_proj, 1))

    def forward(self, net: nn.Module, x: Tensor, stream: Stream) -> Tensor:
        """Run the four branches and concatenate their outputs."""
        branches = (
            _conv_relu(net, f"{self.prefix}/1x1", x, stream),
            self._reduced(net, "3x3", x, stream),
            self._reduced(net, "5x5", x, stream),
            _conv_relu(net, f"{self.prefix}/pool_proj", functional.max_pool2d(x, 3, 1, padding=1), stream),
        )
        return torch.cat(branches, 1)

    def _reduced(self, net: nn.Module, kernel: str, x: Tensor, stream: Stream) -> Tensor:
        """Run a 1x1 reduction and the 3x3 or 5x5 convolution after it."""
        reduced = _conv_relu(net, f"{self.prefix}/{kernel}_reduce", x, stream)
        return _conv_relu(net, f"{self.prefix}/{kernel}", reduced, stream)


_INCEPTIONS = (
    Inception("3a", 64, (96, 128), (16, 32), 32),
    Inception("3b", 128, (128, 192), (32, 96), 64),
    Inception("4a", 192, (96, 208), (16, 48), 64),
    Inception("4b", 160, (112, 224), (24, 64), 64),
    Inception("4c", 128, (128, 256), (24, 64), 64),
    Inception("4d", 112, (144, 288), (32, 64), 64),
    Inception("4e", 256, (160, 320), (32, 128), 128),
    Inception("5a", 256, (160, 320), (32, 128), 128),
    Inception("5b", 384, (192, 384), (48, 128), 128),
)
"""The nine inception modules of GoogLeNet (Szegedy et al., CVPR 2015, Table 1)."""


@dataclass(frozen=True)
class GoogLeNetTrunk(Trunk):
    """Two convolutions with pools and normalisation, then nine inception modules.

    Attributes:
        inceptions: the inception modules.
        stem: output channels of the first convolution, of the second one's 1x1 reduction, and of the second one.
    """

    inceptions: tuple[Inception, ...] = _INCEPTIONS
    stem: tuple[int, int, int] = (64, 64, 192)

    def add_layers(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1/7x7_s2` ... `inception_5b/pool_proj`."""
        conv1, reduce2, conv2 = self.stem
        stream.add(net, "conv1/7x7_s2", nn.Conv2d(stream.channels, conv1, 7, 2, _PAD))
        stream.add(net, "conv2/3x3_reduce", nn.Conv2d(conv1, reduce2, 1))
        stream.add(net, "conv2/3x3", nn.Conv2d(reduce2, conv2, 3, padding=1))
        channels = conv2
        for module in self.inceptions:
            module.add_layers(net, channels, stream)
            channels = module.channels

    def forward(self, net: nn.Module, x: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Return the outputs of pools 1 to 4 and of the last inception module."""
        pools: dict[int, Tensor] = {}
        x = pools[1] = _pool(_conv_relu(net, "conv1/7x7_s2", x, stream))
        x = _conv_relu(net, "conv2/3x3_reduce", local_response_norm(x), stream)
        x = _conv_relu(net, "conv2/3x3", x, stream)
        x = pools[2] = _pool(local_response_norm(x))
        for module in self.inceptions:
            x = module.forward(net, x, stream)
            if module.name in _POOL_AFTER:
                x = pools[len(pools) + 1] = _pool(x)
        return pools, functional.dropout(x, _DROPOUT, net.training)

    def pool_grid(self, pool: int) -> Grid:
        """Return the grid of pool 1 to 4."""
        grid = IMAGE.windowed(7, 2, _PAD).windowed(3, stride=2)
        if pool == 1:
            return grid
        grid = grid.windowed(3, pad=1).windowed(3, stride=2)
        pools = 2
        for module in self.inceptions:
            if pools == pool:
                break
            grid = grid.windowed(5, pad=2)
            if module.name in _POOL_AFTER:
                grid, pools = grid.windowed(3, stride=2), pools + 1
        return grid

    @property
    def score_grid(self) -> Grid:
        """Grid of the score layer: two inception modules after pool 4."""
        return self.pool_grid(4).windowed(5, pad=2).windowed(5, pad=2)

    @property
    def channels(self) -> int:
        """Output channels of the last inception module."""
        return self.inceptions[-1].channels

    def pool_channels(self, pool: int) -> int:
        """Return the number of output channels of a pool."""
        conv1, _, conv2 = self.stem
        modules = {module.name: module.channels for module in self.inceptions}
        return (conv1, conv2, *(modules[name] for name in _POOL_AFTER))[pool - 1]

    def upsampling_kernel(self, stride: int) -> int:
        """Return the kernel side of the last up-sampling layer: 63, with which its crop offset is a whole number."""
        return 2 * stride - 1

    @property
    def learned_layers(self) -> int:
        """Number of learned layers: three in the stem, two in each inception module, and the score layer."""
        return 3 + 2 * len(self.inceptions) + 1


def _conv_relu(net: nn.Module, name: str, x: Tensor, stream: Stream) -> Tensor:
    return torch.relu_(stream.layer(net, name)(x))


def _pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)


GOOGLENET = GoogLeNetTrunk()
"""The trunk of FCN-GoogLeNet."""
