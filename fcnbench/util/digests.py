"""SHA-256 digests, always written as `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from fcnbench.util.console import progress
from fcnbench.util.text import normalise

_CHUNK = 1 << 20
"""Bytes per read."""

_LARGE = 1 << 28
"""Size in bytes from which progress is shown: hashing takes about a second."""


def digest_bytes(*parts: bytes | memoryview) -> str:
    """Return the digest of the concatenated parts.

    >>> digest_bytes(b"ab", b"c") == digest_bytes(b"abc")
    True
    """
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return f"sha256:{state.hexdigest()}"


def digest_lines(lines: Iterable[str]) -> str:
    r"""Return the digest of lines, each ended by a line feed: the digest of a text file with these lines.

    >>> digest_lines(["2007_000033"]) == digest_bytes(b"2007_000033\n")
    True
    """
    return digest_bytes(*(f"{line}\n".encode() for line in lines))


def digest_file(path: Path) -> str:
    """Return the digest of a file, read in chunks; shows progress for large files."""
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
    """Return the digest of a text file, independent of its line ends and of a byte order mark."""
    return digest_bytes(normalise(path.read_bytes()))


def short(digest: str, length: int = 12) -> str:
    """Return the first hexadecimal digits of a digest, for names and tables.

    >>> short("sha256:0123456789abcdef", 4)
    '0123'
    """
    return digest.removeprefix("sha256:")[:length]
