"""DeepLabv3 on a MobileNetV2 of half width, output stride 8, as Google published it for PASCAL VOC.

Batch norm is folded into the convolutions. TensorFlow's SAME padding depends on the size of the input and is uneven at
stride 2, so it is computed per image. The ASPP has only the 1x1 branch and the image-level branch.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.errors import WeightsError

EXPANSION = 6
"""Ratio of the channels inside an inverted residual block to its input channels."""

BLOCKS = (
    # channels, stride, dilation
    (12, 2, 1), (12, 1, 1),
    (16, 2, 1), (16, 1, 1), (16, 1, 1),
    (32, 1, 1), (32, 1, 2), (32, 1, 2), (32, 1, 2),
    (48, 1, 2), (48, 1, 2), (48, 1, 2),
    (80, 1, 2), (80, 1, 4), (80, 1, 4),
    (160, 1, 4),
)  # fmt: skip
"""The inverted residual blocks after the first one. From the sixth on, dilation replaces stride."""


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, then ReLU6 if wanted."""

    def __init__(self, channels_in: int, channels: int, kernel: int = 1, stride: int = 1, **options: int) -> None:
        self.relu6 = bool(options.pop("relu6", 0))
        super().__init__(channels_in, channels, kernel, stride=stride, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; the output has ceil(size / stride) rows and columns."""
        # functional.pad takes columns (left, right) before rows (top, bottom).
        x = functional.pad(x, (*self._padding(x.shape[3]), *self._padding(x.shape[2])))
        x = super().forward(x)
        return functional.relu6(x) if self.relu6 else x

    def _padding(self, size: int) -> tuple[int, int]:
        """Return the number of zeros before and after along one axis; an odd one is added after."""
        stride, reach = self.stride[0], self.dilation[0] * (self.kernel_size[0] - 1)
        # Rounded up without negative numbers, whose division ONNX rounds differently.
        total = max(((size + stride - 1) // stride - 1) * stride + reach + 1 - size, 0)
        return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand by 1x1, filter each channel by 3x3, project by 1x1, add the input if shapes match."""

    def __init__(self, channels_in: int, channels: int, stride: int, dilation: int, expansion: int = EXPANSION) -> None:
        super().__init__()
        inside = channels_in * expansion
        self.expand = SameConv(channels_in, inside, relu6=1) if expansion > 1 else nn.Identity()
        self.filter = SameConv(inside, inside, 3, stride, dilation=dilation, groups=inside, relu6=1)
        self.project = SameConv(inside, channels)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Run the block."""
        output = self.project(self.filter(self.expand(x)))
        return output + x if self.residual else output


class VocDeepLab(nn.Module):
    """The network: preprocessed images [N, 3, H, W] to logits [N, 21, H, W]."""

    num_classes = 21

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 16, 3, stride=2, relu6=1)
        blocks = [InvertedResidual(16, 8, stride=1, dilation=1, expansion=1)]
        channels_in = 8
        for channels, stride, dilation in BLOCKS:
            blocks.append(InvertedResidual(channels_in, channels, stride, dilation))
            channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.image_pooling = nn.Conv2d(channels_in, 256, 1)
        self.aspp = nn.Conv2d(channels_in, 256, 1)
        self.projection = nn.Conv2d(512, 256, 1)
        self.logits = nn.Conv2d(256, self.num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits at the images' size; the last resize aligns corners, as the published graph does."""
        x = self.blocks(self.stem(images))
        # Resizing a map of one cell to the size of the feature map repeats its values.
        pooled = torch.relu(self.image_pooling(x.mean((2, 3), keepdim=True))).expand(-1, -1, *x.shape[2:])
        local = torch.relu(self.aspp(x))
        scores = self.logits(torch.relu(self.projection(torch.cat([pooled, local], 1))))
        return functional.interpolate(scores, images.shape[2:], mode="bilinear", align_corners=True)


def prepare(image: NDArray[np.uint8]) -> Tensor:
    """Preprocess an image, uint8 [H, W, 3] RGB, to float32 [3, H, W] in -1..1."""
    return torch.from_numpy(image.transpose(2, 0, 1) / np.float32(127.5) - np.float32(1)).contiguous()


def load_arrays(network: VocDeepLab, path: str) -> None:
    """Fill the network from `convNN.weight` (output, input, row, column) and `convNN.bias`, numbered in forward order.

    Raises:
        WeightsError: the file is missing, damaged, or contains other arrays.
    """
    hint = "pass the .npz file that the plugin's README describes"
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    try:
        with Path(path).expanduser().open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            for number, layer in enumerate(layers):
                for part, parameter in (("weight", layer.weight), ("bias", layer.bias)):
                    value = torch.from_numpy(arrays[f"conv{number:02d}.{part}"])
                    if value.shape != parameter.shape or value.dtype != parameter.dtype:
                        actual = f"{value.dtype} {tuple(value.shape)}"
                        raise ValueError(f"conv{number:02d}.{part} is {actual}, expected {tuple(parameter.shape)}")
                    parameter.data.copy_(value)
            expected = {f"conv{number:02d}.{part}" for number in range(len(layers)) for part in ("weight", "bias")}
            extra = set(arrays.files) - expected - {"__meta__"}
            if extra:
                raise ValueError(f"it holds arrays of another network: {', '.join(sorted(extra)[:3])}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} does not hold the weights of voc-deeplab: {error}", hint) from error
