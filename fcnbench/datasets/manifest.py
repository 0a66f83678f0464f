"""The manifest of a canonical store: what is in it, where it came from, and the fingerprint of the whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fcnbench.errors import DataCorrupt
from fcnbench.ground import files
from fcnbench.ground.digests import digest_lines

FORMAT = "fcnbench.store/1"
"""Format of store and manifest; a store of another format is built anew."""

_NAME = "manifest.json"


@dataclass(frozen=True)
class Row:
    """One sample of a store.

    Attributes:
        id: image id.
        height: pixels.
        width: pixels.
        image: digest of the picture's encoded bytes; None where only the label map is there.
        label: digest of the label map's indices, row by row.
    """

    id: str
    height: int
    width: int
    image: str | None
    label: str


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Attributes:
        dataset: name of the task.
        variant: the release that the pixels come from.
        origin: the path or generator that was read.
        identity: digest of what was found there, by names, sizes and times.
        split: digest of the task's id list.
        total: number of ids in the split.
        label_space: name of the label space.
        classes: class names.
        ignore: ignore value.
        histogram: pixels per class over all label maps, then the ignored ones.
        rows: the samples, in split order.
    """

    dataset: str
    variant: str
    origin: str
    identity: str
    split: str
    total: int
    label_space: str
    classes: tuple[str, ...]
    ignore: int
    histogram: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def complete(self) -> bool:
        """True when every id of the split has a picture and a label map."""
        return len(self.rows) == self.total and all(row.image for row in self.rows)

    @property
    def fingerprint(self) -> str:
        """Digest of all pictures and label maps: two stores with one fingerprint hold the same task, bit by bit."""
        return rows_digest(self.rows)

    def save(self, folder: Path) -> None:
        """Write the manifest into a store's folder."""
        files.write_json(folder / _NAME, {"format": FORMAT, "fingerprint": self.fingerprint, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read a store's manifest and check it against its own fingerprint.

        Raises:
            DataCorrupt: missing, unreadable, of another format, or its fingerprint does not fit its rows.
        """
        path = folder / _NAME
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
            found, fingerprint = content.pop("format"), content.pop("fingerprint")
            if found != FORMAT:
                raise ValueError(f"format {found}, expected {FORMAT}")
            if set(content) != {field.name for field in fields(cls)}:
                raise ValueError("fields are missing or unknown")
            content["rows"] = tuple(Row(**row) for row in content["rows"])
            content["classes"] = tuple(content["classes"])
            content["histogram"] = tuple(content["histogram"])
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
    return digest_lines(f"{row.id} {row.height} {row.width} {row.image or '-'} {row.label}" for row in rows)
