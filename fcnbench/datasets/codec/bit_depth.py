"""How many bits a channel of an encoded image has, read from its header.

Pillow opens many images of 16 bits as images of 8 bits, without a word: the low byte is cut off, or every value above
255 becomes 255. Its mode does not tell, so the file's own header is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fcnbench.errors import DataCorrupt

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 8
"""Bits per channel of the images that are decoded."""

_EIGHT_AT_MOST = frozenset({"BMP", "DIB", "GIF", "PCX", "QOI", "TGA", "WEBP"})
"""Pillow's names of formats that can't have more."""

_READ = frozenset({"AVIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF"})
"""Those whose header is read here."""

_MODES = {"I": "32-bit integers", "F": "floating-point numbers"}
"""Pillow's modes that no image of 8 bits has; `I;16` and its kin are the others."""

_TIFF_BITS, _TIFF_KINDS, _UNSIGNED = 258, 339, 1
"""TIFF's tags BitsPerSample and SampleFormat, and the format's value for whole numbers from 0 on."""

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG's frame headers; the three are tables and extensions."""

_SIZES_OF_JPEG2000 = b"\xff\x4f\xff\x51"
"""Start of JPEG 2000's codestream, and of the sizes in it."""

_PNM = re.compile(rb"P[2356](?:\s|#[^\n]*\n)+(?:\d+(?:\s|#[^\n]*\n)+){2}(\d{1,9})\s")
"""Width, height and largest value in the header of a PGM or PPM file; comments may stand between them."""

_AV1_CONFIGURATION = b"av1C"
"""AVIF's box that says how many bits there are."""


def check_header(content: bytes, what: str) -> None:
    """Refuse an image whose own header says that it has more than 8 bits per channel.

    Args:
        content: the file's bytes.
        what: name of the image, for messages.

    Raises:
        DataCorrupt: its channels hold more than 8 bits.
    """
    bits = header_bits(content)
    if bits is not None and bits > MOST:
        raise _too_deep(f"has {bits} bits per channel", what)


def check_bits(picture: Image, what: str) -> None:
    """Refuse an image that Pillow opened, if it holds more than 8 bits per channel; its header was looked at before.

    Args:
        picture: the image, opened.
        what: name of the image, for messages.

    Raises:
        DataCorrupt: its channels hold more than 8 bits, or numbers below 0, or its format may hold such.
    """
    kind = str(picture.format)
    if kind == "TIFF" and (wrong := _of_tiff(picture)):
        found = wrong
    elif picture.mode in _MODES or picture.mode.startswith("I;"):
        found = f"holds {_MODES.get(picture.mode, '16-bit integers')}"
    elif kind not in _EIGHT_AT_MOST | _READ:
        known = ", ".join(sorted(_EIGHT_AT_MOST | _READ))
        raise DataCorrupt(
            f"{what} is a {kind} image, expected a format that is known to hold 8 bits per channel ({known})",
            "convert the images to 8-bit PNG",
        )
    else:
        return
    raise _too_deep(found, what)


def _too_deep(found: str, what: str) -> DataCorrupt:
    return DataCorrupt(
        f"{what} {found}, expected at most {MOST} bits per channel: cut to 8 bits it would be another image",
        "convert the images to 8 bits with the scaling that the model was trained with",
    )


def header_bits(content: bytes) -> int | None:
    """Bits per channel by a file's own header; None where the header is of another format, or damaged.

    >>> header_bits(b"P6 4 3 65535 ..."), header_bits(b"P5 4 3 255 ..."), header_bits(b"GIF89a")
    (16, 8, None)
    """
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return content[24]
        if content.startswith(b"\xff\xd8"):
            return _of_jpeg(content)
        if (largest := pnm_maximum(content)) is not None:
            return largest.bit_length()
        if content[4:8] == b"ftyp" and (at := content.find(_AV1_CONFIGURATION)) > 0:
            # After the name: version, profile and level, then tier, high bit depth, twelve bits, ...
            flags = content[at + len(_AV1_CONFIGURATION) + 2]
            return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
        if (content[4:8] == b"jP  " or content.startswith(_SIZES_OF_JPEG2000)) and (
            at := content.find(_SIZES_OF_JPEG2000)
        ) >= 0:
            return _of_jpeg2000(content[at + len(_SIZES_OF_JPEG2000) :])
    except (IndexError, ValueError):  # it ends early
        pass
    return None


def pnm_maximum(content: bytes) -> int | None:
    r"""The largest value that a PGM or PPM file says it may hold; Pillow stretches all values by it.

    >>> pnm_maximum(b"P5 # made by hand\n4 3 4095 ..."), pnm_maximum(b"GIF89a")
    (4095, None)
    """
    found = _PNM.match(content)
    return int(found[1]) if found else None


def _of_jpeg(content: bytes) -> int | None:
    """The sample precision of the first frame header."""
    at = 2
    while content[at] == 0xFF:
        if content[at + 1] == 0xFF:  # filling
            at += 1
        elif content[at + 1] in _JPEG_FRAMES:
            return content[at + 4]
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def _of_jpeg2000(sizes: bytes) -> int:
    """The largest channel's bits; one bit more where a channel is signed, as it then does not begin at 0."""
    count = int.from_bytes(sizes[36:38], "big")
    return max((each & 0x7F) + 1 + (each >> 7) for each in sizes[38 : 38 + 3 * count : 3])


def _of_tiff(picture: Image) -> str:
    """What a TIFF file holds beyond whole numbers of 8 bits from 0 on; empty where nothing is wrong."""
    tags = getattr(picture, "tag_v2", {})
    bits = max(tags.get(_TIFF_BITS, (1,)))
    if bits > MOST:
        return f"has {bits} bits per channel"
    kinds = set(tags.get(_TIFF_KINDS, (_UNSIGNED,)))
    return "" if kinds <= {_UNSIGNED} else "holds signed numbers"
