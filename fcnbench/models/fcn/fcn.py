"""The FCNs of the papers: one or two trunks, score layers, skips that are cropped and added, bilinear up-sampling.

Layer for layer the reference nets; every crop offset follows from the geometry. Parameter names are the Caffe layer
names, which `torchfcn` uses too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fcnbench.models.fcn.geometry import PICTURE, Grid
from fcnbench.models.fcn.trunks import VGG16, Stream, Trunk

SKIPS: dict[int, tuple[int, ...]] = {32: (), 16: (4,), 8: (4, 3)}
"""Output stride to the pools whose scores are added, coarse to fine."""

AT_ONCE: Mapping[int, float] = {4: 0.01, 3: 0.0001}
"""Factors on the pools before their score layers, with which all skips train at once (`voc-fcn8s-atonce`)."""


Upsample = Callable[[nn.ConvTranspose2d, Tensor, int, torch.Size], Tensor]
"""From the layer of the last up-sampling, the finest scores, the crop's offset and the input's shape to logits."""


@dataclass(frozen=True)
class Head:
    """One label map that a network gives.

    Attributes:
        num_classes: its classes.
        key: its name among the answers of a net with several heads.
        suffix: what the names of its layers end in.
    """

    num_classes: int
    key: str = "out"
    suffix: str = ""


class FCN(nn.Module):
    """An FCN of the papers: a batch [N, planes, H, W] in, logits [N, C, H, W] out; by head where there are several.

    Args:
        num_classes: number of classes C, of the first head.
        stride: 32, 16 or 8: the stride of the finest score layer, which names the net.
        trunk: everything below the score layers.
        streams: its inputs, each with a trunk of its own; their scores are averaged (late fusion).
        more: heads beside the first, which then has `suffix`.
        suffix: what the names of the first head's layers end in.
        scales: factors on pools before their score layers, by pool.
    """

    def __init__(
        self,
        num_classes: int,
        stride: int,
        trunk: Trunk = VGG16,
        *,
        streams: Sequence[Stream] = (Stream(),),
        more: Sequence[Head] = (),
        suffix: str = "",
        scales: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__()
        if stride not in SKIPS:
            raise ValueError(f"an FCN has stride 32, 16 or 8, not {stride}")
        self.num_classes = num_classes
        self.stride = stride
        self.trunk = trunk
        self.streams = tuple(streams)
        self.heads = (Head(num_classes, suffix=suffix), *more)
        self.scales = dict(scales or {})
        self.crops: dict[str, int] = {}
        for stream in self.streams:
            trunk.add(self, stream)
        for head in self.heads:
            self._add_head(head)

    @property
    def planes(self) -> int:
        """Planes of the input: those of all streams, one after the other."""
        return sum(stream.channels for stream in self.streams)

    def forward(self, batch: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits [N, C, H, W] of prepared inputs [N, planes, H, W]; a mapping where there are several heads."""
        pools: list[dict[int, Tensor]] = []
        tops: list[Tensor] = []
        for stream, part in zip(self.streams, batch.split([s.channels for s in self.streams], 1), strict=True):
            found, top = self.trunk.run(self, part, stream)
            pools.append(found)
            tops.append(top)
        answers = self.answers(pools, tops, batch.shape)
        return answers["out"] if len(answers) == 1 else answers

    def answers(
        self, pools: list[dict[int, Tensor]], tops: list[Tensor], shape: torch.Size, upsample: Upsample | None = None
    ) -> dict[str, Tensor]:
        """Logits of every head by its name, from what the trunks gave.

        Args:
            pools: the outputs of the pools by number, a mapping for each stream.
            tops: the outputs of the last layers, one for each stream.
            shape: shape of the prepared input, [N, planes, H, W].
            upsample: what does the last up-sampling; `transposed` by default.
        """
        upsample = upsample or transposed
        return {head.key: self._logits(head, pools, tops, shape, upsample) for head in self.heads}

    def coarse_scores(self, batch: Tensor) -> Tensor:
        """The first head's coarsest scores [N, C, h, w], before any up-sampling."""
        parts = batch.split([stream.channels for stream in self.streams], 1)
        tops = [self.trunk.run(self, part, stream)[1] for stream, part in zip(self.streams, parts, strict=True)]
        return self._scores("score_fr", tops, self.heads[0])

    def _add_head(self, head: Head) -> None:
        """Score layers and up-sampling of one head, with their crops."""
        grid: Grid = self.trunk.score_grid
        self._add_scores("score_fr", self.trunk.width, head)
        previous = "score_fr"
        for pool in SKIPS[self.stride]:
            self.add_module(_doubling(previous, head), bilinear_upsampling(head.num_classes, kernel=4, stride=2))
            self._add_scores(f"score_pool{pool}", self.trunk.pool_width(pool), head)
            # The reference crops the skip, which is the larger of the two, onto the up-sampled coarse score.
            grid = grid.upsampled(4, stride=2)
            self.crops[f"score_pool{pool}{head.suffix}"] = self.trunk.grid(pool).crop_onto(grid)
            previous = f"pool{pool}"
        kernel = self.trunk.final_kernel(self.stride)
        self.add_module(self._final(head), bilinear_upsampling(head.num_classes, kernel, self.stride))
        self.crops[self._final(head)] = grid.upsampled(kernel, self.stride).crop_onto(PICTURE)

    def _logits(
        self, head: Head, pools: list[dict[int, Tensor]], tops: list[Tensor], shape: torch.Size, upsample: Upsample
    ) -> Tensor:
        flow = self._scores("score_fr", tops, head)
        previous = "score_fr"
        for pool in SKIPS[self.stride]:
            flow = self.get_submodule(_doubling(previous, head))(flow)
            scale = self.scales.get(pool, 1.0)
            skip = self._scores(f"score_pool{pool}", [found[pool] for found in pools], head, scale)
            flow = flow + _cropped(skip, self.crops[f"score_pool{pool}{head.suffix}"], flow.shape)
            previous = f"pool{pool}"
        name = self._final(head)
        return upsample(cast(nn.ConvTranspose2d, self.get_submodule(name)), flow, self.crops[name], shape)

    def _add_scores(self, name: str, width: int, head: Head) -> None:
        for stream in self.streams:
            self.add_module(f"{name}{head.suffix}{stream.suffix}", nn.Conv2d(width, head.num_classes, 1))

    def _scores(self, name: str, flows: list[Tensor], head: Head, scale: float = 1.0) -> Tensor:
        """The scores of all streams, averaged; of one stream just that."""
        found = [
            self.get_submodule(f"{name}{head.suffix}{stream.suffix}")(flow * scale if scale != 1 else flow)
            for stream, flow in zip(self.streams, flows, strict=True)
        ]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def _final(self, head: Head) -> str:
        return f"upscore{'' if self.stride == 32 else self.stride}{head.suffix}"


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
    line = 1 - (torch.arange(size, dtype=torch.float64, device="cpu") - centre).abs() / factor
    return torch.outer(line, line).float()


def transposed(layer: nn.ConvTranspose2d, flow: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """The last up-sampling as the reference does it: a transposed convolution, then the crop to the picture."""
    answer: Tensor = _cropped(layer(flow), offset, shape).contiguous()
    return answer


def _doubling(previous: str, head: Head) -> str:
    """The reference's name of the up-sampling by 2 that follows a score: `upscore2`, then `upscore_pool4`."""
    return ("upscore2" if previous == "score_fr" else f"upscore_{previous}") + head.suffix


def _cropped(flow: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """The corner crop [offset, offset + size) on both spatial axes."""
    height, width = shape[-2:]
    return flow[..., offset : offset + height, offset : offset + width]
