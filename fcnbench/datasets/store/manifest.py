"""The manifest of a canonical store: its samples, their digests, their source, and the fingerprint of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fcnbench.datasets.archive.catalogue import SourceFile
from fcnbench.errors import DataCorrupt
from fcnbench.util import files
from fcnbench.util.digests import digest_lines, short
from fcnbench.util.text import read_text

FORMAT = "fcnbench.store/3"
"""Format of store and manifest; a store of another format is built again."""

_NAME = "manifest.json"

_DERIVED = {
    "fingerprint": "fingerprint",
    "provenance": "provenance",
    "complete": "complete",
    "images": "images",
    "ignored": "ignored",
}
"""JSON keys of values that are derived from the fields, and the properties that compute them."""

_RENAMED = {"pictures": "images"}
"""Keys that earlier versions wrote, and their present names."""


@dataclass(frozen=True)
class Row:
    """One sample of a store.

    Attributes:
        id: image id.
        height: pixels.
        width: pixels.
        image: digest of the encoded image; None if the store holds only the label map.
        label: digest of the class indices of the label map.
        depth: digest of the encoded depth map; None if there is none.
        hha: digest of the encoded HHA image; None if there is none.
        geo: digest of the class indices of the second label map; None if there is none.
        stored: digest of the sample's files as stored. Not part of the fingerprint, as two machines may compress the
            same indices differently.
    """

    id: str
    height: int
    width: int
    image: str | None
    label: str
    depth: str | None = None
    hha: str | None = None
    geo: str | None = None
    stored: str = ""


@dataclass(frozen=True)
class Manifest:
    """The content of a store.

    Attributes:
        dataset: name of the dataset.
        variant: the release that the images come from, for example `VOC2012`.
        origin: the path or generator that was read.
        identity: digest over names, sizes, times and samples of the content of the files that were read.
        sources: the archives that were read, with their digests; empty for a folder or a generator.
        pinned: whether the fingerprint is the one in the specification of the dataset.
        split: digest of the id list.
        total: number of ids in the split.
        label_space: name of the label space.
        classes: class names.
        ignore: ignore value.
        histogram: number of pixels per class over all label maps, then of ignored pixels.
        geo_classes: class names of the second label map; empty if there is none.
        geo_histogram: the same numbers for the second label map.
        rows: the samples, in split order.
    """

    dataset: str
    variant: str
    origin: str
    identity: str
    sources: tuple[SourceFile, ...]
    pinned: bool
    split: str
    total: int
    label_space: str
    classes: tuple[str, ...]
    ignore: int
    histogram: tuple[int, ...]
    geo_classes: tuple[str, ...]
    geo_histogram: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def complete(self) -> bool:
        """Whether every id of the split has an image and a label map."""
        return len(self.rows) == self.total and all(row.image for row in self.rows)

    @property
    def images(self) -> int:
        """Number of samples with an image."""
        return sum(row.image is not None for row in self.rows)

    @property
    def ignored(self) -> float:
        """Share of ignored pixels, 0..1."""
        return self.histogram[-1] / sum(self.histogram) if any(self.histogram) else 0.0

    @property
    def provenance(self) -> str:
        """Evidence for the content: `built in`, archives with published digests, or `unverified`."""
        if self.pinned:
            return "built in"
        known = [file.archive for file in self.sources]
        if not known or not all(known):
            return "unverified"
        return " + ".join(f"{file.archive} {short(file.digest)}" for file in self.sources)

    @property
    def fingerprint(self) -> str:
        """Digest of all images and label maps: stores with equal fingerprints hold the same data, bit by bit."""
        return rows_digest(self.rows)

    @property
    def labels(self) -> str:
        """Digest of the label maps: predictions get the same scores on all stores that share it."""
        return digest_lines(f"{row.id} {row.height} {row.width} {row.label} {row.geo or '-'}" for row in self.rows)

    def save(self, folder: Path) -> None:
        """Write the manifest into the folder of a store, together with the derived values, for other readers."""
        derived = {"format": FORMAT, **{key: getattr(self, name) for key, name in _DERIVED.items()}}
        files.write_json(folder / _NAME, {**derived, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a store, and check its fingerprint. Keys of earlier versions are accepted.

        Raises:
            DataCorrupt: it is missing, unreadable or of another format, or its fingerprint does not match its rows.
        """
        path = folder / _NAME
        try:
            content = _upgraded(json.loads(read_text(path)))
            stored_format, fingerprint = content.pop("format"), content["fingerprint"]
            content = {name: value for name, value in content.items() if name not in _DERIVED}
            if stored_format != FORMAT:
                raise ValueError(f"format {stored_format}, expected {FORMAT}")
            if set(content) != {field.name for field in fields(cls)}:
                raise ValueError("fields are missing or unknown")
            content["rows"] = tuple(Row(**row) for row in content["rows"])
            content["classes"] = tuple(content["classes"])
            content["histogram"] = tuple(content["histogram"])
            content["sources"] = tuple(SourceFile(**file) for file in content["sources"])
            content["geo_classes"] = tuple(content["geo_classes"])
            content["geo_histogram"] = tuple(content["geo_histogram"])
            manifest = cls(**content)
            if manifest.fingerprint != fingerprint:
                raise ValueError("rows and fingerprint do not match")
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataCorrupt(
                f"the store's manifest {path} is unusable: {error}", f"delete the folder {folder} and run again"
            ) from error
        return manifest


def rows_digest(rows: Sequence[Row]) -> str:
    """Return the fingerprint of samples: a digest over their ids, sizes and digests, in order."""
    return digest_lines(map(_line, rows))


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a manifest with the present names of its keys."""
    return {_RENAMED.get(key, key): value for key, value in content.items()}


def _line(row: Row) -> str:
    more = {"depth": row.depth, "hha": row.hha, "geo": row.geo}
    named = "".join(f" {name}={digest}" for name, digest in more.items() if digest)
    return f"{row.id} {row.height} {row.width} {row.image or '-'} {row.label}{named}"
