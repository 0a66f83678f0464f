"""The catalogue of archives: addresses, sizes and digests, read from `ARCHIVES.toml`."""

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
    """A file that a store was built from.

    Attributes:
        file: file name.
        size: size in bytes.
        digest: SHA-256 of the content.
        archive: name of the archive in `ARCHIVES.toml` that has this content by a published digest; empty if none has.
    """

    file: str
    size: int
    digest: str
    archive: str


@cache
def known_archives() -> dict[str, Archive]:
    """Return the archives of the catalogue by name.

    >>> known_archives()["voc2012trainval"].file
    'VOCtrainval_11-May-2012.tar'
    """
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
    """Return the file names of archives.

    Args:
        alternatives: names of archives, as in `DatasetSpec.archives`.

    >>> archive_files([["sbd"]])
    frozenset({'benchmark.tgz'})
    """
    return frozenset(known_archives()[name].file for names in alternatives for name in names)


def recognise(path: Path, candidates: Iterable[str]) -> SourceFile:
    """Compute the digest of a file, and identify the archive by it, independent of the file's name.

    Args:
        path: the file.
        candidates: names of the archives that the file may be.
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
