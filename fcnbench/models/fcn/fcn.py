"""The FCNs of the papers: one or two trunks, score layers, skips that are cropped and added, bilinear up-sampling.

Layer for layer these are the reference nets; every crop offset follows from the geometry. Parameter names are the Caffe
layer names, which `torchfcn` uses too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fcnbench.models.fcn.geometry import IMAGE
from fcnbench.models.fcn.trunk import Stream, Trunk
from fcnbench.models.fcn.upsampling import Upsample, bilinear_upsampling, crop, transposed_upsampling
from fcnbench.models.fcn.vgg import VGG16

SKIPS: dict[int, tuple[int, ...]] = {32: (), 16: (4,), 8: (4, 3)}
"""From an FCN's stride to the pools whose scores are added, coarse to fine."""

AT_ONCE: Mapping[int, float] = {4: 0.01, 3: 0.0001}
"""Factors by which pools are multiplied before their score layers in `voc-fcn8s-atonce`, whose skips train at once."""


@dataclass(frozen=True)
class Head:
    """One set of classes that a network predicts: the label map of SIFT Flow's geometric classes, for example.

    Attributes:
        num_classes: number of classes.
        key: name of its logits in the output of a network with several heads.
        suffix: appended to the names of its layers, such as `_geo`.
    """

    num_classes: int
    key: str = "out"
    suffix: str = ""


