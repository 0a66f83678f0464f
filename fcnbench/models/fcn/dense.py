"""Dense scores from a coarse net without up-sampling: shift-and-stitch, and its equal inside the network.

CVPR 2015, section 3.2. A net whose scores lie `stride` pixels apart is run on stride^2 shifted pictures and its scores
are interlaced; or its strides are taken out and every later filter is spread over the finer grid (dilation, the papers'
filter rarefaction), which gives the same scores in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.errors import ModelError
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.segmenter import Around, runs_its_module

Scores = Callable[[Tensor], Tensor]
"""From a picture [1, planes, H, W] to scores [1, C, h, w] that lie some stride apart."""


COARSE = 32
"""Stride of the nets that are run densely."""


def shift_and_stitch(scores: Scores, batch: Tensor, stride: int, factor: int) -> Tensor:
    """Scores on a grid `factor` times as fine, from factor^2 runs on shifted pictures.

    Args:
        scores: the coarse net.
        batch: a picture [1, planes, H, W].
        stride: picture pixels between two of its scores.
        factor: how many times finer; a divisor of the stride.

    Returns:
        [1, C, h * factor, w * factor], cell (i, j) `stride / factor` pixels after (i - 1, j - 1).

    Raises:
        ValueError: the factor does not divide the stride.
    """
    if factor < 1 or stride % factor:
        raise ValueError(f"the factor {factor} does not divide the stride {stride}")
    step = stride // factor
    fine: Tensor | None = None
    height, width = batch.shape[-2:]
    for row in range(factor):
        for column in range(factor):
            # Moved up and to the left, the rest filled with zeros, as the net's own padding is.
            moved = functional.pad(batch, (0, column * step, 0, row * step))[..., row * step :, column * step :]
            found = scores(moved[..., :height, :width])
            if fine is None:
                fine = found.new_zeros((1, found.shape[1], found.shape[2] * factor, found.shape[3] * factor))
            fine[..., row::factor, column::factor] = found
    assert fine is not None
    return fine


def rarefied(layers: nn.Sequential, factor: int) -> nn.Sequential:
    """The same layers with scores on a grid `factor` times as fine: strides out, later filters dilated.

    Strides are taken out from the last layer backwards, until their product is `factor`; then every filter after one
    that lost its stride is dilated by it. Parameters are shared with the given layers.

    Raises:
        ValueError: no strides multiply to the factor.
        ModelError: a layer is neither convolution, pool nor point by point.
    """
    strided = [place for place, layer in enumerate(layers) if _stride(layer) > 1]
    lost: dict[int, int] = {}
    left = factor
    for place in reversed(strided):
        if left == 1:
            break
        stride = _stride(layers[place])
        if left % stride:
            raise ValueError(f"the last strides do not multiply to {factor}")
        lost[place], left = stride, left // stride
    if left != 1:
        raise ValueError(f"the strides do not multiply to {factor}")
    dilation, result = 1, []
    for place, layer in enumerate(layers):
        result.append(_spread(layer, dilation, keep_stride=place not in lost))
        dilation *= lost.get(place, 1)
    return nn.Sequential(*result)


class Dense(Around):
    """A coarse FCN run densely by shift-and-stitch: its scores on a finer grid, then up-sampled by what is left.

    Args:
        inner: a segmenter whose module is an `FCN` of stride 32.
        factor: how many times finer; 32 gives a score for every pixel.

    Raises:
        ModelError: the model is not just an FCN of stride 32 with one head, or the factor does not divide 32.
    """

    def __init__(self, inner: Any, factor: int) -> None:
        net = getattr(inner, "module", None)
        if not isinstance(net, FCN) or net.stride != COARSE or len(net.heads) != 1:
            raise ModelError("shift-and-stitch needs an FCN of stride 32", "choose fcn32s, fcn-alexnet or the like")
        if factor < 1 or COARSE % factor:
            raise ModelError(f"shift-and-stitch:{factor}: the factor must divide {COARSE}", "write 2, 4, 8, 16 or 32")
        if not runs_its_module(inner):
            raise ModelError(
                f"shift-and-stitch runs the network by itself, and {type(inner).__name__} does more with its logits",
                "return the network, or a ModuleSegmenter with the dataset's classes",
            )
        super().__init__(inner)
        self._factor = factor
        self.preprocessing = f"{inner.preprocessing}, shift-and-stitch by {factor}"

    def logits(self, batch: Tensor) -> Tensor:
        """Logits [N, C, H, W] at the size of the batch."""
        with torch.inference_mode():
            return torch.cat([self._one(picture[None]) for picture in batch])

    def _one(self, batch: Tensor) -> Tensor:
        net: FCN = self.inner.module
        fine = shift_and_stitch(net.coarse_scores, batch, COARSE, self._factor)
        step, start = COARSE / self._factor, float(net.trunk.score_grid.start)
        # Where each pixel lies among the cells, on grid_sample's scale of -1..1 from the first centre to the last.
        rows, columns = (
            2 * ((torch.arange(side, device=fine.device) - start) / step) / max(1, cells - 1) - 1
            for side, cells in zip(batch.shape[-2:], fine.shape[-2:], strict=True)
        )
        places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)[None]
        return functional.grid_sample(fine, places, mode="bilinear", padding_mode="border", align_corners=True)


def _stride(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.stride[0]
    return int(layer.stride) if isinstance(layer, nn.MaxPool2d) else 1  # type: ignore[arg-type]


def _spread(layer: nn.Module, dilation: int, keep_stride: bool) -> nn.Module:
    """A layer on a grid `dilation` times as fine."""
    if isinstance(layer, nn.Conv2d):
        copy = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            stride=layer.stride if keep_stride else 1,  # type: ignore[arg-type]
            padding=tuple(side * dilation for side in layer.padding),  # type: ignore[arg-type]
            dilation=dilation,
            groups=layer.groups,
        )
        copy.weight, copy.bias = layer.weight, layer.bias
        return copy
    if isinstance(layer, nn.MaxPool2d):
        padding = int(layer.padding) * dilation  # type: ignore[arg-type]
        return nn.MaxPool2d(layer.kernel_size, layer.stride if keep_stride else 1, padding, dilation)
    if isinstance(layer, (nn.ReLU, nn.Dropout, nn.Identity)):
        return layer
    raise ModelError(f"{type(layer).__name__} can't be spread over a finer grid", "use convolutions, pools and ReLU")
