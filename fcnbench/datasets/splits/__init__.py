"""Id lists of the tasks' splits.

Published lists are plain files, one id per line, as their authors wrote them; `SPLITS.toml` beside them says where each
comes from, and has the SHA-256 over its ids, which is checked when it is read. Other lists come with their archives.
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
from fcnbench.util.digests import digest_lines, short
from fcnbench.util.text import normalise, read_text

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

    A list with fewer ids than `images` is a part of the split. A list with as many counts as the whole, so it must also
    agree with what is known of its ids.

    Attributes:
        name: the list's name, for example `sbdtrain`.
        path: where the list lies below the release's folder.
        images: how many ids the whole list has.
        pattern: regular expression of an id: what other splits it could share images with.
        apart: lists of the same release that share no id with it; looked at where they are there.
    """

    name: str
    path: str
    images: int
    pattern: str = PASCAL_ID
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A list of unknown length could be cut anywhere and still count as the whole split. Plugins may be untyped.
        if not isinstance(self.images, int) or self.images < 1:
            raise ValueError(f"split {self.name}: images is {self.images!r}, expected the number of ids in its list")

    def read(self, content: bytes, place: str) -> Split:
        """Return the split that the list's file describes; only the first word of a line counts.

        Raises:
            DataCorrupt: it holds something other than ids, one of them twice, more than there should be, or the right
                number of ids that can't be this split's.
        """
        words = [line.split()[0] for line in _lines(content)]
        stray = [word for word in words if not re.fullmatch(self.pattern, word)]
        wrong = ""
        if stray or not words:
            wrong = f"holds {stray[0][:40]!r}, which is no image id" if stray else "is empty"
        elif len(set(words)) != len(words):
            wrong = f"names an image twice: {listed([word for word, times in Counter(words).items() if times > 1])}"
        if wrong:
            raise DataCorrupt(f"the id list {place} {wrong}", "use the release's original list")
        split = Split(self.name, tuple(words))
        self.check(split, place)
        return split

    def check(self, split: Split, place: str) -> None:
        """Check that ids can be this split's, or a part of them.

        Raises:
            DataCorrupt: there are too many, or as many as there should be and some of them can't be this split's.
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
            raise DataCorrupt(f"the id list {place} {wrong[0]}", "use the release's original list")

    def check_apart(self, split: Split, other: bytes, place: str, other_place: str) -> None:
        """Check that a whole list shares no id with another list of its release.

        Args:
            split: the ids of this list.
            other: content of the other list's file.
            place: path of this list, for messages.
            other_place: path of the other list, for messages.

        Raises:
            DataCorrupt: they share ids.
        """
        common = sorted(set(split.ids) & {line.split()[0] for line in _lines(other)})
        if split.images == self.images and common:
            raise DataCorrupt(
                f"the id lists {place} and {other_place} share {_some(common)}; no image is in both",
                "use the release's original lists",
            )


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


def _lines(content: bytes) -> list[str]:
    """Lines of a list's file that are not blank, whatever system wrote them."""
    return [line for line in normalise(content).decode("utf-8", "replace").splitlines() if line.strip()]


def _some(ids: Sequence[str]) -> str:
    return f"{len(ids)} image{'s' * (len(ids) != 1)} ({listed(ids)})"


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
