"""The archives that data sets come from: their addresses, sizes and digests, read from `SOURCES.toml`."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from fcnbench.ground.console import progress
from fcnbench.ground.text import read_text

ALGORITHMS = ("sha256", "sha1", "md5")
"""Digests that publishers and mirrors quote, the strongest first."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """One archive and how it is recognised.

    Attributes:
        name: key in `SOURCES.toml`.
        file: file name.
        urls: addresses in the order they are tried.
        digests: algorithm to hexadecimal digest; empty where nobody published any.
        also: digests of other forms in which the same content circulates.
        approximate_size: about how many bytes, where nobody published the size.
        size: bytes, where somebody published it.
        terms: under which terms it may be used; shown before the first download.
        citation: whom to cite.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    digests: Mapping[str, str]
    size: int | None
    terms: str
    citation: str
    also: tuple[Mapping[str, str], ...] = ()
    approximate_size: int | None = None

    @property
    def likely_size(self) -> int | None:
        """Bytes, at least about; None where nothing is known."""
        return self.approximate_size if self.size is None else self.size

    @property
    def exact_size(self) -> int | None:
        """The size that every copy has; None where it is not known, or where other forms circulate."""
        return None if self.also else self.size

    def hashers(self) -> dict[str, hashlib._Hash]:
        """A running hash for each algorithm in use."""
        used = {algorithm for digests in (self.digests, *self.also) for algorithm in digests}
        return _hashers(algorithm for algorithm in ALGORITHMS if algorithm in used)

    def mismatch(self, hashers: Mapping[str, hashlib._Hash]) -> str:
        """What differs between the hashes and the known digests; empty when all agree, or none is known."""
        if any(all(hashers[name].hexdigest() == digest for name, digest in form.items()) for form in self.also):
            return ""
        wrong = [
            f"{algorithm} {hashers[algorithm].hexdigest()}, expected {digest}"
            for algorithm, digest in self.digests.items()
            if hashers[algorithm].hexdigest() != digest
        ]
        return "; ".join(wrong)

    def mismatch_of(self, path: Path) -> str:
        """Return what differs between a file and the known digests; empty when all agree, or none is known."""
        hashers = self.hashers()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                for hasher in hashers.values():
                    hasher.update(chunk)
        return self.mismatch(hashers)


@dataclass(frozen=True)
class SourceFile:
    """A file that a store was made from.

    Attributes:
        file: its name.
        size: bytes.
        digest: SHA-256 of its content.
        archive: name in `SOURCES.toml` of the archive that it is by a published digest; empty if by none.
    """

    file: str
    size: int
    digest: str
    archive: str


@cache
def archives() -> dict[str, Archive]:
    """All known archives by name."""
    content = tomllib.loads(read_text(files("fcnbench.datasets") / "SOURCES.toml"))
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
    return frozenset(archives()[name].file for names in alternatives for name in names)


def recognise(path: Path, candidates: Iterable[str]) -> SourceFile:
    """Take a file's digest, and say which known archive it is by a published one; whatever its name.

    Args:
        path: the file.
        candidates: names of the archives that it may be.
    """
    hashers = _hashers(ALGORITHMS)
    size = path.stat().st_size
    with path.open("rb") as stream, progress(size, f"check {path.name}", "byte") as bar:
        while chunk := stream.read(_CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
            bar.update(len(chunk))
    known = (archives()[name] for name in candidates)
    name = next((archive.name for archive in known if archive.digests and not archive.mismatch(hashers)), "")
    return SourceFile(path.name, size, f"sha256:{hashers['sha256'].hexdigest()}", name)


def _hashers(algorithms: Iterable[str]) -> dict[str, hashlib._Hash]:
    return {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
