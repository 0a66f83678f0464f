"""The bilinear up-sampling layers of the FCNs, and two ways of computing the last one of them.

The reference up-samples with transposed convolutions whose weights are a fixed bilinear kernel. The fast path computes
the same function by interpolation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsample = Callable[[nn.ConvTranspose2d, Tensor, int, torch.Size], Tensor]
"""From the last up-sampling layer, the finest scores, the crop offset and the input's shape to logits."""


def bilinear_upsampling(channels: int, kernel: int, stride: int) -> nn.ConvTranspose2d:
    """Return a frozen transposed convolution that up-samples each channel bilinearly by `stride`.

    >>> bilinear_upsampling(2, kernel=4, stride=2).weight.shape
    torch.Size([2, 2, 4, 4])
    """
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride=stride, bias=False)
    weight = torch.zeros_like(layer.weight)
    diagonal = torch.arange(channels)
    weight[diagonal, diagonal] = bilinear_kernel(kernel)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def bilinear_kernel(size: int) -> Tensor:
    """Return the bilinear kernel [size, size] of the reference (`surgery.py`): 1 - |x - centre| / factor per axis.

    >>> bilinear_kernel(3)[1]
    tensor([0.5000, 1.0000, 0.5000])
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - (torch.arange(size, dtype=torch.float64, device="cpu") - centre).abs() / factor
    return torch.outer(line, line).float()


def crop(x: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """Return the crop of a feature map that starts at `offset` on both axes and has the height and width of `shape`."""
    height, width = shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


def transposed_upsampling(layer: nn.ConvTranspose2d, scores: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """Up-sample as the reference does: a transposed convolution, then the crop to the image.

    Args:
        layer: the last up-sampling layer.
        scores: its input [N, C, h, w].
        offset: leading rows and columns to crop.
        shape: shape of the network's input, [N, channels, H, W].

    Returns:
        Logits [N, C, H, W].
    """
    return crop(layer(scores), offset, shape).contiguous()


def interpolated_upsampling(layer: nn.ConvTranspose2d, scores: Tensor, offset: int, shape: torch.Size) -> Tensor:
    """Compute `transposed_upsampling` by interpolation where the layer's weights are the bilinear kernel.

    The kernel's side must be twice the stride. The transposed convolution is then the bilinear interpolation of the
    scores with zeros around them.
    """
    stride = layer.stride[0]
    if not can_interpolate(layer, scores):
        return transposed_upsampling(layer, scores, offset, shape)
    # Cell t of the transposed convolution lies at (t - (kernel - 1) / 2) / stride on the axis of the scores. Cell j of
    # the interpolation lies at (j + 1/2) / stride - 1/2 on the axis of the scores with one zero in front.
    shift = offset + stride // 2
    ranges = []
    for side in shape[-2:]:
        first = (2 * shift + 1 - stride) // (2 * stride)
        last = (2 * (shift + side - 1) + 1 - stride) // (2 * stride) + 1
        ranges.append((first, last + 1))
    padded = functional.pad(scores, (1, 1, 1, 1))
    (top, bottom), (left, right) = ranges
    # Exactly the cells that the interpolation reads: more would cost time, fewer would be repeated at the border.
    part = padded[..., top:bottom, left:right].contiguous(memory_format=torch.channels_last)
    fine = functional.interpolate(part, scale_factor=stride, mode="bilinear", align_corners=False)
    row, column = shift - top * stride, shift - left * stride
    return fine[..., row : row + shape[-2], column : column + shape[-1]].contiguous()


def can_interpolate(layer: nn.ConvTranspose2d, scores: Tensor) -> bool:
    """Return whether interpolation gives the layer's output.

    It does not where a score is infinite or NaN: zeros in the transposed convolution's kernels turn it into NaN in
    every class.

    >>> layer = bilinear_upsampling(2, kernel=4, stride=2)
    >>> can_interpolate(layer, torch.zeros(1, 2, 3, 3)), can_interpolate(layer, torch.full((1, 2, 3, 3), torch.inf))
    (True, False)
    """
    return _is_bilinear(layer) and bool(scores.isfinite().all())


def _is_bilinear(layer: nn.ConvTranspose2d) -> bool:
    """Return whether a layer up-samples each channel on its own, with the bilinear kernel of twice its stride."""
    weight, stride = layer.weight, layer.stride[0]
    settings = (layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups, layer.bias)
    if settings != ((stride, stride), (0, 0), (0, 0), (1, 1), 1, None):
        return False
    if weight.shape[0] != weight.shape[1] or tuple(weight.shape[2:]) != (2 * stride, 2 * stride):
        return False
    kernel = bilinear_kernel(2 * stride).to(weight)
    diagonal = torch.eye(len(weight), device="cpu").to(weight)
    return torch.equal(weight, diagonal[:, :, None, None] * kernel)
