"""The photographs in the images of `pocket`: PNG files in the wheel of scikit-image, checked by digest.

All are in the public domain or CC0, according to scikit-image's list (`skimage/data/README.txt`). Only losslessly
encoded ones are used, as JPEG decoders may differ in the last bit.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.util.digests import digest_bytes, short

PHOTOGRAPHS = {
    "astronaut": "sha256:a8c429c18afa7b0fd5673e598d73a21225d94c864a71bbb3885126fdecb41071",
    "brick": "sha256:3501e216fb0968c378803347d3a13e3cc04021eaecc44b64c6528088c7ea0f64",
    "camera": "sha256:13e2b4aa92cb1649b4aac5a4d48b38a8ea3a18b86e8abdf5a4871abf24c9d038",
    "chelsea": "sha256:416b729128bfb2c3d1eb69bf9b1734a796293abc17939267b2dc94f8a5784031",
    "coffee": "sha256:0ce2b51640b9c95f19617f03eabf40c3f0368589cc1ee1190b70966165ac184f",
    "coins": "sha256:aaecc2ad43bd43e204f7ad01dc60494586ff80d42236c2db358c59b9be1f5427",
    "grass": "sha256:c7ca5c984d6b5a2787506e70a42bcac22b164b00e8e1cf9e06cf76b8110c5734",
    "gravel": "sha256:e73bd88250cbfd7f96f232357ecad0d2302252483457337f5cf79d2c5b82227a",
    "moon": "sha256:a641c47851a3252efa5514c25bb953056fae7de469736ede1363e861c70bfb10",
}
"""Name in scikit-image, and digest of the decoded RGB pixels."""


@cache
def photograph(name: str) -> NDArray[np.uint8]:
    """Return the pixels of one of `PHOTOGRAPHS`, uint8 [H, W, 3]; grey ones have three equal channels.

    Raises:
        DataMissing: the file is not in this version of scikit-image.
        DataCorrupt: its pixels are not the ones that `pocket` is defined with.
    """
    from PIL import Image

    reinstall = "reinstall scikit-image (`pip install --force-reinstall scikit-image`)"
    source = files("skimage.data") / f"{name}.png"
    if not source.is_file():
        raise DataMissing(f"the dataset pocket needs {name}.png, which is not in this scikit-image", reinstall)
    with source.open("rb") as stream, Image.open(stream) as image:
        pixels = np.asarray(image.convert("RGB"))
    digest = digest_bytes(np.ascontiguousarray(pixels).data)
    if digest != PHOTOGRAPHS[name]:
        raise DataCorrupt(
            f"scikit-image's {name}.png decodes to pixels {short(digest)}, expected {short(PHOTOGRAPHS[name])}",
            reinstall,
        )
    return pixels