class FCN(nn.Module):
    """An FCN of the papers.

    Maps preprocessed images [N, channels, H, W] to logits [N, C, H, W], or, with several heads, to a mapping with the
    logits of each. Two streams are concatenated along the channels.

    Args:
        num_classes: number of classes C of the first head.
        stride: 32, 16 or 8: the stride of the finest score layer, as in FCN-8s.
        trunk: the architecture of the layers below the score layers.
        streams: the inputs; each has its own copy of the trunk, and their scores are averaged (late fusion).
        extra_heads: heads besides the first.
        suffix: appended to the names of the first head's layers, which is needed where there are several heads.
        scales: factors on pools before their score layers, by pool.

    Raises:
        ValueError: the stride is not 32, 16 or 8.

    >>> from fcnbench.models.fcn.pocket import POCKET_TRUNK
    >>> net = FCN(8, 16, POCKET_TRUNK).eval()
    >>> net(torch.zeros(1, 3, 50, 70)).shape
    torch.Size([1, 8, 50, 70])
    >>> net.crops
    {'score_pool4': 3, 'upscore16': 27}
    """

    def __init__(
        self,
        num_classes: int,
        stride: int,
        trunk: Trunk = VGG16,
        *,
        streams: Sequence[Stream] = (Stream(),),
        extra_heads: Sequence[Head] = (),
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
        self.heads = (Head(num_classes, suffix=suffix), *extra_heads)
        self.scales = dict(scales or {})
        self.crops: dict[str, int] = {}
        for stream in self.streams:
            trunk.add_layers(self, stream)
        for head in self.heads:
            self._add_head(head)

    def forward(self, batch: Tensor) -> Tensor | dict[str, Tensor]:
        """Return logits [N, C, H, W] for preprocessed images [N, channels, H, W]; by head where there are several."""
        pools: list[dict[int, Tensor]] = []
        tops: list[Tensor] = []
        for stream, x in self.split(batch):
            stream_pools, top = self.trunk.forward(self, x, stream)
            pools.append(stream_pools)
            tops.append(top)
        logits = self.logits_of(pools, tops, batch.shape)
        return logits["out"] if len(logits) == 1 else logits

    def split(self, batch: Tensor) -> list[tuple[Stream, Tensor]]:
        """Split an input [N, channels, H, W] into the inputs of the streams."""
        inputs = batch.split([stream.channels for stream in self.streams], 1)
        return list(zip(self.streams, inputs, strict=True))

    def logits_of(
        self,
        pools: list[dict[int, Tensor]],
        tops: list[Tensor],
        shape: torch.Size,
        upsample: Upsample = transposed_upsampling,
    ) -> dict[str, Tensor]:
        """Return the logits [N, C, H, W] of every head by its key, from the trunks' outputs.

        Args:
            pools: for each stream the outputs of the pools by number.
            tops: for each stream the output of the last trunk layer.
            shape: shape of the network's input, [N, channels, H, W].
            upsample: computes the last up-sampling.
        """
        return {head.key: self._head_logits(head, pools, tops, shape, upsample) for head in self.heads}

    def coarse_scores(self, batch: Tensor) -> Tensor:
        """Return the first head's coarsest scores [N, C, h, w], before any up-sampling."""
        tops = [self.trunk.forward(self, x, stream)[1] for stream, x in self.split(batch)]
        return self._scores("score_fr", tops, self.heads[0])

    def _add_head(self, head: Head) -> None:
        """Add the score and up-sampling layers of one head, and compute their crop offsets."""
        grid = self.trunk.score_grid
        self._add_scores("score_fr", self.trunk.channels, head)
        previous = "score_fr"
        for pool in SKIPS[self.stride]:
            upsampling = bilinear_upsampling(head.num_classes, kernel=4, stride=2)
            self.add_module(_upsampling_name(previous, head), upsampling)
            self._add_scores(f"score_pool{pool}", self.trunk.pool_channels(pool), head)
            # As in the reference, the skip, which is the larger of the two, is cropped to the up-sampled scores.
            grid = grid.upsampled(4, stride=2)
            self.crops[f"score_pool{pool}{head.suffix}"] = self.trunk.pool_grid(pool).crop_onto(grid)
            previous = f"pool{pool}"
        kernel = self.trunk.upsampling_kernel(self.stride)
        name = self._last_upsampling_name(head)
        self.add_module(name, bilinear_upsampling(head.num_classes, kernel, self.stride))
        self.crops[name] = grid.upsampled(kernel, self.stride).crop_onto(IMAGE)

    def _head_logits(
        self, head: Head, pools: list[dict[int, Tensor]], tops: list[Tensor], shape: torch.Size, upsample: Upsample
    ) -> Tensor:
        scores = self._scores("score_fr", tops, head)
        previous = "score_fr"
        for pool in SKIPS[self.stride]:
            scores = self.get_submodule(_upsampling_name(previous, head))(scores)
            features = [stream_pools[pool] for stream_pools in pools]
            skip = self._scores(f"score_pool{pool}", features, head, self.scales.get(pool, 1.0))
            scores = scores + crop(skip, self.crops[f"score_pool{pool}{head.suffix}"], scores.shape)
            previous = f"pool{pool}"
        name = self._last_upsampling_name(head)
        return upsample(cast(nn.ConvTranspose2d, self.get_submodule(name)), scores, self.crops[name], shape)

    def _add_scores(self, name: str, channels: int, head: Head) -> None:
        for stream in self.streams:
            stream.add(self, name + head.suffix, nn.Conv2d(channels, head.num_classes, 1))

    def _scores(self, name: str, features: list[Tensor], head: Head, scale: float = 1.0) -> Tensor:
        """Return the average of the streams' scores, from the feature map of each."""
        scores = [
            stream.layer(self, name + head.suffix)(x * scale if scale != 1 else x)
            for stream, x in zip(self.streams, features, strict=True)
        ]
        return scores[0] if len(scores) == 1 else torch.stack(scores).mean(0)

    def _last_upsampling_name(self, head: Head) -> str:
        return f"upscore{'' if self.stride == 32 else self.stride}{head.suffix}"


def _upsampling_name(previous: str, head: Head) -> str:
    """Return the reference's name of the up-sampling by 2 after a score layer: `upscore2`, then `upscore_pool4`."""
    return ("upscore2" if previous == "score_fr" else f"upscore_{previous}") + head.suffix
