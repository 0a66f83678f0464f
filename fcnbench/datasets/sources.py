"""The archives that data sets come from: their addresses, sizes and digests, read from `SOURCES.toml`."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ALGORITHMS = ("sha256", "sha1", "md5")
"""Digests that publishers and mirrors quote, the strongest first."""


@dataclass(frozen=True)
class Archive:
    """One archive and how it is recognised.

    Attributes:
        name: key in `SOURCES.toml`.
        file: file name.
        urls: addresses in the order they are tried.
        digests: algorithm to hexadecimal digest; at least one.
        size: bytes, where somebody published it.
        terms: under which terms it may be used; shown before the first download.
        citation: whom to cite.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    digests: dict[str, str]
    size: int | None
    terms: str
    citation: str

    def hashers(self) -> dict[str, hashlib._Hash]:
        """A running hash for each digest that is known."""
        return {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in self.digests}

    def mismatch(self, hashers: dict[str, hashlib._Hash]) -> str:
        """What differs between the hashes and the known digests; empty when all agree."""
        wrong = [
            f"{algorithm} {hasher.hexdigest()}, expected {self.digests[algorithm]}"
            for algorithm, hasher in hashers.items()
            if hasher.hexdigest() != self.digests[algorithm]
        ]
        return "; ".join(wrong)


@cache
def archives() -> dict[str, Archive]:
    """All known archives by name."""
    content = tomllib.loads((files("fcnbench.datasets") / "SOURCES.toml").read_text())
    return {
        name: Archive(
            name=name,
            file=entry["file"],
            urls=tuple(entry["urls"]),
            digests={algorithm: entry[algorithm] for algorithm in ALGORITHMS if algorithm in entry},
            size=entry.get("size"),
            terms=entry["terms"],
            citation=entry["citation"],
        )
        for name, entry in content.items()
    }
