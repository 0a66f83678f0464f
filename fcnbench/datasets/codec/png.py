"""A decoder for plain label maps, the kind of PNG that most label maps are; several times as fast as Pillow.

Plain means: eight bits, palette or grey, not interlaced, without filters. Then the rows are the bytes of one zlib
stream. Everything else, and files that look damaged, are left to Pillow. libdeflate (extra `fast`) decompresses faster
than zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
"""Colour types of one channel."""

_MAX_PIXELS = 1 << 26
"""Larger label maps are left to Pillow, and its check for decompression bombs."""


@dataclass(frozen=True)
class Png:
    """Content of the chunks of a PNG file.

    Attributes:
        width: width in pixels.
        height: height in pixels.
        depth: bits per channel.
        colour: colour type of PNG: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
        interlaced: whether the image is interlaced.
        palette: red, green and blue of each index, one byte each; empty if there is no palette.
        packed: the zlib stream of the rows.
    """

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes
    packed: bytes


def read_png(content: bytes) -> Png | None:
    """Return the content of a PNG file's chunks; None if the file is not a PNG, or is damaged."""
    header, palette, packed = b"", b"", []
    for kind, data in _chunks(content):
        if kind == b"IHDR":
            header = data
        elif kind == b"PLTE":
            palette = data
        elif kind == b"IDAT":
            packed.append(data)
        elif kind == b"IEND" and len(header) == struct.calcsize(">IIBBBBB"):
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
            return Png(width, height, depth, colour, bool(interlaced), palette, b"".join(packed))
    return None


def fast_decode_label(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a plain label map to its indices, uint8 [H, W]; None if it is not plain."""
    png = read_png(content)
    if png is None or png.depth != 8 or png.colour not in (_GREY, _PALETTE) or png.interlaced:
        return None
    size = png.height * (png.width + 1)
    if not 0 < size <= _MAX_PIXELS:
        return None
    unpacked = _unpack()(png.packed, size)
    if unpacked is None or len(unpacked) != size:
        return None
    rows = np.frombuffer(unpacked, np.uint8).reshape(png.height, png.width + 1)
    # The first byte of a row is the type of its filter; 0 means unfiltered.
    return None if rows[:, 0].any() else rows[:, 1:].copy()


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and data of the chunks, up to the first damaged one."""
    if not content.startswith(_SIGNATURE):
        return
    start = len(_SIGNATURE)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if end > len(content) or zlib.crc32(content[start + 4 : end - 4]) != int.from_bytes(
            content[end - 4 : end], "big"
        ):
            return
        yield content[start + 4 : start + 8], content[start + 8 : end - 4]
        start = end


@cache
def _unpack() -> Callable[[bytes, int], bytes | None]:
    """Return a function that decompresses a zlib stream of known size; it returns None for a damaged or larger one."""
    try:
        import deflate
    except ImportError:
        return _unpack_by_zlib

    def unpack(packed: bytes, size: int) -> bytes | None:
        try:
            return bytes(deflate.zlib_decompress(packed, size))
        except deflate.DeflateError:
            return None

    return unpack


def _unpack_by_zlib(packed: bytes, size: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error:
        return None
