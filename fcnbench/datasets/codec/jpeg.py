"""A faster JPEG decoder than Pillow, used if it is installed and gives the same pixels.

simplejpeg (extra `fast`) calls libjpeg-turbo, as Pillow does, with less overhead. Before its first use it has to decode
a few generated images to exactly the pixels of Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

JpegDecoder = Callable[[bytes], NDArray[np.uint8]]

_HEAD = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""

_COLOURS = ("YCbCr", "Gray", "RGB")
"""Colour spaces that both decoders convert to the same RGB; CMYK is not one of them."""

_PROBES = (("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0))
"""Colour modes and chroma subsamplings of the images that the decoder is tested with."""


def fast_decode_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG file to uint8 [H, W, 3] RGB; None if Pillow must decode it, or describe its damage."""
    decoder = fast_jpeg_decoder()
    if decoder is None or not content.startswith(_HEAD):
        return None
    try:
        return decoder(content)
    # simplejpeg raises ValueError for damaged files; Pillow describes the damage.
    except ValueError:
        return None


@cache
def fast_jpeg_decoder() -> JpegDecoder | None:
    """Return the faster decoder; None if it is not installed, or gives other pixels than Pillow."""
    try:
        from simplejpeg import decode_jpeg, decode_jpeg_header
    except ImportError:
        return None

    def decode(content: bytes) -> NDArray[np.uint8]:
        if decode_jpeg_header(content)[2] not in _COLOURS:
            raise ValueError("a colour space that is left to Pillow")
        pixels: NDArray[np.uint8] = decode_jpeg(content, "RGB", fastdct=False, fastupsample=False)
        return pixels

    return decode if all(_agree(decode, mode, subsampling) for mode, subsampling in _PROBES) else None


def _agree(decode: JpegDecoder, mode: str, subsampling: int) -> bool:
    """Return whether a decoder gives the pixels of Pillow for a small image of odd size."""
    from PIL import Image

    rows, columns = np.indices((53, 37))
    colours = np.stack([rows * 5, columns * 7, rows * columns], 2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).convert(mode).save(stream, "JPEG", quality=85, subsampling=subsampling)
    try:
        pixels = decode(stream.getvalue())
    except ValueError:
        return False
    with Image.open(stream) as image:
        return np.array_equal(pixels, np.asarray(image.convert("RGB")))
