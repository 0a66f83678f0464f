"""Shift-and-stitch: dense scores from a coarse net, without up-sampling (CVPR 2015, section 3.2).

A net whose scores are `stride` pixels apart is run on shifted copies of the image, and the scores are interleaved.
`rarefaction.py` computes the same scores in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fcnbench.errors import ModelError
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.segmenter import SegmenterWrapper, only_runs_its_module

Scores = Callable[[Tensor], Tensor]
"""From an image [1, channels, H, W] to coarse scores [1, C, h, w]."""

COARSE_STRIDE = 32
"""Stride of the nets that shift-and-stitch is applied to."""


def shift_and_stitch(scores: Scores, image: Tensor, stride: int, factor: int) -> Tensor:
    """Return scores on a grid `factor` times as fine, from factor^2 runs on shifted images.

    Args:
        scores: the coarse net.
        image: a preprocessed image [1, channels, H, W].
        stride: distance between the net's scores, in image pixels.
        factor: how many times finer the grid becomes; a divisor of the stride.

    Returns:
        [1, C, h * factor, w * factor], with `stride / factor` pixels between neighbouring cells.

    Raises:
        ValueError: the factor does not divide the stride.

    >>> def every_other_pixel(image):
    ...     return image[..., ::2, ::2]
    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> torch.equal(shift_and_stitch(every_other_pixel, image, stride=2, factor=2), image)
    True
    """
    if factor < 1 or stride % factor:
        raise ValueError(f"the factor {factor} does not divide the stride {stride}")
    step = stride // factor
    fine: Tensor | None = None
    height, width = image.shape[-2:]
    for row in range(factor):
        for column in range(factor):
            # Shifted up and to the left; zeros fill the rest, as the net's own padding does.
            padded = functional.pad(image, (0, column * step, 0, row * step))
            shifted = padded[..., row * step :, column * step :][..., :height, :width]
            coarse = scores(shifted)
            if fine is None:
                fine = coarse.new_zeros((1, coarse.shape[1], coarse.shape[2] * factor, coarse.shape[3] * factor))
            fine[..., row::factor, column::factor] = coarse
    assert fine is not None
    return fine


class ShiftAndStitch(SegmenterWrapper):
    """A coarse FCN whose scores are refined by shift-and-stitch, then interpolated bilinearly to the image's size.

    Args:
        inner: a segmenter whose module is an `FCN` of stride 32 with one head.
        factor: how many times finer the scores become; 32 gives a score per pixel.

    Raises:
        ModelError: the segmenter does more than run such an FCN, or the factor does not divide 32.
    """

    def __init__(self, inner: Any, factor: int) -> None:
        net = getattr(inner, "module", None)
        if not isinstance(net, FCN) or net.stride != COARSE_STRIDE or len(net.heads) != 1:
            raise ModelError("shift-and-stitch needs an FCN of stride 32", "choose fcn32s, fcn-alexnet or the like")
        if factor < 1 or COARSE_STRIDE % factor:
            raise ModelError(
                f"shift-and-stitch:{factor}: the factor must divide {COARSE_STRIDE}", "write 2, 4, 8, 16 or 32"
            )
        if not only_runs_its_module(inner):
            raise ModelError(
                f"shift-and-stitch runs the network by itself, and {type(inner).__name__} does more with its logits",
                "return the network, or a ModuleSegmenter with the dataset's classes",
            )
        super().__init__(inner)
        self._factor = factor
        self.preprocessing = f"{inner.preprocessing}, shift-and-stitch by {factor}"

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits [N, C, H, W] for preprocessed images [N, channels, H, W]."""
        with torch.inference_mode():
            return torch.cat([self._image_logits(image[None]) for image in batch])

    def _image_logits(self, image: Tensor) -> Tensor:
        net: FCN = self.inner.module
        fine = shift_and_stitch(net.coarse_scores, image, COARSE_STRIDE, self._factor)
        step, start = COARSE_STRIDE / self._factor, float(net.trunk.score_grid.start)
        # The position of each pixel among the cells, on grid_sample's scale from -1 (first centre) to 1 (last centre).
        rows, columns = (
            2 * ((torch.arange(side, device=fine.device) - start) / step) / max(1, cells - 1) - 1
            for side, cells in zip(image.shape[-2:], fine.shape[-2:], strict=True)
        )
        positions = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)[None]
        return functional.grid_sample(fine, positions, mode="bilinear", padding_mode="border", align_corners=True)
