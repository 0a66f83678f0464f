"""Id lists of the tasks' splits.

Published lists are plain files, one id per line, as their authors wrote them; `SPLITS.toml` beside them says where each
comes from, and has the SHA-256 over its ids, which is checked when it is read. Other lists come with their archives.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fcnbench.errors import DataCorrupt
from fcnbench.ground.digests import digest_lines, short
from fcnbench.ground.text import normalise, read_text

PASCAL_ID = r"\d{4}_\d{6}"
"""What image ids of PASCAL VOC, SBD and PASCAL-Context look like."""


@dataclass(frozen=True)
class Split:
    """A named, ordered list of image ids.

    Attributes:
        name: the list's name, for example `seg11valid`.
        ids: image ids in evaluation order, all different.
    """

    name: str
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            raise ValueError(f"split {self.name}: ids repeat")

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.ids)

    @property
    def digest(self) -> str:
        """SHA-256 over the ids, one a line."""
        return digest_lines(self.ids)


@dataclass(frozen=True)
class ListedSplit:
    """A split whose id list comes with its archive.

    Attributes:
        name: the list's name, for example `sbdtrain`.
        path: where the list lies below the release's folder.
        images: how many ids it has; None where published figures disagree and the list decides.
        pattern: regular expression of an id: what other splits it could share images with.
    """

    name: str
    path: str
    images: int | None
    pattern: str = PASCAL_ID

    def read(self, content: bytes, place: str) -> Split:
        """Make a split of the list's file; only the first word of a line counts.

        Raises:
            DataCorrupt: it holds something else than ids, one of them twice, or more than there should be.
        """
        words = [line.split()[0] for line in normalise(content).decode("utf-8", "replace").splitlines() if line.strip()]
        stray = [word for word in words if not re.fullmatch(self.pattern, word)]
        wrong = ""
        if stray or not words:
            wrong = f"holds {stray[0][:40]!r}, which is no image id" if stray else "is empty"
        elif len(set(words)) != len(words):
            wrong = "names an image twice"
        elif self.images is not None and len(words) > self.images:
            wrong = f"has {len(words)} ids, expected {self.images}"
        if wrong:
            raise DataCorrupt(f"the id list {place} {wrong}", "use the release's original list")
        return Split(self.name, tuple(words))


@cache
def published_split(name: str, *lists: str) -> Split:
    """Read a published split: the list of its name, or several lists one after the other.

    Args:
        name: name of the split.
        lists: names of the lists that it is made of; by default the one of the same name.

    Raises:
        DataCorrupt: a list's digest is not the one in `SPLITS.toml`.
    """
    return Split(name, tuple(sample_id for each in lists or (name,) for sample_id in _read(each)))


def published_names() -> frozenset[str]:
    """Names of the published lists."""
    return frozenset(_entries())


def disjoint_by_definition(name: str) -> frozenset[str]:
    """Names of splits that share no image with this published list, because it is defined so."""
    return frozenset(_entries().get(name, {}).get("disjoint", ()))


def _read(name: str) -> list[str]:
    ids = read_text(files(__name__) / f"{name}.txt").splitlines()
    # The ids are digested, not the file: a checkout may have changed its line ends.
    found, expected = digest_lines(ids), _entries()[name]["sha256"]
    if found != expected:
        raise DataCorrupt(
            f"the id list {name} has digest {short(found)}, expected {short(expected)}", "reinstall fcnbench"
        )
    return ids


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return tomllib.loads(read_text(files(__name__) / "SPLITS.toml"))
