"""From pictures to a network's input, as the reference's data layers do it."""

from __future__ import annotations

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


def caffe_bgr(image: NDArray[np.uint8]) -> Tensor:
    """The reference's input for PASCAL VOC and PASCAL-Context: BGR on a scale of 0..255, mean colour subtracted.

    Args:
        image: uint8 [H, W, 3] RGB.

    Returns:
        float32 [3, H, W].
    """
    return _centred(image[:, :, ::-1], VOC_MEAN_BGR)


def siftflow_bgr(image: NDArray[np.uint8]) -> Tensor:
    """The same with SIFT Flow's mean: uint8 [H, W, 3] RGB to float32 [3, H, W]."""
    return _centred(image[:, :, ::-1], SIFTFLOW_MEAN_BGR)


def nyud_bgr(image: NDArray[np.uint8]) -> Tensor:
    """The same with NYUDv2's mean: uint8 [H, W, 3] RGB to float32 [3, H, W]."""
    return _centred(image[:, :, ::-1], NYUD_MEAN_BGR)


def nyud_hha(hha: NDArray[np.uint8]) -> Tensor:
    """HHA in its own channel order, mean subtracted: uint8 [H, W, 3] to float32 [3, H, W]."""
    return _centred(hha, NYUD_MEAN_HHA)


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
    mean, std = torch.tensor(IMAGENET_MEAN_RGB).view(3, 1, 1), torch.tensor(IMAGENET_STD_RGB).view(3, 1, 1)
    return _planes(image).div_(255).sub_(mean).div_(std)


def _centred(image: NDArray[np.uint8], mean: tuple[float, float, float]) -> Tensor:
    return _planes(image).sub_(torch.tensor(mean).view(3, 1, 1))


def _planes(image: NDArray[np.uint8]) -> Tensor:
    """The channels as float32 planes [3, H, W], a copy."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
