"""The VGG-style FCN-32s, FCN-16s and FCN-8s of the papers, at any width.

Layer for layer the reference nets (`voc-fcn32s/16s/8s`): 3x3 convolutions with ReLU in five stages, each ended by a
2x2 pool that rounds sizes up; fc6 and fc7 as convolutions; 1x1 score layers; frozen bilinear up-sampling; skips that
are cropped and added. The first convolution pads by 100, so that fc6 fits on small pictures; every crop offset
follows from the geometry. Parameter names are the Caffe layer names, which `torchfcn` uses too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fcnbench.models.geometry import PICTURE, Grid

SKIPS = {32: (), 16: (4,), 8: (4, 3)}
"""Output stride to the pools whose scores are added, coarse to fine."""

_DROPOUT = 0.5
"""After fc6 and fc7, as in VGG16."""


@dataclass(frozen=True)
class Trunk:
    """Shape of the convolutional trunk.

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

    def grid(self, pool: int) -> Grid:
        """Where the cells of a pool's output (1..5) lie in the picture."""
        grid = PICTURE.windowed(3, pad=self.pad)
        for _ in range(pool):
            grid = grid.windowed(2, stride=2)
        return grid

    @property
    def score_grid(self) -> Grid:
        """Where the cells of the coarsest score layer lie."""
        return self.grid(5).windowed(self.fc_kernel)


VGG16 = Trunk(widths=(64, 128, 256, 512, 512), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4096, pad=100)
"""The papers' trunk: VGG16 with fc6 and fc7 as convolutions."""


class FCN(nn.Module):
    """An FCN of the papers: a picture batch [N, 3, H, W] in, logits [N, C, H, W] out.

    Args:
        num_classes: number of classes C.
        stride: 32, 16 or 8: the stride of the finest score layer, which names the net.
        trunk: shape of the trunk.
    """

    def __init__(self, num_classes: int, stride: int, trunk: Trunk = VGG16) -> None:
        super().__init__()
        if stride not in SKIPS:
            raise ValueError(f"an FCN has stride 32, 16 or 8, not {stride}")
        self.num_classes = num_classes
        self.stride = stride
        self.trunk = trunk
        channels = 3
        for stage, (width, depth) in enumerate(zip(trunk.widths, trunk.depths, strict=True), start=1):
            for layer in range(1, depth + 1):
                pad = trunk.pad if (stage, layer) == (1, 1) else 1
                self.add_module(f"conv{stage}_{layer}", nn.Conv2d(channels, width, 3, padding=pad))
                channels = width
        self.fc6 = nn.Conv2d(channels, trunk.fc_width, trunk.fc_kernel)
        self.fc7 = nn.Conv2d(trunk.fc_width, trunk.fc_width, 1)
        self.score_fr = nn.Conv2d(trunk.fc_width, num_classes, 1)
        self.pool = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.dropout = nn.Dropout(_DROPOUT)

        grid = trunk.score_grid
        self.crops: dict[str, int] = {}
        previous = "score_fr"
        for pool in SKIPS[stride]:
            doubling = _doubling_name(previous)
            self.add_module(doubling, bilinear_upsampling(num_classes, kernel=4, stride=2))
            self.add_module(f"score_pool{pool}", nn.Conv2d(trunk.widths[pool - 1], num_classes, 1))
            # The reference crops the skip, which is the larger of the two, onto the up-sampled coarse score.
            grid = grid.upsampled(4, stride=2)
            self.crops[f"score_pool{pool}"] = trunk.grid(pool).crop_onto(grid)
            previous = f"pool{pool}"
        final = "upscore" if stride == 32 else f"upscore{stride}"
        self.add_module(final, bilinear_upsampling(num_classes, kernel=2 * stride, stride=stride))
        self.crops[final] = grid.upsampled(2 * stride, stride).crop_onto(PICTURE)
        self.final = final

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits [N, C, H, W] of pictures [N, 3, H, W] that `prepare` made."""
        pools: dict[int, Tensor] = {}
        flow = pictures
        for stage, depth in enumerate(self.trunk.depths, start=1):
            for layer in range(1, depth + 1):
                flow = torch.relu_(self.get_submodule(f"conv{stage}_{layer}")(flow))
            flow = pools[stage] = self.pool(flow)
        flow = self.dropout(torch.relu_(self.fc6(flow)))
        flow = self.dropout(torch.relu_(self.fc7(flow)))
        flow = self.score_fr(flow)

        previous = "score_fr"
        for pool in SKIPS[self.stride]:
            flow = self.get_submodule(_doubling_name(previous))(flow)
            skip = self.get_submodule(f"score_pool{pool}")(pools[pool])
            flow = flow + _cropped(skip, self.crops[f"score_pool{pool}"], flow.shape)
            previous = f"pool{pool}"
        flow = self.get_submodule(self.final)(flow)
        return _cropped(flow, self.crops[self.final], pictures.shape).contiguous()


def bilinear_upsampling(channels: int, kernel: int, stride: int) -> nn.ConvTranspose2d:
    """A frozen transposed convolution that up-samples each channel bilinearly by `stride`."""
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride=stride, bias=False)
    weight = torch.zeros_like(layer.weight)
    diagonal = torch.arange(channels)
    weight[diagonal, diagonal] = bilinear_kernel(kernel)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def bilinear_kernel(size: int) -> Tensor:
    """The bilinear interpolation kernel [size, size] of the reference's net surgery: 1 - |x - centre| / factor."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - (torch.arange(size, dtype=torch.float64) - centre).abs() / factor
    return torch.outer(line, line).float()


def _doubling_name(previous: str) -> str:
    """The reference's name of the up-sampling by 2 that follows a score: `upscore2`, then `upscore_pool4`."""
    return "upscore2" if previous == "score_fr" else f"upscore_{previous}"


def _cropped(flow: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """The corner crop [offset, offset + size) on both spatial axes."""
    height, width = shape[-2:]
    return flow[..., offset : offset + height, offset : offset + width]
