"""Checks of a source and its samples, which may come from another package."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnbench.datasets.codec.images import check_label, check_sizes, decode_depth, decode_hha, decode_image
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.errors import DataCorrupt, FcnbenchError

_PARTS = ("variant", "location", "split", "archives", "identity", "images", "labels", "read", "close")
"""Attributes and methods of a `Source`."""


def check_source(spec: DatasetSpec, source: Any) -> None:
    """Check that what `DatasetSpec.open_source` returned has the attributes and methods of a `Source`.

    Raises:
        DataCorrupt: it lacks some; the message lists them.
    """
    if missing := [name for name in _PARTS if not hasattr(source, name)]:
        raise DataCorrupt(
            f"the source of {spec.name} is of type {type(source).__name__} and lacks {', '.join(missing)}",
            "open_source must return a fcnbench.datasets.spec.Source",
        )


def read_sample(spec: DatasetSpec, source: Source, sample_id: str) -> NativeSample:
    """Read one sample of a source.

    Raises:
        DataCorrupt: the image or the label map is not valid, or the source failed.
    """
    try:
        return source.read(sample_id)
    except (FcnbenchError, OSError):
        raise
    # A source may be third-party code: it may raise anything.
    except Exception as error:
        raise DataCorrupt(
            f"the source of {spec.name} failed on {sample_id}: {type(error).__name__}: {error}",
            f"repair `read` of {type(source).__module__}.{type(source).__name__}",
        ) from error


def check_sample(spec: DatasetSpec, native: NativeSample, name: str) -> None:
    """Check the parts of a sample: their types, the values of label maps, and that all have the size of the label map.

    Args:
        spec: the dataset.
        native: the sample.
        name: name of the sample, for messages.

    Raises:
        DataCorrupt: a part is of another type, can't be decoded, holds other values or has another size.
    """
    _check_types(native, name)
    check_label(native.label, spec.label_space, f"the label map of {name}")
    if native.image is not None:
        check_sizes(decode_image(native.image, f"the image of {name}"), native.label, name, "image")
    if native.hha is not None:
        check_sizes(decode_hha(native.hha, f"the HHA image of {name}"), native.label, name, "HHA image")
    if native.depth is not None:
        check_sizes(decode_depth(native.depth, f"the depth map of {name}"), native.label, name, "depth map")
    if native.geo is not None:
        check_sizes(native.geo, native.label, name, "second label map")
        if spec.geo is not None:
            check_label(native.geo, spec.geo, f"the second label map of {name}")


def _check_types(native: Any, name: str) -> None:
    """Check that a sample is a `NativeSample` of encoded images and of label maps, uint8 [H, W]."""
    if not isinstance(native, NativeSample):
        raise DataCorrupt(
            f"{name} is of type {type(native).__name__}, expected a fcnbench.datasets.spec.NativeSample",
            "return one from `read` of the source",
        )
    for part in ("image", "depth", "hha"):
        content: Any = getattr(native, part)
        if content is not None and not isinstance(content, bytes):
            raise DataCorrupt(
                f"{part} of {name} is of type {type(content).__name__}, expected the bytes of an image file",
                "encode arrays with encode_ppm or encode_depth of fcnbench.datasets.codec.images",
            )
    for part in ("label", "geo"):
        values: Any = getattr(native, part)
        if part == "geo" and values is None:
            continue
        if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.ndim != 2:
            kind = f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
            raise DataCorrupt(
                f"{part} of {name} is {kind}, expected an array uint8 [H, W]", "convert it in `read` of the source"
            )
