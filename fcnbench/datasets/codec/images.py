"""Decoding of images and label maps, and encoding of canonical 8-bit index PNGs.

Plain label maps are decoded by `png.py`, and JPEG files by simplejpeg if it is installed and agrees with Pillow; Pillow
decodes everything else. It is imported on first use, so that listing datasets stays quick.
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
"""The maximum in the header of PGM files whose values Pillow does not rescale."""

_GREYS = tuple((value, value, value) for value in range(256))


@contextmanager
def _open_image(content: bytes, name: str) -> Iterator[Image]:
    """Open an encoded image; errors of Pillow about damaged bytes, also inside the block, become DataCorrupt."""
    from PIL import Image, UnidentifiedImageError

    try:
        with strict_pillow(), Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels, which may be a decompression bomb")
            yield image
    # Pillow raises these for bytes that are not a complete image; SyntaxError is for broken PNG chunks.
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as error:
        if isinstance(error, DataCorrupt):
            raise
        # The message of UnidentifiedImageError names a buffer in memory.
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise DataCorrupt(
            f"{name} can't be decoded, it is truncated or not an image: {reason}",
            "get the file again and compare its digest or size",
        ) from error


@decoded_strictly
def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an image of at most 8 bits per channel to uint8 [H, W, 3] RGB.

    Colours are taken as stored: without rotation by EXIF (label maps have none), without a colour profile, and without
    blending of an alpha channel or a transparent colour.

    Args:
        content: content of the file.
        name: name of the image, for messages.

    Raises:
        DataCorrupt: the content is truncated, is not an image, or has more than 8 bits per channel.

    >>> decode_image(encode_ppm(np.zeros((2, 3, 3), np.uint8)), "black").shape
    (2, 3, 3)
    """
    if (pixels := fast_decode_jpeg(content)) is not None:
        return pixels
    check_header(content, name)
    with _open_image(content, name) as image:
        check_bits(image, name)
        return _rgb_pixels(image)


