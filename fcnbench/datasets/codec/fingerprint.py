"""The decoder fingerprint: a digest of the pixels that the decoders of this machine give for a few images.

A JPEG file may have other pixels on another machine. The images in `probes/` are crops of 83x61 pixels of the first
image of `pocket`, written by Pillow in the formats of datasets: JPEG with halved and full chroma, progressive, and
grey; PNG with a palette, RGB, and 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import decode_depth, decode_image, decode_label
from fcnbench.util.digests import digest_bytes, digest_lines

ProbeDecoder = Callable[[bytes, str], NDArray[Any]]

PROBES: dict[str, ProbeDecoder] = {
    "halved.jpg": decode_image,
    "full.jpg": decode_image,
    "progressive.jpg": decode_image,
    "grey.jpg": decode_image,
    "palette.png": decode_label,
    "colours.png": decode_image,
    "depth.png": decode_depth,
}
"""Decoder by file name of the image."""

USUAL = "sha256:964dbe435a27bf0bec2ffa4405d846e18afbf96113a3ebe09a87bf6dc9f55e45"
"""The fingerprint of the wheels of Pillow 12 on x86-64, with libjpeg-turbo."""


@cache
def decoder_fingerprint() -> str:
    """Return the fingerprint of the decoders.

    Raises:
        DataCorrupt: an image can't be decoded.

    >>> decoder_fingerprint().startswith("sha256:")
    True
    """
    return digest_lines(f"{name} {digest}" for name, digest in probe_digests().items())


def probe_digests() -> dict[str, str]:
    """Return the digest of the decoded pixels by file name of the image."""
    folder = files("fcnbench.datasets.codec") / "probes"
    digests = {}
    for name, decode in PROBES.items():
        pixels = decode((folder / name).read_bytes(), name)
        little = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False))
        digests[name] = digest_bytes(str(pixels.shape).encode(), little.tobytes())
    return digests
