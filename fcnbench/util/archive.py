"""A downloadable file: addresses, size, digests and terms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ALGORITHMS = ("sha256", "sha1", "md5")
"""Digest algorithms that publishers and mirrors use, the strongest first."""

CHUNK = 1 << 20
"""Bytes per read."""


@dataclass(frozen=True)
class Archive:
    """A file to download, and how to check it.

    Attributes:
        name: key in `ARCHIVES.toml`.
        file: file name.
        urls: addresses in the order in which they are tried.
        digests: algorithm to hexadecimal digest; empty if none is published.
        size: bytes; None if not published.
        terms: terms of use, shown before the first download.
        citation: the publication to cite.
        also: digests of other files with the same content, for example the same archive compressed again.
        approximate_size: estimated bytes, if the size is not published.
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
        """Size in bytes, exact or estimated; None if unknown."""
        return self.approximate_size if self.size is None else self.size

    @property
    def exact_size(self) -> int | None:
        """Size in bytes of every copy; None if unknown, or if copies differ (see `also`)."""
        return None if self.also else self.size

    def hashers(self) -> dict[str, hashlib._Hash]:
        """Return a new hash object for each algorithm of the known digests."""
        used = {algorithm for digests in (self.digests, *self.also) for algorithm in digests}
        return hashers_of(algorithm for algorithm in ALGORITHMS if algorithm in used)

    def mismatch(self, hashers: Mapping[str, hashlib._Hash]) -> str:
        """Return the difference between the hashes and the known digests; empty if all agree, or none is known."""
        if any(all(hashers[name].hexdigest() == digest for name, digest in form.items()) for form in self.also):
            return ""
        wrong = [
            f"{algorithm} {hashers[algorithm].hexdigest()}, expected {digest}"
            for algorithm, digest in self.digests.items()
            if hashers[algorithm].hexdigest() != digest
        ]
        return "; ".join(wrong)

    def mismatch_of(self, path: Path) -> str:
        """Return the difference between a file and the known digests; empty if all agree, or none is known."""
        hashers = self.hashers()
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                for hasher in hashers.values():
                    hasher.update(chunk)
        return self.mismatch(hashers)


def hashers_of(algorithms: Iterable[str]) -> dict[str, hashlib._Hash]:
    """Return a new hash object for each algorithm.

    >>> sorted(hashers_of(["sha256", "md5"]))
    ['md5', 'sha256']
    """
    return {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
