"""Decoding pictures and label maps, and the canonical 8-bit index PNG.

Pillow decodes everything; it is imported on first use, so that listing tasks stays quick.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image


@contextmanager
def _opened(content: bytes, what: str) -> Iterator[Image]:
    """Open an encoded picture; whatever Pillow says about broken bytes becomes one of our errors."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of huge pictures that may be decompression bombs; here that is an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                yield picture
    # Pillow raises these (and SyntaxError for broken PNG chunks) on bytes that are no picture or only a part of one.
    except (
        OSError, SyntaxError, ValueError, EOFError, OverflowError,
        Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        if isinstance(error, DataCorrupt):
            raise
        raise DataCorrupt(
            f"{what} can't be decoded, it is truncated or no picture: {error}",
            "get the file again and compare its digest or size",
        ) from error


def decode_image(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode a picture to uint8 [H, W, 3] RGB, as stored: no rotation by EXIF, since label maps know none.

    Args:
        content: the file's bytes.
        what: name of the picture, for messages.

    Raises:
        DataCorrupt: truncated, or no picture.
    """
    with _opened(content, what) as picture:
        # A copy: Pillow's own memory is read-only, which PyTorch warns about.
        return np.array(picture.convert("RGB"))


def decode_label(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode a label map to its indices, uint8 [H, W]: palette indices or grey values, never colours.

    Args:
        content: the PNG file's bytes.
        what: name of the label map, for messages.

    Raises:
        DataCorrupt: truncated, no PNG, or with other than one 8-bit channel.
    """
    with _opened(content, what) as picture:
        if picture.format != "PNG" or picture.mode not in ("P", "L"):
            raise DataCorrupt(
                f"{what} is a {picture.format} picture of mode {picture.mode}; a label map is a PNG with one channel "
                "of 8-bit class indices (mode P or L)",
                "use the data set's original label maps: a map saved as colours has lost its indices",
            )
        return np.array(picture)


def encode_label(label: NDArray[np.uint8]) -> bytes:
    """Encode a canonical label map as an 8-bit grey PNG whose grey values are the class indices.

    Grey and not palette: whichever reader opens it, in whichever mode, the pixel value is the index.
    """
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(label).save(stream, "PNG")
    return stream.getvalue()


def check_label(label: NDArray[np.uint8], space: LabelSpace, what: str) -> None:
    """Check that a label map holds classes and the ignore value, and nothing else.

    Raises:
        DataCorrupt: it holds another value; the error names it.
    """
    counts = np.bincount(label.reshape(-1), minlength=space.ignore + 1)
    counts[: space.num_classes] = counts[space.ignore] = 0
    if counts.any():
        stray = ", ".join(f"{value} ({counts[value]} pixels)" for value in np.flatnonzero(counts))
        raise DataCorrupt(
            f"{what} holds the values {stray}: neither a class of {space.name} (0..{space.num_classes - 1}) nor "
            f"ignore ({space.ignore})",
            "use the data set's original label maps",
        )


def check_sizes(image: NDArray[np.uint8], label: NDArray[np.uint8], what: str) -> None:
    """Check that picture and label map have the same height and width.

    Raises:
        DataCorrupt: they differ.
    """
    if image.shape[:2] != label.shape:
        raise DataCorrupt(
            f"{what}: the picture is {image.shape[1]}x{image.shape[0]} and its label map "
            f"{label.shape[1]}x{label.shape[0]} pixels",
            "picture and label map must come from one release, unresized",
        )
