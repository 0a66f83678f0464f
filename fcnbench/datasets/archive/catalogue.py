"""The archives that datasets come from: their addresses, sizes and digests, read from `ARCHIVES.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from fcnbench.util.archive import ALGORITHMS, CHUNK, Archive, hashers_of
from fcnbench.util.console import progress
from fcnbench.util.text import read_text


@dataclass(frozen=True)
class SourceFile:
    """A file that a store was made from.

    Attributes:
        file: its name.
        size: bytes.
        digest: SHA-256 of its content.
        archive: name in `ARCHIVES.toml` of the archive that it is by a published digest; empty if by none.
    """

    file: str
    size: int
    digest: str
    archive: str


@cache
def known_archives() -> dict[str, Archive]:
    """All known archives by name."""
    content = tomllib.loads(read_text(files("fcnbench.datasets.archive") / "ARCHIVES.toml"))
    return {
        name: Archive(
            name=name,
            file=entry["file"],
            urls=tuple(entry["urls"]),
            digests={algorithm: entry[algorithm] for algorithm in ALGORITHMS if algorithm in entry},
            size=entry.get("size"),
            terms=entry["terms"],
            citation=entry["citation"],
            also=tuple(entry.get("also", ())),
        )
        for name, entry in content.items()
    }


def archive_files(alternatives: Iterable[Sequence[str]]) -> frozenset[str]:
    """File names of the archives that a task may come from."""
    return frozenset(known_archives()[name].file for names in alternatives for name in names)


def recognise(path: Path, candidates: Iterable[str]) -> SourceFile:
    """Take a file's digest, and say which known archive it is by a published one; whatever its name.

    Args:
        path: the file.
        candidates: names of the archives that it may be.
    """
    hashers = hashers_of(ALGORITHMS)
    size = path.stat().st_size
    with path.open("rb") as stream, progress(size, f"check {path.name}", "byte") as bar:
        while chunk := stream.read(CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
            bar.update(len(chunk))
    known = (known_archives()[name] for name in candidates)
    name = next((archive.name for archive in known if archive.digests and not archive.mismatch(hashers)), "")
    return SourceFile(path.name, size, f"sha256:{hashers['sha256'].hexdigest()}", name)
