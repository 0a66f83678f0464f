"""The trunk of VGG16 (Simonyan and Zisserman, ICLR 2015) with fc6 and fc7 as convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.convolution import ConvReLU, call_conv_relu
from fcnbench.models.fcn.geometry import IMAGE, Grid
from fcnbench.models.fcn.trunk import FullyConnectedTrunk, Stream


@dataclass(frozen=True)
class VGGTrunk(FullyConnectedTrunk):
    """Five stages of 3x3 convolutions, each followed by a 2x2 pool that rounds sizes up, then fc6 and fc7.

    Attributes:
        widths: output channels of the convolutions of each stage.
        depths: number of convolutions in each stage.
        fc_kernel: kernel side of fc6.
        fc_width: output channels of fc6 and fc7.
        pad: padding of the first convolution; all others are padded by 1.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    fc_kernel: int
    fc_width: int
    pad: int

    def add_layers(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1_1` ... `conv5_3`, `fc6` and `fc7`."""
        channels = stream.channels
        for stage, width in enumerate(self.widths, start=1):
            for number, name in enumerate(self.layer_names(stage, stream), start=1):
                layer = nn.Conv2d(channels, width, 3, padding=self._padding(stage, number))
                net.add_module(name, layer)
                channels = width
        self.add_fully_connected(net, stream)

    def forward(self, net: nn.Module, x: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Return the outputs of the five pools and of fc7."""
        pools: dict[int, Tensor] = {}
        for stage in range(1, 1 + len(self.depths)):
            x = pools[stage] = self.forward_stage(net, x, stream, stage)
        return pools, self.forward_fully_connected(net, x, stream)

    def forward_stage(
        self,
        net: nn.Module,
        x: Tensor,
        stream: Stream,
        stage: int,
        *,
        first_padding: int = 1,
        padding: int = 1,
        conv_relu: ConvReLU = call_conv_relu,
    ) -> Tensor:
        """Run the convolutions of one stage, each with its ReLU, and the pool.

        Args:
            net: the network with the layers.
            x: input of the stage [N, channels, h, w].
            stream: whose layers to run.
            stage: 1 for the first stage.
            first_padding: padding of the stage's first convolution, passed to `conv_relu`.
            padding: padding of its other convolutions, passed to `conv_relu`.
            conv_relu: computes a convolution and its ReLU; by default the layer is called, with its own padding and
                its hooks.
        """
        for name in self.layer_names(stage, stream):
            layer = cast(nn.Conv2d, net.get_submodule(name))
            x = conv_relu(layer, x, first_padding)
            first_padding = padding
        return functional.max_pool2d(x, 2, 2, ceil_mode=True)

    def pool_grid(self, pool: int) -> Grid:
        """Return the grid of pool 1 to 5."""
        grid = IMAGE
        for stage in range(1, pool + 1):
            for number in range(1, self.depths[stage - 1] + 1):
                grid = grid.windowed(3, pad=self._padding(stage, number))
            grid = grid.windowed(2, stride=2)
        return grid

    def upsampling_kernel(self, stride: int) -> int:
        """Return the kernel side of the last up-sampling layer: 64, 32 and 16 in the reference nets."""
        return 2 * stride

    @property
    def learned_layers(self) -> int:
        """Number of learned layers with the score layer: 16 for VGG16."""
        return sum(self.depths) + 3

    def layer_names(self, stage: int, stream: Stream) -> list[str]:
        """Return the full names of a stage's convolutions in order.

        >>> VGG16.layer_names(1, Stream("color"))
        ['conv1_1color', 'conv1_2color']
        """
        names = [f"conv{stage}_{number}" for number in range(1, self.depths[stage - 1] + 1)]
        if stage == 1 and stream.first_layer:
            names[0] = stream.first_layer
        return [name + stream.suffix for name in names]

    def _padding(self, stage: int, number: int) -> int:
        return self.pad if (stage, number) == (1, 1) else 1


VGG16 = VGGTrunk(widths=(64, 128, 256, 512, 512), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4096, pad=100)
"""The main trunk of the FCN papers."""
