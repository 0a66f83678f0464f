"""Decoding pictures and label maps, and the canonical 8-bit index PNG.

Pillow decodes everything; it is imported on first use, so that listing tasks stays quick.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec import png
from fcnbench.datasets.codec.bit_depth import check_bits, check_header, pnm_maximum
from fcnbench.datasets.codec.jpeg import fast_decode_jpeg
from fcnbench.datasets.codec.pillow import MOST_PIXELS, decoded_strictly, strict_pillow
from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image


_DEPTH_MAXIMUM = 65535
"""The largest value of a PGM file that Pillow reads as it is written."""

_GREYS = tuple((value, value, value) for value in range(256))


@contextmanager
def _opened(content: bytes, what: str) -> Iterator[Image]:
    """Open an encoded picture; whatever Pillow says about broken bytes becomes one of our errors."""
    from PIL import Image, UnidentifiedImageError

    try:
        with strict_pillow(), Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width}x{picture.height} pixels, which may be a decompression bomb")
            yield picture
    # Pillow raises these (and SyntaxError for broken PNG chunks) on bytes that are no picture or only a part of one.
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        if isinstance(error, DataCorrupt):
            raise
        # Pillow names the memory that it read from; a person knows no such thing.
        reason = "no known format" if isinstance(error, UnidentifiedImageError) else error
        raise DataCorrupt(
            f"{what} can't be decoded, it is truncated or no picture: {reason}",
            "get the file again and compare its digest or size",
        ) from error


@decoded_strictly
def decode_image(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode an image of at most 8 bits per channel to uint8 [H, W, 3] RGB.

    Colours are taken as stored: no rotation by EXIF, since label maps know none, no colour profile, and no blending
    where the image has an alpha channel or a transparent colour.

    Args:
        content: the file's bytes.
        what: name of the image, for messages.

    Raises:
        DataCorrupt: truncated, not an image, or one of more than 8 bits per channel.
    """
    if (pixels := fast_decode_jpeg(content)) is not None:
        return pixels
    check_header(content, what)
    with _opened(content, what) as picture:
        check_bits(picture, what)
        # Pillow warns of a palette's transparent colours when it leaves them out, which is meant.
        picture.info.pop("transparency", None)
        # A copy: Pillow's own memory is read-only, which PyTorch warns about.
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


