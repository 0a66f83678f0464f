"""A faster JPEG decoder, where one is installed that gives the very same pixels.

Pillow decodes everything; simplejpeg (the extra `fast`) calls the same libjpeg-turbo with less around it. It is used
only after it has decoded a few pictures, made on the spot, to just the pixels that Pillow gives.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Decoder = Callable[[bytes], NDArray[np.uint8]]

_HEAD = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""

_COLOURS = ("YCbCr", "Gray", "RGB")
"""Colour spaces that both decoders turn into RGB alike; CMYK they do not."""

_PROBES = (("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0))
"""Colour modes and chroma subsamplings of the pictures that the decoder is tried on."""


def fast_decode_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG to uint8 [H, W, 3] RGB; None where Pillow has to do it, be it only to say what is wrong."""
    decoder = fast_jpeg_decoder()
    if decoder is None or not content.startswith(_HEAD):
        return None
    try:
        return decoder(content)
    # simplejpeg refuses damaged files with a ValueError; Pillow names the damage.
    except ValueError:
        return None


@cache
def fast_jpeg_decoder() -> Decoder | None:
    """The faster decoder; None where it is not installed or gives other pixels than Pillow."""
    try:
        from simplejpeg import decode_jpeg, decode_jpeg_header
    except ImportError:
        return None

    def decode(content: bytes) -> NDArray[np.uint8]:
        if decode_jpeg_header(content)[2] not in _COLOURS:
            raise ValueError("a colour space for Pillow")
        pixels: NDArray[np.uint8] = decode_jpeg(content, "RGB", fastdct=False, fastupsample=False)
        return pixels

    return decode if all(_agree(decode, mode, subsampling) for mode, subsampling in _PROBES) else None


def _agree(decode: Decoder, mode: str, subsampling: int) -> bool:
    """Whether a decoder gives Pillow's pixels for a small picture of odd size."""
    from PIL import Image

    rows, columns = np.indices((53, 37))
    colours = np.stack([rows * 5, columns * 7, rows * columns], 2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colours).convert(mode).save(stream, "JPEG", quality=85, subsampling=subsampling)
    try:
        found = decode(stream.getvalue())
    except ValueError:
        return False
    with Image.open(stream) as picture:
        return np.array_equal(found, np.asarray(picture.convert("RGB")))
