"""Preprocessing: from images to a network's input, as in the reference's data layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import DataCorrupt

VOC_MEAN_BGR = (104.00699, 116.66877, 122.67892)
"""Mean colour that the reference nets subtract, in the order blue, green, red (`voc_layers.py`, net definitions)."""

NYUD_MEAN_BGR = (116.190, 97.203, 92.318)
"""The same for NYUDv2 (`nyud_layers.py`).

Its values look like a mean in the order red, green, blue. The reference subtracts them from blue, green, red
nevertheless, and the published weights were trained with that.
"""

SIFTFLOW_MEAN_BGR = (114.578, 115.294, 108.353)
"""The same for SIFT Flow (`siftflow_layers.py`)."""

NYUD_MEAN_LOG_DEPTH = 7.844
"""Mean natural logarithm of depths in millimetres (`nyud_layers.py`)."""

NYUD_MEAN_HHA = (132.431, 94.076, 118.477)
"""Mean of the three channels of HHA images, in the order in which they are stored (`nyud_layers.py`)."""

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
"""Mean colour of ImageNet on a scale of 0..1, torchvision's convention."""

IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's colours on a scale of 0..1, torchvision's convention."""


def channel_values(values: Sequence[float]) -> Tensor:
    """Return one value per channel as float32 [3, 1, 1] on the CPU, whatever PyTorch's defaults are."""
    return torch.tensor(values, dtype=torch.float32, device="cpu").view(3, 1, 1)


class MeanSubtraction:
    """Preprocessing that only subtracts a mean from every channel.

    Args:
        name: its name in records.
        mean: the mean of every channel, in the network's channel order.
        reverse: whether to reverse the image's channels first, from RGB to BGR.

    >>> caffe_bgr(np.zeros((20, 30, 3), np.uint8))[:, 0, 0]
    tensor([-104.0070, -116.6688, -122.6789])
    """

    def __init__(self, name: str, mean: tuple[float, float, float], reverse: bool) -> None:
        self.__name__ = name
        self._mean = channel_values(mean)
        self._reverse = reverse

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """Return float32 [3, H, W] for an image, uint8 [H, W, 3]."""
        # `sub`, not `sub_`: a result in PyTorch's memory need not be copied by the evaluation, unlike numpy's.
        return torch.from_numpy(self._channels(image, np.float32)).sub(self._mean)

    def on(self, device: torch.device, image: NDArray[np.uint8]) -> Tensor:
        """Return the same on a device; copying uint8 moves a quarter of the bytes that float32 would."""
        if device.type == "cpu":
            return self(image)
        channels = torch.from_numpy(self._channels(image, np.uint8))
        # CUDA's allocator keeps pinned memory until the copy is done; other devices do not promise that.
        if device.type == "cuda":
            channels = channels.pin_memory()
        return channels.to(device, non_blocking=device.type == "cuda").float().sub_(self._mean.to(device))

    def _channels(self, image: NDArray[np.uint8], dtype: type[np.float32] | type[np.uint8]) -> NDArray[Any]:
        """Return a copy of the image as [3, H, W], in the network's channel order."""
        ordered = image[:, :, ::-1] if self._reverse else image
        return np.ascontiguousarray(ordered.transpose(2, 0, 1), dtype=dtype)


caffe_bgr = MeanSubtraction("caffe_bgr", VOC_MEAN_BGR, reverse=True)
"""Preprocess for PASCAL VOC and PASCAL-Context: BGR on a scale of 0..255, mean colour subtracted."""

siftflow_bgr = MeanSubtraction("siftflow_bgr", SIFTFLOW_MEAN_BGR, reverse=True)
"""`caffe_bgr` with SIFT Flow's mean."""

nyud_bgr = MeanSubtraction("nyud_bgr", NYUD_MEAN_BGR, reverse=True)
"""`caffe_bgr` with NYUDv2's mean."""

nyud_hha = MeanSubtraction("nyud_hha", NYUD_MEAN_HHA, reverse=False)
"""Preprocess HHA images: channels in the stored order, mean subtracted."""


def nyud_bgr_depth(image: NDArray[np.uint8], depth: NDArray[np.uint16]) -> Tensor:
    """Preprocess for early fusion: colour, and the logarithm of the depth as a fourth channel.

    Args:
        image: uint8 [H, W, 3] RGB.
        depth: uint16 [H, W], millimetres.

    Returns:
        float32 [4, H, W].

    Raises:
        DataCorrupt: some depth is 0, which has no logarithm.
    """
    if not depth.all():
        raise DataCorrupt("the depth map has pixels of depth 0, which have no logarithm", "use the filled depths")
    log_depth = torch.from_numpy(np.log(depth.astype(np.float32)) - np.float32(NYUD_MEAN_LOG_DEPTH))
    return torch.cat((nyud_bgr(image), log_depth[None]))


def nyud_bgr_hha(image: NDArray[np.uint8], hha: NDArray[np.uint8]) -> Tensor:
    """Preprocess for late fusion: colour, then HHA, as float32 [6, H, W]."""
    return torch.cat((nyud_bgr(image), nyud_hha(hha)))


def imagenet_rgb(image: NDArray[np.uint8]) -> Tensor:
    """Preprocess as torchvision does: RGB on a scale of 0..1, minus ImageNet's mean, divided by its deviation.

    Args:
        image: uint8 [H, W, 3] RGB.

    Returns:
        float32 [3, H, W].
    """
    mean, std = channel_values(IMAGENET_MEAN_RGB), channel_values(IMAGENET_STD_RGB)
    channels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
    return channels.div_(255).sub_(mean).div(std)
