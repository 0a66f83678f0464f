"""The interface between an FCN and its trunk: the convolutional layers below the score layers.

A trunk has no layers of its own. It adds them to the FCN, so that the keys of the FCN's state dict are plain Caffe
layer names such as `conv1_1.weight`, and looks them up by name in the forward pass. One trunk object describes the
architecture; an FCN with two inputs has the trunk's layers twice, once per `Stream`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.geometry import Grid

_DROPOUT = 0.5
"""Dropout rate after fc6 and fc7, as in VGG16 and CaffeNet."""


@dataclass(frozen=True)
class Stream:
    """One input of a network, such as colour or HHA, with its own copy of the trunk's layers.

    The names of the layers are those of the reference nets. Its late-fusion net has the streams `color` and `hha`, with
    the layers `conv1_1color` and `conv1_1hha`. Its early-fusion net calls the first layer `conv1_1_bgrd`, because that
    takes four channels, and weights for three, which are called `conv1_1`, do not fit.

    Attributes:
        suffix: appended to the names of the stream's layers; empty in a network with one stream.
        channels: number of input channels.
        first_layer: name of the first convolution, without the suffix; empty for the usual name.
    """

    suffix: str = ""
    channels: int = 3
    first_layer: str = ""

    def add(self, net: nn.Module, name: str, layer: nn.Module) -> None:
        """Add a layer to a network under its name with the stream's suffix."""
        net.add_module(name + self.suffix, layer)

    def layer(self, net: nn.Module, name: str) -> nn.Module:
        """Return the stream's layer with this name."""
        return net.get_submodule(name + self.suffix)


class Trunk(ABC):
    """The architecture of all layers below the score layers."""

    @abstractmethod
    def add_layers(self, net: nn.Module, stream: Stream) -> None:
        """Add the layers of one stream to a network."""

    @abstractmethod
    def forward(self, net: nn.Module, x: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Run the layers of one stream.

        Args:
            net: the network with the layers.
            x: the stream's input [N, channels, H, W].
            stream: whose layers to run.

        Returns:
            The outputs of the pools by number (1, 2, ...), and the output of the last layer.
        """

    @abstractmethod
    def pool_grid(self, pool: int) -> Grid:
        """Return the grid of a pool's output."""

    @property
    @abstractmethod
    def score_grid(self) -> Grid:
        """Grid of the coarsest score layer."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Output channels of the last layer."""

    @abstractmethod
    def pool_channels(self, pool: int) -> int:
        """Return the number of output channels of a pool."""

    @abstractmethod
    def upsampling_kernel(self, stride: int) -> int:
        """Return the kernel side of the last up-sampling layer, which up-samples by `stride`."""

    @property
    @abstractmethod
    def learned_layers(self) -> int:
        """Number of learned layers from the image to the score layer, inclusive (CVPR 2015, Table 1)."""


class FullyConnectedTrunk(Trunk):
    """A trunk that ends in the classifier's fully connected layers fc6 and fc7, as convolutions.

    Attributes:
        widths: output channels of the stages, of which the last is the input of fc6.
        fc_kernel: kernel side of fc6, the side of the classifier's last feature map; fc6 is not padded.
        fc_width: output channels of fc6 and of fc7.
    """

    widths: tuple[int, ...]
    fc_kernel: int
    fc_width: int

    @property
    def score_grid(self) -> Grid:
        """Grid of fc6, fc7 and the coarsest score layer."""
        return self.pool_grid(len(self.widths)).windowed(self.fc_kernel)

    @property
    def channels(self) -> int:
        """Output channels of fc7."""
        return self.fc_width

    def pool_channels(self, pool: int) -> int:
        """Return the number of output channels of a pool."""
        return self.widths[pool - 1]

    def add_fully_connected(self, net: nn.Module, stream: Stream) -> None:
        """Add fc6 and fc7 to a network."""
        stream.add(net, "fc6", nn.Conv2d(self.widths[-1], self.fc_width, self.fc_kernel))
        stream.add(net, "fc7", nn.Conv2d(self.fc_width, self.fc_width, 1))

    def forward_fully_connected(self, net: nn.Module, x: Tensor, stream: Stream) -> Tensor:
        """Run fc6 and fc7, with ReLU and dropout after each."""
        for name in ("fc6", "fc7"):
            x = torch.relu_(stream.layer(net, name)(x))
            x = functional.dropout(x, _DROPOUT, net.training)
        return x


def local_response_norm(x: Tensor) -> Tensor:
    """Normalise over five neighbouring channels as CaffeNet and GoogLeNet do.

    Each value is divided by (1 + 1e-4 / 5 * sum of squares)^0.75.
    """
    return functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
