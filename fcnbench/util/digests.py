"""SHA-256 digests, always written as `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from fcnbench.util.console import progress
from fcnbench.util.text import normalise

_CHUNK = 1 << 20
"""Bytes read at a time: large enough to hide the call, small enough to stay in cache."""

_LARGE = 1 << 28
"""Bytes that take about a second to digest."""


def digest_bytes(*parts: bytes | memoryview) -> str:
    """Digest of the concatenated parts."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return f"sha256:{state.hexdigest()}"


def digest_lines(lines: Iterable[str]) -> str:
    """Digest of text lines, each ended by one line feed: for id lists it equals the digest of the list's file."""
    return digest_bytes(*(f"{line}\n".encode() for line in lines))


def digest_file(path: Path) -> str:
    """Digest of a file's content, read in pieces; with progress where that takes seconds."""
    state, size = hashlib.sha256(), path.stat().st_size
    with (
        path.open("rb") as stream,
        progress(size, f"check {path.name}", "byte") if size > _LARGE else nullcontext() as bar,
    ):
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
            if bar is not None:
                bar.update(len(chunk))
    return f"sha256:{state.hexdigest()}"


def digest_text(path: Path) -> str:
    """Digest a text file by its content: the same with any line ends, and with or without a byte order mark."""
    return digest_bytes(normalise(path.read_bytes()))


def short(digest: str, length: int = 12) -> str:
    """The first hexadecimal digits of a digest, for names and tables."""
    return digest.removeprefix("sha256:")[:length]
