"""Id lists of the tasks' splits: plain files, one id a line, as their authors published them.

`SPLITS.toml` beside them says where each list comes from and what its SHA-256 is; a list is checked when it is read.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fcnbench.errors import DataCorrupt
from fcnbench.ground.digests import digest_bytes, digest_lines, short


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
    def digest(self) -> str:
        """SHA-256 over the ids, one a line."""
        return digest_lines(self.ids)


@cache
def published_split(name: str) -> Split:
    """Read one of the published lists.

    Raises:
        DataCorrupt: the list's digest is not the one in `SPLITS.toml`.
    """
    folder = files(__name__)
    entry = _entries()[name]
    content = (folder / f"{name}.txt").read_bytes()
    found = digest_bytes(content)
    if found != entry["sha256"]:
        raise DataCorrupt(
            f"the id list {name} has digest {short(found)}, expected {short(entry['sha256'])}", "reinstall fcnbench"
        )
    # splitlines, since some published lists lack the last line feed.
    return Split(name, tuple(content.decode().splitlines()))


def published_names() -> frozenset[str]:
    """Names of the published lists."""
    return frozenset(_entries())


@cache
def _entries() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files(__name__) / "SPLITS.toml").read_text())