@decoded_strictly
def decode_hha(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode an HHA image to uint8 [H, W, 3].

    Raises:
        DataCorrupt: as for `decode_image`, or it has other than three channels.
    """
    check_header(content, what)
    with _opened(content, what) as picture:
        check_bits(picture, what)
        if picture.mode != "RGB":
            raise DataCorrupt(
                f"{what} is an image of mode {picture.mode}; HHA has three channels (disparity, height, angle)",
                "use the dataset's original HHA images; depth maps do not belong among them",
            )
    return decode_image(content, what)


@decoded_strictly
def decode_depth(content: bytes, what: str) -> NDArray[np.uint16]:
    """Decode a depth picture to uint16 [H, W], millimetres.

    Raises:
        DataCorrupt: truncated, no picture, or not 16-bit grey.
    """
    with _opened(content, what) as picture:
        if picture.mode not in ("I;16", "I;16B", "I;16L", "I"):
            raise DataCorrupt(
                f"{what} is a picture of mode {picture.mode}; a depth map has one channel of 16-bit millimetres",
                "use the dataset's original depth maps",
            )
        if picture.format == "PPM" and pnm_maximum(content) != _DEPTH_MAXIMUM:
            raise DataCorrupt(
                f"{what} is a PGM file whose largest value is not 65535, so that its depths would be stretched",
                "write depth maps as 16-bit PNG, in millimetres",
            )
        values = np.array(picture)
    if values.size and (values.min() < 0 or values.max() > np.iinfo(np.uint16).max):
        raise DataCorrupt(f"{what} holds depths beyond 16 bits", "use the dataset's original depth maps")
    return values.astype(np.uint16)


def encode_ppm(image: NDArray[np.uint8]) -> bytes:
    """A picture as binary PPM (P6), a text header and the raw pixels: bytes that no library's version can change.

    Args:
        image: uint8 [H, W, 3] RGB.
    """
    height, width, _ = image.shape
    return f"P6\n{width} {height}\n255\n".encode() + np.ascontiguousarray(image).tobytes()


def encode_depth(depth: NDArray[np.uint16]) -> bytes:
    """A depth map as binary PGM (P5) with 16 bits, likewise.

    Args:
        depth: uint16 [H, W], millimetres.
    """
    height, width = depth.shape
    return f"P5\n{width} {height}\n65535\n".encode() + depth.astype(">u2").tobytes()


@decoded_strictly
def decode_label(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode a label map to its indices, uint8 [H, W]: palette indices or grey values, never colours.

    Args:
        content: the PNG file's bytes.
        what: name of the label map, for messages.

    Raises:
        DataCorrupt: truncated, no PNG, or with other than one 8-bit channel.
    """
    if (indices := png.fast_decode_label(content)) is not None:
        return indices
    with _opened(content, what) as picture:
        # Grey of fewer bits comes out stretched to 0..255: 15 times or more what was written, or not, who knows.
        stretched = picture.mode == "L" and (chunks := png.read_png(content)) is not None and chunks.depth < 8
        if picture.format != "PNG" or picture.mode not in ("P", "L") or stretched:
            raise DataCorrupt(
                f"{what} is a {picture.format} picture of mode {picture.mode}{' with fewer bits' * stretched}; a "
                "label map is a PNG with one channel of 8-bit class indices (mode P or L)",
                "use the dataset's original label maps: a map saved as colours has lost its indices",
            )
        return np.array(picture)


def encode_label(label: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]] | None = None) -> bytes:
    """Encode a label map as an 8-bit palette PNG whose pixel values are the class indices.

    Args:
        label: uint8 [H, W].
        palette: 256 colours; by default index i is the grey (i, i, i): whichever reader opens the file, as palette,
            grey or colours, sees the index.
    """
    from PIL import Image

    picture, stream = Image.fromarray(label), io.BytesIO()
    picture.putpalette([value for colour in palette or _GREYS for value in colour])
    # Pillow writes palette pictures without PNG's filters. That and the first level of compression make them a little
    # larger than they could be, and nearly twice as fast to read as filtered grey ones.
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def image_extension(content: bytes) -> str:
    """The usual file name ending of a picture, told by its first bytes."""
    heads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"P6": ".ppm", b"P5": ".pgm"}
    return next((ending for head, ending in heads.items() if content.startswith(head)), ".bin")


def label_counts(label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels per value 0..255 of a label map, int64 [256]."""
    return np.bincount(label.reshape(-1), minlength=256).astype(np.int64, copy=False)


def check_label(label: NDArray[np.uint8], space: LabelSpace, what: str) -> None:
    """Check that a label map holds classes and the ignore value, and nothing else.

    Raises:
        DataCorrupt: it holds another value; the error names it.
    """
    counts = label_counts(label)
    counts[: space.num_classes] = counts[space.ignore] = 0
    if counts.any():
        stray = ", ".join(f"{value} ({counts[value]} pixels)" for value in np.flatnonzero(counts))
        raise DataCorrupt(
            f"{what} holds the values {stray}: neither a class of {space.name} (0..{space.num_classes - 1}) nor "
            f"ignore ({space.ignore})",
            "use the dataset's original label maps",
        )


def check_sizes(image: NDArray[Any], label: NDArray[np.uint8], what: str, kind: str = "picture") -> None:
    """Check that a picture, or another map of a sample, has its label map's height and width.

    Raises:
        DataCorrupt: they differ.
    """
    if image.shape[:2] != label.shape:
        raise DataCorrupt(
            f"{what}: the {kind} is {image.shape[1]}x{image.shape[0]} and its label map "
            f"{label.shape[1]}x{label.shape[0]} pixels",
            f"{kind} and label map must come from one release, unresized",
        )
