"""Pictures for a page: a photograph with a label map over it, void hatched, as data URLs."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from fcnbench.labelspace import IGNORE

Image = NDArray[np.uint8]

_WRONG = (228, 26, 90)
"""Colour of wrong pixels: far from every colour of the VOC palette."""

_STRIPE = 6
"""Pixels from one stripe of the hatching to the next."""

_QUALITY = 82


def photograph(image: Image) -> str:
    """A picture, uint8 [H, W, 3], as a data URL."""
    return _data_url(image)


def overlay(image: Image, labels: Image, palette: tuple[tuple[int, int, int], ...]) -> str:
    """Classes in their colours over a picture; ignored pixels are hatched.

    Args:
        image: uint8 [H, W, 3].
        labels: uint8 [H, W], classes and 255.
        palette: one (R, G, B) per class.
    """
    colours = np.zeros((256, 3), np.float32)
    colours[: len(palette)] = palette
    mixed = 0.4 * image + 0.6 * colours[labels]
    # The first class is background: there the picture shows.
    mixed[labels == 0] = image[labels == 0]
    return _data_url(_hatched(mixed, labels == IGNORE))


def difference(image: Image, truth: Image, prediction: Image) -> str:
    """Wrong pixels in one strong colour over a faint picture; ignored pixels are hatched."""
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.5 + 110
    grey[(truth != prediction) & (truth != IGNORE)] = _WRONG
    return _data_url(_hatched(grey, truth == IGNORE))


def _hatched(image: NDArray[np.floating], void: NDArray[np.bool_]) -> Image:
    rows, columns = np.indices(void.shape)
    stripe = (rows + columns) % _STRIPE < _STRIPE // 2
    image = image.copy()
    image[void & stripe] = 245
    image[void & ~stripe] = 60
    return image.clip(0, 255).astype(np.uint8)


def _data_url(image: Image) -> str:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(image).save(stream, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
