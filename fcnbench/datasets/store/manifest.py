"""The manifest of a canonical store: what is in it, where it came from, and the fingerprint of the whole."""

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
"""Format of store and manifest; a store of another format is built anew."""

_NAME = "manifest.json"

_DERIVED = ("fingerprint", "provenance", "complete", "pictures", "ignored")
"""Properties that are written beside the fields."""


@dataclass(frozen=True)
class Row:
    """One sample of a store.

    Attributes:
        id: image id.
        height: pixels.
        width: pixels.
        image: digest of the picture's encoded bytes; None where only the label map is there.
        label: digest of the label map's indices, row by row.
        depth: digest of the depth picture's encoded bytes, where there is one.
        hha: digest of the HHA picture's encoded bytes, where there is one.
        geo: digest of the second label map's indices, where there is one.
        stored: digest of all the sample's files as the store holds them; no part of the fingerprint, since two machines
            may compress the same indices differently.
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
    """What a store holds.

    Attributes:
        dataset: name of the task.
        variant: the release that the pixels come from.
        origin: the path or generator that was read.
        identity: digest of what was found there, by names, sizes, times and samples of content.
        sources: the archives that were read, with their digests; none for a folder or a generator.
        pinned: whether the fingerprint is the one that the task itself fixes.
        split: digest of the task's id list.
        total: number of ids in the split.
        label_space: name of the label space.
        classes: class names.
        ignore: ignore value.
        histogram: pixels per class over all label maps, then the ignored ones.
        geo_classes: class names of the second label map; none where there is none.
        geo_histogram: its pixels per class, then the ignored ones.
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
        """True when every id of the split has a picture and a label map."""
        return len(self.rows) == self.total and all(row.image for row in self.rows)

    @property
    def images(self) -> int:
        """How many samples have a picture."""
        return sum(row.image is not None for row in self.rows)

    @property
    def ignored(self) -> float:
        """Share of the pixels that are ignored, 0..1."""
        return self.histogram[-1] / sum(self.histogram) if any(self.histogram) else 0.0

    @property
    def provenance(self) -> str:
        """What stands behind the pixels: archives known by a published digest, a fixed fingerprint, or nobody."""
        if self.pinned:
            return "built in"
        known = [file.archive for file in self.sources]
        if not known or not all(known):
            return "unverified"
        return " + ".join(f"{file.archive} {short(file.digest)}" for file in self.sources)

    @property
    def fingerprint(self) -> str:
        """Digest of all pictures and label maps: two stores with one fingerprint hold the same task, bit by bit."""
        return rows_digest(self.rows)

    @property
    def labels(self) -> str:
        """Digest of the label maps alone: two stores that share it are scored alike, whatever pictures they hold."""
        return digest_lines(f"{row.id} {row.height} {row.width} {row.label} {row.geo or '-'}" for row in self.rows)

    def save(self, folder: Path) -> None:
        """Write the manifest into a store's folder, with what follows from it, for readers without this class."""
        derived = {"format": FORMAT, **{name: getattr(self, name) for name in _DERIVED}}
        files.write_json(folder / _NAME, {**derived, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read a store's manifest and check it against its own fingerprint.

        Raises:
            DataCorrupt: missing, unreadable, of another format, or its fingerprint does not fit its rows.
        """
        path = folder / _NAME
        try:
            content: dict[str, Any] = json.loads(read_text(path))
            found, fingerprint = content.pop("format"), content["fingerprint"]
            content = {name: value for name, value in content.items() if name not in _DERIVED}
            if found != FORMAT:
                raise ValueError(f"format {found}, expected {FORMAT}")
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
                raise ValueError("rows and fingerprint do not fit")
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataCorrupt(
                f"the store's manifest {path} is unusable: {error}", f"delete the folder {folder} and run again"
            ) from error
        return manifest


def rows_digest(rows: Sequence[Row]) -> str:
    """Digest over ids, sizes and digests of samples, in order."""
    return digest_lines(map(_line, rows))


def _line(row: Row) -> str:
    more = {"depth": row.depth, "hha": row.hha, "geo": row.geo}
    named = "".join(f" {name}={digest}" for name, digest in more.items() if digest)
    return f"{row.id} {row.height} {row.width} {row.image or '-'} {row.label}{named}"
