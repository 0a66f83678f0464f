"""Bits per channel of an encoded image, read from its header.

Pillow opens many 16-bit images as 8-bit images without a warning: it drops the low byte, or clips values to 255. The
mode of the opened image does not show this, so the header of the file is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fcnbench.errors import DataCorrupt

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BITS = 8
"""Most bits per channel of an image that is decoded."""

_EIGHT_AT_MOST = frozenset({"BMP", "DIB", "GIF", "PCX", "QOI", "TGA", "WEBP"})
"""Formats, by Pillow's names, that can't have more bits."""

_READ = frozenset({"AVIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF"})
"""Formats whose headers this module reads."""

_MODES = {"I": "32-bit integers", "F": "floating-point numbers"}
"""Pillow's modes of images with more than 8 bits, besides `I;16` and similar ones."""

_TIFF_BITS, _TIFF_KINDS, _UNSIGNED = 258, 339, 1
"""The TIFF tags BitsPerSample and SampleFormat, and the value of the latter for unsigned integers."""

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG frame headers; the three excluded ones are tables and extensions."""

_SIZES_OF_JPEG2000 = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream (SOC marker), followed by its SIZ marker."""

_PNM = re.compile(rb"P[2356](?:\s|#[^\n]*\n)+(?:\d+(?:\s|#[^\n]*\n)+){2}(\d{1,9})\s")
"""Width, height and maximum in the header of a PGM or PPM file; comments may be between them."""

_AV1_CONFIGURATION = b"av1C"
"""The AVIF box that holds the number of bits."""


def check_header(content: bytes, name: str) -> None:
    """Refuse an image with more than 8 bits per channel according to its header.

    Args:
        content: content of the file.
        name: name of the image, for messages.

    Raises:
        DataCorrupt: the image has more than 8 bits per channel.
    """
    bits = header_bits(content)
    if bits is not None and bits > MAX_BITS:
        raise _too_deep(f"has {bits} bits per channel", name)


def check_bits(image: Image, name: str) -> None:
    """Refuse an opened image with more than 8 bits per channel; call `check_header` before.

    Args:
        image: the image, opened by Pillow.
        name: name of the image, for messages.

    Raises:
        DataCorrupt: the channels have more than 8 bits or signed values, or the format may have such.
    """
    kind = str(image.format)
    if kind == "TIFF" and (wrong := _of_tiff(image)):
        finding = wrong
    elif image.mode in _MODES or image.mode.startswith("I;"):
        finding = f"holds {_MODES.get(image.mode, '16-bit integers')}"
    elif kind not in _EIGHT_AT_MOST | _READ:
        known = ", ".join(sorted(_EIGHT_AT_MOST | _READ))
        raise DataCorrupt(
            f"{name} is a {kind} image, expected a format that is known to hold 8 bits per channel ({known})",
            "convert the images to 8-bit PNG",
        )
    else:
        return
    raise _too_deep(finding, name)


def _too_deep(finding: str, name: str) -> DataCorrupt:
    return DataCorrupt(
        f"{name} {finding}, expected at most {MAX_BITS} bits per channel: cut to 8 bits it would be another image",
        "convert the images to 8 bits with the scaling that the model was trained with",
    )


def header_bits(content: bytes) -> int | None:
    """Return the bits per channel according to the header; None for other formats and damaged headers.

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
            # The bytes after the name are: version; profile and level; flags for tier, high bit depth, twelve bits, ...
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
    r"""Return the maximum in the header of a PGM or PPM file, by which Pillow rescales values; None for other files.

    >>> pnm_maximum(b"P5 # made by hand\n4 3 4095 ..."), pnm_maximum(b"GIF89a")
    (4095, None)
    """
    match = _PNM.match(content)
    return int(match[1]) if match else None


def _of_jpeg(content: bytes) -> int | None:
    """Return the sample precision in the first frame header."""
    at = 2
    while content[at] == 0xFF:
        if content[at + 1] == 0xFF:  # fill byte
            at += 1
        elif content[at + 1] in _JPEG_FRAMES:
            return content[at + 4]
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def _of_jpeg2000(sizes: bytes) -> int:
    """Return the largest number of bits of a channel; one more for a signed channel, whose values do not begin at 0."""
    count = int.from_bytes(sizes[36:38], "big")
    return max((bits & 0x7F) + 1 + (bits >> 7) for bits in sizes[38 : 38 + 3 * count : 3])


def _of_tiff(image: Image) -> str:
    """Return why the values of a TIFF file are not unsigned integers of 8 bits; empty if they are."""
    tags = getattr(image, "tag_v2", {})
    bits = max(tags.get(_TIFF_BITS, (1,)))
    if bits > MAX_BITS:
        return f"has {bits} bits per channel"
    kinds = set(tags.get(_TIFF_KINDS, (_UNSIGNED,)))
    return "" if kinds <= {_UNSIGNED} else "holds signed numbers"
