"""Splits: ordered lists of image ids.

Published lists are plain files in this folder, one id per line, as their authors wrote them. `SPLITS.toml` states the
source of each, and the SHA-256 of its ids, which is checked when the list is read. Other lists are part of an archive.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fcnbench.errors import DataCorrupt
from fcnbench.util.console import listed
from fcnbench.util.digests import digest_lines
from fcnbench.util.text import normalise, read_text

PASCAL_ID = r"\d{4}_\d{6}"
"""Regular expression of the image ids of PASCAL VOC, SBD and PASCAL-Context."""


@dataclass(frozen=True)
class Split:
    """A named, ordered list of image ids.

    Attributes:
        name: name of the list, for example `seg11valid`.
        ids: image ids in evaluation order, all different.

    >>> Split("two", ("a", "b")).images
    2
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
        """SHA-256 of the ids, one per line."""
        return digest_lines(self.ids)


@dataclass(frozen=True)
class ListedSplit:
    """A split whose id list is part of the archive.

    A list with fewer ids than `images` is a part of the split. A list with the right number of ids counts as complete,
    so it must also agree with the known relations to other splits.

    Attributes:
        name: name of the list, for example `sbdtrain`.
        path: path of the list, relative to the folder of the release.
        images: number of ids of the complete list.
        pattern: regular expression of an id; splits with other patterns share no images with this one.
        apart: paths of lists in the same release that share no id with this one; checked if they exist.
    """

    name: str
    path: str
    images: int
    pattern: str = PASCAL_ID
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Without the number, a truncated list would count as complete. Plugins may be untyped.
        if not isinstance(self.images, int) or self.images < 1:
            raise ValueError(f"split {self.name}: images is {self.images!r}, expected the number of ids in its list")

    def read(self, content: bytes, location: str) -> Split:
        """Return the split in the file of a list; only the first word of each line is an id.

        Args:
            content: content of the file.
            location: path of the file, for messages.

        Raises:
            DataCorrupt: the file holds something other than ids, repeated ids, too many ids, or ids of other splits.
        """
        words = [line.split()[0] for line in _lines(content)]
        stray = [word for word in words if not re.fullmatch(self.pattern, word)]
        wrong = ""
        if stray or not words:
            wrong = f"holds {stray[0][:40]!r}, which is not an image id" if stray else "is empty"
        elif len(set(words)) != len(words):
            wrong = f"names an image twice: {listed([word for word, times in Counter(words).items() if times > 1])}"
        if wrong:
            raise DataCorrupt(f"the id list {location} {wrong}", "use the release's original list")
        split = Split(self.name, tuple(words))
        self.check(split, location)
        return split

    def check(self, split: Split, location: str) -> None:
        """Check that ids can be this split, or a part of it.

        Raises:
            DataCorrupt: there are too many ids, or the right number contradicts known relations to other splits.
        """
        if split.images < self.images:
            return
        wrong = [f"has {split.images} ids, expected {self.images}"] if split.images > self.images else []
        for name, entry in _entries().items():
            published = set(published_split(name).ids)
            if self.name in entry.get("disjoint", ()) and (common := sorted(published & set(split.ids))):
                wrong.append(f"has {_some(common)} of {name}, which shares none with {self.name}")
            if self.name in entry.get("within", ()) and (missing := sorted(published - set(split.ids))):
                wrong.append(f"lacks {_some(missing)} of {name}, which is a part of {self.name}")
        if wrong:
            raise DataCorrupt(f"the id list {location} {wrong[0]}", "use the release's original list")

    def check_apart(self, split: Split, other: bytes, location: str, other_location: str) -> None:
        """Check that a complete list shares no id with another list of its release.

        Args:
            split: the ids of this list.
            other: content of the file of the other list.
            location: path of this list, for messages.
            other_location: path of the other list, for messages.

        Raises:
            DataCorrupt: they share ids.
        """
        common = sorted(set(split.ids) & {line.split()[0] for line in _lines(other)})
        if split.images == self.images and common:
            raise DataCorrupt(
                f"the id lists {location} and {other_location} share {_some(common)}; no image is in both",
                "use the release's original lists",
            )


@cache
def published_split(name: str, *lists: str) -> Split:
    """Return a published split.

    Args:
        name: name of the split.
        lists: names of the lists to concatenate; by default the one of the same name.

    Raises:
        DataCorrupt: the digest of a list differs from the one in `SPLITS.toml`.

    >>> published_split("seg11valid").images
    736
    """
    return Split(name, tuple(sample_id for list_name in lists or (name,) for sample_id in _read(list_name)))


def published_names() -> frozenset[str]:
    """Return the names of the published lists."""
    return frozenset(_entries())


def disjoint_by_definition(name: str) -> frozenset[str]:
    """Return the names of splits that share no image with a published list by its definition."""
    return frozenset(_entries().get(name, {}).get("disjoint", ()))


def _lines(content: bytes) -> list[str]:
    """Return the lines of a list that are not blank, independent of the kind of line ends."""
    return [line for line in normalise(content).decode("utf-8", "replace").splitlines() if line.strip()]


def _some(ids: Sequence[str]) -> str:
    return f"{len(ids)} image{'s' * (len(ids) != 1)} ({listed(ids)})"


def _read(name: str) -> list[str]:
    ids = read_text(files(__name__) / f"{name}.txt").splitlines()
    # Digest the ids, not the file: a checkout may have changed the line ends.
    digest, entry = digest_lines(ids), _entries().get(name)
    if entry is None:
        raise DataCorrupt(f"the id list {name} has no entry in SPLITS.toml", f'add one with sha256 = "{digest}"')
    if digest != entry["sha256"]:
        raise DataCorrupt(
            f"the id list {name} has digest {digest}, and SPLITS.toml says {entry['sha256']}",
            "reinstall fcnbench, or correct SPLITS.toml if you changed the list",
        )
    return ids


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return tomllib.loads(read_text(files(__name__) / "SPLITS.toml"))
