"""The convolutional trunks of the papers' nets: VGG16, CaffeNet (AlexNet) and GoogLeNet, as fully convolutional layers.

A trunk adds its layers to a network under their Caffe names and runs them; where its cells lie in the picture follows
from the layers' kernels, strides and paddings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.geometry import PICTURE, Grid

Convolve = Callable[[nn.Conv2d, Tensor, int], Tensor]
"""From a layer, its input and the padding to the ReLU of the convolution."""


def called(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    """Return the ReLU of a layer called as a module: its hooks run, and its padding is its own."""
    del padding
    return torch.relu_(layer(flow))


def convolved(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    """Return the ReLU of a convolution with another padding than the layer's own; hooks do not run."""
    return functional.conv2d(flow, layer.weight, layer.bias, padding=padding).relu_()


@dataclass(frozen=True)
class Stream:
    """One trunk of a network.

    Attributes:
        suffix: what the names of its layers end in; a net with one trunk has none.
        channels: planes of its input.
        first: name of its first layer, without the suffix; empty for the trunk's own.
    """

    suffix: str = ""
    channels: int = 3
    first: str = ""


class Trunk(ABC):
    """Everything below the score layers."""

    @abstractmethod
    def add(self, net: nn.Module, stream: Stream) -> None:
        """Add the layers to a network."""

    @abstractmethod
    def run(self, net: nn.Module, flow: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """The outputs of the pools by number, and of the last layer, for an input [N, channels, H, W]."""

    @abstractmethod
    def grid(self, pool: int) -> Grid:
        """Where the cells of a pool's output lie in the picture."""

    @property
    @abstractmethod
    def score_grid(self) -> Grid:
        """Where the cells of the coarsest score layer lie."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels of the last layer."""

    @abstractmethod
    def pool_width(self, pool: int) -> int:
        """Channels of a pool's output."""

    @abstractmethod
    def final_kernel(self, stride: int) -> int:
        """Side of the last up-sampling layer's kernel."""

    @property
    @abstractmethod
    def layers(self) -> int:
        """Learned layers on the way from the picture to the score layer, that one counted (Table 1 of the paper)."""


class _Classified(Trunk):
    """A trunk that ends in fc6, whose kernel covers the classifier's old input, and fc7."""

    widths: tuple[int, ...]
    fc_kernel: int
    fc_width: int

    @property
    def score_grid(self) -> Grid:
        """Where the cells of the coarsest score layer lie."""
        return self.grid(len(self.widths)).windowed(self.fc_kernel)

    @property
    def width(self) -> int:
        """Channels of fc7."""
        return self.fc_width

    def pool_width(self, pool: int) -> int:
        """Channels of a pool's output."""
        return self.widths[pool - 1]


@dataclass(frozen=True)
class VggTrunk(_Classified):
    """3x3 convolutions in five stages, each ended by a 2x2 pool that rounds sizes up, then fc6 and fc7.

    Attributes:
        widths: channels of each of the five stages.
        depths: 3x3 convolutions in each stage.
        fc_kernel: kernel side of fc6, which is not padded.
        fc_width: channels of fc6 and fc7.
        pad: padding of the first convolution.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    fc_kernel: int
    fc_width: int
    pad: int

    def add(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1_1` ... `conv5_3`, `fc6` and `fc7`."""
        channels = stream.channels
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True), start=1):
            for layer in range(1, depth + 1):
                pad = self.pad if (stage, layer) == (1, 1) else 1
                net.add_module(self._name(stage, layer, stream), nn.Conv2d(channels, width, 3, padding=pad))
                channels = width
        net.add_module(f"fc6{stream.suffix}", nn.Conv2d(channels, self.fc_width, self.fc_kernel))
        net.add_module(f"fc7{stream.suffix}", nn.Conv2d(self.fc_width, self.fc_width, 1))

    def run(self, net: nn.Module, flow: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """The five pools and fc7."""
        pools: dict[int, Tensor] = {}
        for stage in range(1, 1 + len(self.depths)):
            flow = pools[stage] = self.stage(net, flow, stream, stage)
        return pools, _classifier(net, flow, stream)

    def stage(
        self,
        net: nn.Module,
        flow: Tensor,
        stream: Stream,
        stage: int,
        *,
        first: int = 1,
        rest: int = 1,
        convolve: Convolve = called,
    ) -> Tensor:
        """One stage and its pool.

        Args:
            net: the network with the trunk's layers.
            flow: the stage's input [N, channels, h, w].
            stream: whose layers.
            stage: 1 for the first one.
            first: padding of its first convolution, for `convolve`.
            rest: padding of the others, for `convolve`.
            convolve: does a convolution and its ReLU; by default the layers are called as they are, with their own
                padding and their hooks.
        """
        for name in self.names(stage, stream):
            convolution = cast(nn.Conv2d, net.get_submodule(name))
            flow, first = convolve(convolution, flow, first), rest
        return functional.max_pool2d(flow, 2, 2, ceil_mode=True)

    def grid(self, pool: int) -> Grid:
        """Where the cells of pool 1..5 lie."""
        grid = PICTURE
        for stage in range(1, pool + 1):
            for layer in range(1, self.depths[stage - 1] + 1):
                grid = grid.windowed(3, pad=self.pad if (stage, layer) == (1, 1) else 1)
            grid = grid.windowed(2, stride=2)
        return grid

    def final_kernel(self, stride: int) -> int:
        """64, 32 and 16 in the reference nets."""
        return 2 * stride

    @property
    def layers(self) -> int:
        """16 for VGG16."""
        return sum(self.depths) + 3

    def names(self, stage: int, stream: Stream) -> list[str]:
        """Return the names of a stage's convolutions in order: `conv1_1`, `conv1_2`."""
        return [self._name(stage, layer, stream) for layer in range(1, self.depths[stage - 1] + 1)]

    def _name(self, stage: int, layer: int, stream: Stream) -> str:
        own = stream.first if (stage, layer) == (1, 1) else ""
        return (own or f"conv{stage}_{layer}") + stream.suffix


@dataclass(frozen=True)
class AlexNetTrunk(_Classified):
    """CaffeNet: five convolutions, two of them in two groups, with the pool before the normalisation, then fc6, fc7.

    Attributes:
        widths: channels of the five convolutions.
        fc_width: channels of fc6 and fc7.
        fc_kernel: kernel side of fc6.
    """

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    fc_width: int = 4096
    fc_kernel: int = 6

    _SHAPES = (
        {"kernel_size": 11, "stride": 4, "padding": 100},
        {"kernel_size": 5, "padding": 2, "groups": 2},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},
    )
    _POOLED = (1, 2, 5)
    _NORMALISED = (1, 2)

    def add(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1` ... `conv5`, `fc6` and `fc7`."""
        channels = stream.channels
        for number, (width, shape) in enumerate(zip(self.widths, self._SHAPES, strict=True), start=1):
            net.add_module(f"conv{number}{stream.suffix}", nn.Conv2d(channels, width, **shape))  # type: ignore[arg-type]
            channels = width
        net.add_module(f"fc6{stream.suffix}", nn.Conv2d(channels, self.fc_width, self.fc_kernel))
        net.add_module(f"fc7{stream.suffix}", nn.Conv2d(self.fc_width, self.fc_width, 1))

    def run(self, net: nn.Module, flow: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Pools 1, 2 and 5, and fc7."""
        pools: dict[int, Tensor] = {}
        for number in range(1, len(self.widths) + 1):
            flow = torch.relu_(net.get_submodule(f"conv{number}{stream.suffix}")(flow))
            if number in self._POOLED:
                flow = pools[number] = functional.max_pool2d(flow, 3, 2, ceil_mode=True)
            if number in self._NORMALISED:
                flow = _normalised(flow)
        return pools, _classifier(net, flow, stream)

    def grid(self, pool: int) -> Grid:
        """Where the cells of pool 1, 2 or 5 lie."""
        grid = PICTURE
        for number, shape in enumerate(self._SHAPES[:pool], start=1):
            grid = grid.windowed(shape["kernel_size"], shape.get("stride", 1), shape["padding"])
            if number in self._POOLED:
                grid = grid.windowed(3, stride=2)
        return grid

    def final_kernel(self, stride: int) -> int:
        """63 in the reference net."""
        return 2 * stride - 1

    @property
    def layers(self) -> int:
        """8."""
        return len(self.widths) + 3


@dataclass(frozen=True)
class Inception:
    """One inception module: channels of its four branches.

    Attributes:
        name: `3a` ... `5b`.
        plain: 1x1.
        middle: 1x1 reduction and 3x3.
        large: 1x1 reduction and 5x5.
        pooled: 1x1 after a 3x3 pool of stride 1.
    """

    name: str
    plain: int
    middle: tuple[int, int]
    large: tuple[int, int]
    pooled: int

    @property
    def width(self) -> int:
        """Channels of the output."""
        return self.plain + self.middle[1] + self.large[1] + self.pooled


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
"""The nine modules of GoogLeNet (Szegedy et al., CVPR 2015, Table 1)."""


@dataclass(frozen=True)
class GoogLeNetTrunk(Trunk):
    """GoogLeNet without its classifiers and without its final average pooling, as the CVPR paper says (section 4.1).

    No definition was ever published; layer names and order are those of Caffe's bvlc_googlenet, and the first
    convolution is padded by 100 as in the papers' other nets, so that pictures of any size have a cell to score.

    Attributes:
        inceptions: the modules; a pool follows 3b and 4e.
        stem: channels of the first convolution, and of the second's reduction and 3x3.
    """

    inceptions: tuple[Inception, ...] = _INCEPTIONS
    stem: tuple[int, int, int] = (64, 64, 192)

    _PAD = 100
    _POOL_AFTER = ("3b", "4e")
    _DROPOUT = 0.4

    def add(self, net: nn.Module, stream: Stream) -> None:
        """Add `conv1/7x7_s2` ... `inception_5b/pool_proj`."""
        first, reduce, second = self.stem
        layers = [
            ("conv1/7x7_s2", nn.Conv2d(stream.channels, first, 7, 2, self._PAD)),
            ("conv2/3x3_reduce", nn.Conv2d(first, reduce, 1)),
            ("conv2/3x3", nn.Conv2d(reduce, second, 3, padding=1)),
        ]
        channels = second
        for module in self.inceptions:
            at = f"inception_{module.name}"
            layers += [
                (f"{at}/1x1", nn.Conv2d(channels, module.plain, 1)),
                (f"{at}/3x3_reduce", nn.Conv2d(channels, module.middle[0], 1)),
                (f"{at}/3x3", nn.Conv2d(*module.middle, 3, padding=1)),
                (f"{at}/5x5_reduce", nn.Conv2d(channels, module.large[0], 1)),
                (f"{at}/5x5", nn.Conv2d(*module.large, 5, padding=2)),
                (f"{at}/pool_proj", nn.Conv2d(channels, module.pooled, 1)),
            ]
            channels = module.width
        for name, layer in layers:
            net.add_module(name + stream.suffix, layer)

    def run(self, net: nn.Module, flow: Tensor, stream: Stream) -> tuple[dict[int, Tensor], Tensor]:
        """Pools 1 to 4, and the last inception module."""

        def layer(name: str, value: Tensor) -> Tensor:
            return torch.relu_(net.get_submodule(name + stream.suffix)(value))

        pools: dict[int, Tensor] = {}
        flow = pools[1] = functional.max_pool2d(layer("conv1/7x7_s2", flow), 3, 2, ceil_mode=True)
        flow = layer("conv2/3x3", layer("conv2/3x3_reduce", _normalised(flow)))
        flow = pools[2] = functional.max_pool2d(_normalised(flow), 3, 2, ceil_mode=True)
        for module in self.inceptions:
            at = f"inception_{module.name}"
            branches = (
                layer(f"{at}/1x1", flow),
                layer(f"{at}/3x3", layer(f"{at}/3x3_reduce", flow)),
                layer(f"{at}/5x5", layer(f"{at}/5x5_reduce", flow)),
                layer(f"{at}/pool_proj", functional.max_pool2d(flow, 3, 1, padding=1)),
            )
            flow = torch.cat(branches, 1)
            if module.name in self._POOL_AFTER:
                flow = pools[len(pools) + 1] = functional.max_pool2d(flow, 3, 2, ceil_mode=True)
        return pools, functional.dropout(flow, self._DROPOUT, net.training)

    def grid(self, pool: int) -> Grid:
        """Where the cells of pool 1 to 4 lie."""
        grid = PICTURE.windowed(7, 2, self._PAD).windowed(3, 2)
        if pool > 1:
            grid = grid.windowed(3, pad=1).windowed(3, 2)
        for module in self.inceptions:
            if module.name[0] in "34"[: max(0, pool - 2)]:
                grid = grid.windowed(5, pad=2)
                if module.name in self._POOL_AFTER:
                    grid = grid.windowed(3, 2)
        return grid

    @property
    def score_grid(self) -> Grid:
        """Where the cells of the score layer lie: two modules after pool 4."""
        return self.grid(4).windowed(5, pad=2).windowed(5, pad=2)

    @property
    def width(self) -> int:
        """Channels of the last module."""
        return self.inceptions[-1].width

    def pool_width(self, pool: int) -> int:
        """Channels of a pool's output."""
        return {1: self.stem[0], 2: self.stem[2], 3: self.inceptions[1].width, 4: self.inceptions[6].width}[pool]

    def final_kernel(self, stride: int) -> int:
        """63, so that its crop falls onto pixels."""
        return 2 * stride - 1

    @property
    def layers(self) -> int:
        """22: three in the stem, two in each module, and the score layer."""
        return 3 + 2 * len(self.inceptions) + 1


VGG16 = VggTrunk(widths=(64, 128, 256, 512, 512), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4096, pad=100)
"""The papers' main trunk: VGG16 with fc6 and fc7 as convolutions."""

ALEXNET = AlexNetTrunk()
GOOGLENET = GoogLeNetTrunk()

_DROPOUT = 0.5
"""After fc6 and fc7, as in VGG16 and CaffeNet."""


def _classifier(net: nn.Module, flow: Tensor, stream: Stream) -> Tensor:
    """fc6 and fc7."""
    for name in ("fc6", "fc7"):
        flow = torch.relu_(net.get_submodule(name + stream.suffix)(flow))
        flow = functional.dropout(flow, _DROPOUT, net.training)
    return flow


def _normalised(flow: Tensor) -> Tensor:
    """Caffe's local response normalisation across five channels: divided by (1 + 1e-4/5 * sum of squares)^0.75."""
    return functional.local_response_norm(flow, 5, alpha=1e-4, beta=0.75, k=1.0)
