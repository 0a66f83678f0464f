"""Columns of a store's Parquet file: names, Hugging Face types, and the digest of a row's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fcnbench.datasets.spec import DatasetSpec
from fcnbench.labelspace import LabelSpace
from fcnbench.util.digests import digest_bytes, digest_lines

PARQUET_NAME = "data.parquet"
"""Name of the Parquet file in the folder of a store."""

COMMON_COLUMNS = {
    "id": "string",
    "image": "Image",
    "label": "Image",
    "classes": "ClassLabel",
    "height": "int32",
    "width": "int32",
}
"""Columns of every store, and their Hugging Face types."""

FILE_COLUMNS = ("image", "label", "depth", "hha", "label_geo")
"""Columns that hold encoded image files; a store may lack the last three."""


def columns_of(spec: DatasetSpec) -> dict[str, str]:
    """Return the columns of a dataset's store, and their Hugging Face types."""
    more = [name for name in ("depth", "hha") if name in spec.modalities] + (["label_geo"] if spec.geo else [])
    return COMMON_COLUMNS | dict.fromkeys(more, "Image")


def feature(kind: str, space: LabelSpace) -> dict[str, Any]:
    """Return the Hugging Face description of a column of a type.

    >>> from fcnbench.labelspace import LabelSpace
    >>> feature("int32", LabelSpace("one", ("all",), ((0, 0, 0),)))
    {'dtype': 'int32', '_type': 'Value'}
    """
    if kind == "Image":
        return {"_type": "Image"}
    if kind == "ClassLabel":
        return {"feature": {"names": list(space.classes), "_type": "ClassLabel"}, "_type": "Sequence"}
    return {"dtype": kind, "_type": "Value"}


def files_of(row: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Return the encoded files in a row of the Parquet file by column; None for columns without a file."""
    return {name: (row.get(name) or {}).get("bytes") for name in FILE_COLUMNS}


def digest_optional(content: bytes | None) -> str | None:
    """Return the digest of a file; None if there is no file."""
    return digest_bytes(content) if content is not None else None


def digest_stored(files: Mapping[str, bytes | None]) -> str:
    """Return the digest of a row's files by column: the digest of their digests, so that each can be checked alone."""
    return combine_digests({name: digest_optional(files[name]) for name in FILE_COLUMNS})


def combine_digests(digests: Mapping[str, str | None]) -> str:
    """Return the digest of a row's files from their digests by column."""
    return digest_lines(digests[name] or "-" for name in FILE_COLUMNS)
