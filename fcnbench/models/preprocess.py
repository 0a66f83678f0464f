"""From pictures to a network's input, as the reference's data layers do it."""

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
"""The same for NYUDv2 (`nyud_layers.py`). It falls like a mean in the order red, green, blue, and is subtracted from
blue, green, red all the same: that is what the published weights were trained with."""

SIFTFLOW_MEAN_BGR = (114.578, 115.294, 108.353)
"""The same for SIFT Flow (`siftflow_layers.py`)."""

NYUD_MEAN_LOG_DEPTH = 7.844
"""Mean natural logarithm of depths in millimetres (`nyud_layers.py`)."""

NYUD_MEAN_HHA = (132.431, 94.076, 118.477)
"""Mean of the three channels of HHA pictures, in their own order (`nyud_layers.py`)."""

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
"""Mean colour of ImageNet on a scale of 0..1, torchvision's convention."""

IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's colours on a scale of 0..1, torchvision's convention."""


def channel_values(values: Sequence[float]) -> Tensor:
    """Return a value for each of three channels, float32 [3, 1, 1] on the CPU, whatever the defaults of PyTorch are."""
    return torch.tensor(values, dtype=torch.float32, device="cpu").view(3, 1, 1)


class Centred:
    """A preparation that does no more than subtract a mean from every channel.

    Args:
        name: what records call it.
        mean: of every channel, in the network's order.
        reverse: whether the network's channels are in the other order than the picture's.
    """

    def __init__(self, name: str, mean: tuple[float, float, float], reverse: bool) -> None:
        self.__name__ = name
        self._mean = channel_values(mean)
        self._reverse = reverse

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """From uint8 [H, W, 3] to float32 [3, H, W]."""
        # Into memory of PyTorch's own, which the loop need not copy as it does numpy's.
        return torch.from_numpy(self._planes(image, np.float32)).sub(self._mean)

    def on(self, device: torch.device, image: NDArray[np.uint8]) -> Tensor:
        """The same on a device: its bytes go there, a quarter of the floats, and the mean is subtracted there."""
        if device.type == "cpu":
            return self(image)
        planes = torch.from_numpy(self._planes(image, np.uint8))
        # CUDA's allocator keeps pinned memory until the copy is done; elsewhere nobody promises that for any memory.
        if device.type == "cuda":
            planes = planes.pin_memory()
        return planes.to(device, non_blocking=device.type == "cuda").float().sub_(self._mean.to(device))

    def _planes(self, image: NDArray[np.uint8], dtype: type[np.float32] | type[np.uint8]) -> NDArray[Any]:
        """The channels as planes [3, H, W], a copy."""
        ordered = image[:, :, ::-1] if self._reverse else image
        return np.ascontiguousarray(ordered.transpose(2, 0, 1), dtype=dtype)


caffe_bgr = Centred("caffe_bgr", VOC_MEAN_BGR, reverse=True)
"""The reference's input for PASCAL VOC and PASCAL-Context: BGR on a scale of 0..255, mean colour subtracted."""

siftflow_bgr = Centred("siftflow_bgr", SIFTFLOW_MEAN_BGR, reverse=True)
"""The same with SIFT Flow's mean."""

nyud_bgr = Centred("nyud_bgr", NYUD_MEAN_BGR, reverse=True)
"""The same with NYUDv2's mean."""

nyud_hha = Centred("nyud_hha", NYUD_MEAN_HHA, reverse=False)
"""HHA pictures in their own channel order, mean subtracted."""


def nyud_bgr_depth(image: NDArray[np.uint8], depth: NDArray[np.uint16]) -> Tensor:
    """Colour, and the logarithm of the depth as a fourth plane: early fusion.

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
    plane = torch.from_numpy(np.log(depth.astype(np.float32)) - np.float32(NYUD_MEAN_LOG_DEPTH))
    return torch.cat((nyud_bgr(image), plane[None]))


def nyud_bgr_hha(image: NDArray[np.uint8], hha: NDArray[np.uint8]) -> Tensor:
    """Colour, then HHA: float32 [6, H, W] for late fusion."""
    return torch.cat((nyud_bgr(image), nyud_hha(hha)))


def imagenet_rgb(image: NDArray[np.uint8]) -> Tensor:
    """torchvision's input: RGB on a scale of 0..1, ImageNet's mean subtracted, divided by its standard deviation.

    Args:
        image: uint8 [H, W, 3] RGB.

    Returns:
        float32 [3, H, W].
    """
    mean, std = channel_values(IMAGENET_MEAN_RGB), channel_values(IMAGENET_STD_RGB)
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
    return planes.div_(255).sub_(mean).div(std)
