"""From a picture to a network's input."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VOC_MEAN_BGR = (104.00699, 116.66877, 122.67892)
"""Mean colour that the reference nets subtract, in the order blue, green, red (`voc_layers.py`, net definitions)."""

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
"""Mean colour of ImageNet on a scale of 0..1, torchvision's convention."""

IMAGENET_STD_RGB = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's colours on a scale of 0..1, torchvision's convention."""


def caffe_bgr(image: NDArray[np.uint8]) -> Tensor:
    """The reference's input: BGR on a scale of 0..255, mean colour subtracted.

    Args:
        image: uint8 [H, W, 3] RGB.

    Returns:
        float32 [3, H, W].
    """
    return _planes(image[:, :, ::-1]).sub_(torch.tensor(VOC_MEAN_BGR).view(3, 1, 1))


def imagenet_rgb(image: NDArray[np.uint8]) -> Tensor:
    """torchvision's input: RGB on a scale of 0..1, ImageNet's mean subtracted, divided by its standard deviation.

    Args:
        image: uint8 [H, W, 3] RGB.

    Returns:
        float32 [3, H, W].
    """
    mean, std = torch.tensor(IMAGENET_MEAN_RGB).view(3, 1, 1), torch.tensor(IMAGENET_STD_RGB).view(3, 1, 1)
    return _planes(image).div_(255).sub_(mean).div_(std)


def _planes(image: NDArray[np.uint8]) -> Tensor:
    """The channels as float32 planes [3, H, W], a copy."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
