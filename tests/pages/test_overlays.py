"""Images as data URLs: colours of classes, wrong pixels, hatched ignored pixels."""

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnbench.pages.overlays import difference_url, image_url, overlay_url

SIDE = 32
GREY = np.full((SIDE, SIDE, 3), 100, np.uint8)


def decoded(url: str) -> NDArray[np.uint8]:
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image)


def labels(value: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE), value, np.uint8)


def test_an_image_keeps_its_size_and_colour() -> None:
    found = decoded(image_url(GREY))
    assert found.shape == (SIDE, SIDE, 3)
    assert np.abs(found.astype(int) - 100).max() <= 3


def test_classes_are_tinted_and_the_background_is_not() -> None:
    palette = ((0, 0, 0), (200, 0, 0))
    assert np.abs(decoded(overlay_url(GREY, labels(0), palette)).astype(int) - 100).max() <= 3
    tinted = decoded(overlay_url(GREY, labels(1), palette)).astype(int).mean(axis=(0, 1))
    assert tinted == pytest.approx([160, 40, 40], abs=4)


def test_wrong_pixels_have_one_strong_colour() -> None:
    right = decoded(difference_url(GREY, labels(1), labels(1))).astype(int).mean(axis=(0, 1))
    assert right == pytest.approx([160, 160, 160], abs=4)
    wrong = decoded(difference_url(GREY, labels(1), labels(2))).astype(int).mean(axis=(0, 1))
    assert wrong == pytest.approx([228, 26, 90], abs=6)


def test_ignored_pixels_are_hatched_whatever_is_predicted() -> None:
    for url in (overlay_url(GREY, labels(255), ((0, 0, 0),)), difference_url(GREY, labels(255), labels(1))):
        found = decoded(url).astype(int)
        assert found.min() < 90
        assert found.max() > 215
        assert np.abs(found[..., 0] - found[..., 1]).max() < 12
