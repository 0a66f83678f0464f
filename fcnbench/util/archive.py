"""A file that is downloaded: its addresses, size, digests and terms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ALGORITHMS = ("sha256", "sha1", "md5")
"""Digests that publishers and mirrors quote, the strongest first."""

CHUNK = 1 << 20
"""Bytes that are read and hashed at a time."""


@dataclass(frozen=True)
class Archive:
    """One archive and how it is recognised.

    Attributes:
        name: key in `ARCHIVES.toml`.
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
        return hashers_of(algorithm for algorithm in ALGORITHMS if algorithm in used)

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
            while chunk := stream.read(CHUNK):
                for hasher in hashers.values():
                    hasher.update(chunk)
        return self.mismatch(hashers)


def hashers_of(algorithms: Iterable[str]) -> dict[str, hashlib._Hash]:
    """Return a running hash for each algorithm."""
    return {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
