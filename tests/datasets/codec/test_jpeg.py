"""The faster JPEG decoder gives Pillow's pixels, or is not used."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcnbench.datasets.codec import jpeg
from fcnbench.datasets.codec.images import decode_image
from fcnbench.errors import DataCorrupt
from tests.conftest import jpeg as make_jpeg


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    jpeg.fast_jpeg_decoder.cache_clear()
    yield
    jpeg.fast_jpeg_decoder.cache_clear()


def by_pillow(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30, "subsampling": 0}, {"optimize": True}])
def test_every_kind_of_jpeg_has_pillows_pixels(mode: str, options: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (61, 47, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "JPEG", **options)
    np.testing.assert_array_equal(decode_image(stream.getvalue(), "it"), by_pillow(stream.getvalue()))


def test_all_real_images_have_pillows_pixels(shared: Path) -> None:
    pytest.importorskip("simplejpeg")
    images = sorted((shared / "data").rglob("*.jpg"))
    assert len(images) > 600
    for path in images:
        content = path.read_bytes()
        found = jpeg.fast_decode_jpeg(content)
        assert found is not None
        np.testing.assert_array_equal(found, by_pillow(content), path.name)


def test_a_decoder_with_other_pixels_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    simplejpeg = pytest.importorskip("simplejpeg")
    assert jpeg.fast_jpeg_decoder() is not None
    jpeg.fast_jpeg_decoder.cache_clear()
    right = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *given, **options: right(*given, **options) ^ 1)
    assert jpeg.fast_jpeg_decoder() is None
    assert jpeg.fast_decode_jpeg(make_jpeg(20, 30)) is None


def test_without_it_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "simplejpeg":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    assert jpeg.fast_jpeg_decoder() is None
    content = make_jpeg(20, 30)
    np.testing.assert_array_equal(decode_image(content, "it"), by_pillow(content))


def test_damage_is_described_by_pillow() -> None:
    content = make_jpeg(80, 90)
    with pytest.raises(DataCorrupt, match="it can't be decoded, it is truncated or not an image"):
        decode_image(content[: len(content) // 2], "it")
    with pytest.raises(DataCorrupt, match="can't be decoded"):
        decode_image(b"\xff\xd8\xff" + bytes(100), "it")
