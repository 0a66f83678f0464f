"""Images for a page as data URLs: an image alone, under a label map, or with its wrong pixels marked."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from fcnbench.labelspace import IGNORE

Image = NDArray[np.uint8]

_WRONG = (228, 26, 90)
"""Colour of wrong pixels, far from every colour of the VOC palette."""

_STRIPE = 6
"""Pixels from one stripe of the hatching to the next."""

_QUALITY = 82
"""JPEG quality: no visible artefacts at the size of the page, at a quarter of the bytes of quality 95."""


def image_url(image: Image) -> str:
    """Return an image, uint8 [H, W, 3], as a data URL.

    >>> image_url(np.zeros((2, 2, 3), np.uint8))[:23]
    'data:image/jpeg;base64,'
    """
    return _data_url(image)


def overlay_url(image: Image, labels: Image, palette: tuple[tuple[int, int, int], ...]) -> str:
    """Return an image under the colours of a label map as a data URL; ignored pixels are hatched.

    Args:
        image: uint8 [H, W, 3].
        labels: uint8 [H, W], classes and 255.
        palette: one (R, G, B) per class.

    >>> overlay_url(np.zeros((1, 2, 3), np.uint8), np.array([[1, 255]], np.uint8), ((0, 0, 0), (9, 9, 9)))[:15]
    'data:image/jpeg'
    """
    colours = np.zeros((256, 3), np.float32)
    colours[: len(palette)] = palette
    mixed = 0.4 * image + 0.6 * colours[labels]
    # The first class is the background, where the image stays visible.
    mixed[labels == 0] = image[labels == 0]
    return _data_url(_hatched(mixed, labels == IGNORE))


def difference_url(image: Image, truth: Image, prediction: Image) -> str:
    """Return a faint image with its wrong pixels in one strong colour as a data URL; ignored pixels are hatched.

    Args:
        image: uint8 [H, W, 3].
        truth: ground truth, uint8 [H, W], classes and 255.
        prediction: uint8 [H, W].

    >>> labels = np.zeros((1, 1), np.uint8)
    >>> difference_url(np.zeros((1, 1, 3), np.uint8), labels, labels)[:15]
    'data:image/jpeg'
    """
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.5 + 110
    grey[(truth != prediction) & (truth != IGNORE)] = _WRONG
    return _data_url(_hatched(grey, truth == IGNORE))


def _hatched(image: NDArray[np.floating], ignored: NDArray[np.bool_]) -> Image:
    rows, columns = np.indices(ignored.shape)
    stripe = (rows + columns) % _STRIPE < _STRIPE // 2
    image = image.copy()
    image[ignored & stripe] = 245
    image[ignored & ~stripe] = 60
    return image.clip(0, 255).astype(np.uint8)


def _data_url(image: Image) -> str:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(image).save(stream, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