@decoded_strictly
def decode_hha(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an HHA image to uint8 [H, W, 3].

    Args:
        content: content of the file.
        name: name of the image, for messages.

    Raises:
        DataCorrupt: as for `decode_image`, or the image does not have three channels.
    """
    check_header(content, name)
    with _open_image(content, name) as image:
        check_bits(image, name)
        if image.mode != "RGB":
            raise DataCorrupt(
                f"{name} is an image of mode {image.mode}; HHA has three channels (disparity, height, angle)",
                "use the dataset's original HHA images; depth maps do not belong among them",
            )
        return _rgb_pixels(image)


def _rgb_pixels(image: Image) -> NDArray[np.uint8]:
    """Return the colours of an opened image as stored, uint8 [H, W, 3]."""
    # Without this, Pillow warns about the transparent colours of a palette, which are ignored on purpose.
    image.info.pop("transparency", None)
    # A copy: Pillow's memory is read-only, which PyTorch warns about.
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@decoded_strictly
def decode_depth(content: bytes, name: str) -> NDArray[np.uint16]:
    """Decode a depth map to uint16 [H, W], millimetres.

    Args:
        content: content of the file.
        name: name of the depth map, for messages.

    Raises:
        DataCorrupt: the content is truncated, or is not a 16-bit grey image.

    >>> decode_depth(encode_depth(np.full((1, 2), 1500, np.uint16)), "flat")
    array([[1500, 1500]], dtype=uint16)
    """
    with _open_image(content, name) as image:
        if image.mode not in ("I;16", "I;16B", "I;16L", "I"):
            raise DataCorrupt(
                f"{name} is an image of mode {image.mode}; a depth map has one channel of 16-bit millimetres",
                "use the dataset's original depth maps",
            )
        if image.format == "PPM" and pnm_maximum(content) != _DEPTH_MAXIMUM:
            raise DataCorrupt(
                f"{name} is a PGM file whose maximum is not 65535, so that its depths would be rescaled",
                "write depth maps as 16-bit PNG, in millimetres",
            )
        values = np.array(image)
    if values.size and (values.min() < 0 or values.max() > np.iinfo(np.uint16).max):
        raise DataCorrupt(f"{name} holds depths beyond 16 bits", "use the dataset's original depth maps")
    return values.astype(np.uint16)


def encode_ppm(image: NDArray[np.uint8]) -> bytes:
    r"""Encode an image as binary PPM (P6), a text header and raw pixels: the bytes do not depend on a library.

    Args:
        image: uint8 [H, W, 3] RGB.

    >>> encode_ppm(np.zeros((1, 1, 3), np.uint8))
    b'P6\n1 1\n255\n\x00\x00\x00'
    """
    height, width, _ = image.shape
    return f"P6\n{width} {height}\n255\n".encode() + np.ascontiguousarray(image).tobytes()


def encode_depth(depth: NDArray[np.uint16]) -> bytes:
    """Encode a depth map as binary PGM (P5) with 16 bits, for the same reason.

    Args:
        depth: uint16 [H, W], millimetres.
    """
    height, width = depth.shape
    return f"P5\n{width} {height}\n65535\n".encode() + depth.astype(">u2").tobytes()


@decoded_strictly
def decode_label(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a label map to its indices, uint8 [H, W]: palette indices or grey values, not colours.

    Args:
        content: content of the PNG file.
        name: name of the label map, for messages.

    Raises:
        DataCorrupt: the content is truncated, is not a PNG, or does not have one 8-bit channel.

    >>> decode_label(encode_label(np.array([[0, 255]], np.uint8)), "tiny")
    array([[  0, 255]], dtype=uint8)
    """
    if (indices := png.fast_decode_label(content)) is not None:
        return indices
    with _open_image(content, name) as image:
        # Pillow rescales grey values of fewer bits to 0..255, so the indices are lost.
        rescaled = image.mode == "L" and (chunks := png.read_png(content)) is not None and chunks.depth < 8
        if image.format != "PNG" or image.mode not in ("P", "L") or rescaled:
            raise DataCorrupt(
                f"{name} is a {image.format} image of mode {image.mode}{' with fewer bits' * rescaled}; a "
                "label map is a PNG with one channel of 8-bit class indices (mode P or L)",
                "use the dataset's original label maps: one saved as colours has lost its indices",
            )
        return np.array(image)


def encode_label(label: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]] | None = None) -> bytes:
    """Encode a label map as an 8-bit palette PNG whose pixel values are the class indices.

    Args:
        label: uint8 [H, W].
        palette: 256 colours; by default index i has the grey (i, i, i), so that a reader gets the index whether it
            opens the file as palette, grey or colour image.
    """
    from PIL import Image

    image, stream = Image.fromarray(label), io.BytesIO()
    image.putpalette([value for colour in palette or _GREYS for value in colour])
    # Pillow writes palette images without PNG filters. These files, at the lowest level of compression, are a little
    # larger than filtered grey ones, and read nearly twice as fast.
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def image_extension(content: bytes) -> str:
    """Return the usual extension of an image file, by its first bytes.

    >>> image_extension(b"P6 1 1 255 ...")
    '.ppm'
    """
    heads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"P6": ".ppm", b"P5": ".pgm"}
    return next((extension for head, extension in heads.items() if content.startswith(head)), ".bin")


def label_counts(label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of pixels per value 0..255 of a label map, int64 [256]."""
    return np.bincount(label.reshape(-1), minlength=256).astype(np.int64, copy=False)


def check_label(label: NDArray[np.uint8], space: LabelSpace, name: str) -> None:
    """Check that a label map holds only class indices and the ignore value.

    Args:
        label: uint8 [H, W].
        space: the label space.
        name: name of the label map, for messages.

    Raises:
        DataCorrupt: it holds other values; the message lists them.
    """
    counts = label_counts(label)
    counts[: space.num_classes] = counts[space.ignore] = 0
    if counts.any():
        stray = ", ".join(f"{value} ({counts[value]} pixels)" for value in np.flatnonzero(counts))
        raise DataCorrupt(
            f"{name} holds the values {stray}: neither a class of {space.name} (0..{space.num_classes - 1}) nor "
            f"ignore ({space.ignore})",
            "use the dataset's original label maps",
        )


def check_sizes(image: NDArray[Any], label: NDArray[np.uint8], name: str, kind: str = "image") -> None:
    """Check that an image, or another map of a sample, has the height and width of the label map.

    Args:
        image: an array [H, W, ...].
        label: label map [H, W].
        name: name of the sample, for messages.
        kind: kind of the first array, for messages.

    Raises:
        DataCorrupt: the sizes differ.
    """
    if image.shape[:2] != label.shape:
        raise DataCorrupt(
            f"{name}: the {kind} is {image.shape[1]}x{image.shape[0]} and its label map "
            f"{label.shape[1]}x{label.shape[0]} pixels",
            f"use the {kind} and the label map of one release, without resizing",
        )
