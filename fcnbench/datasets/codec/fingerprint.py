"""What this machine's decoders make of a few pictures: the same JPEG does not give the same pixels everywhere.

The pictures in `probes/` are crops, 83x61, of the first `pocket` picture, written once by Pillow in the kinds that data
sets come in: JPEG with halved, full and progressive chroma, and grey; PNG with a palette, colours, and 16 bits.
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

Decoder = Callable[[bytes, str], NDArray[Any]]

PROBES: dict[str, Decoder] = {
    "halved.jpg": decode_image,
    "full.jpg": decode_image,
    "progressive.jpg": decode_image,
    "grey.jpg": decode_image,
    "palette.png": decode_label,
    "colours.png": decode_image,
    "depth.png": decode_depth,
}
"""The pictures, and what decodes each."""

USUAL = "sha256:964dbe435a27bf0bec2ffa4405d846e18afbf96113a3ebe09a87bf6dc9f55e45"
"""The fingerprint of Pillow 12's wheels on x86-64, with libjpeg-turbo."""


@cache
def decoder_fingerprint() -> str:
    """Digest of the pixels that the decoders give for the shipped pictures.

    Raises:
        DataCorrupt: a decoder can't read one of them.
    """
    return digest_lines(f"{name} {digest}" for name, digest in probe_digests().items())


def probe_digests() -> dict[str, str]:
    """Digest of the decoded pixels by picture."""
    folder = files("fcnbench.datasets.codec") / "probes"
    found = {}
    for name, decode in PROBES.items():
        pixels = decode((folder / name).read_bytes(), name)
        little = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False))
        found[name] = digest_bytes(str(pixels.shape).encode(), little.tobytes())
    return found
