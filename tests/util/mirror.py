"""A mirror on the loopback, and the archives that it serves."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from fcnbench.util.archive import Archive
from tests.datasets.server import Behaviour

CONTENT = bytes(range(256)) * 4000
"""About 1 MB."""

Serve = Callable[[Behaviour], str]
"""Starts a server, and returns the address of its file."""


def archive(*urls: str, content: bytes = CONTENT, sized: bool = True, **digests: str) -> Archive:
    """An archive with all three digests of its content, unless others are given."""
    known = digests or {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "sha1", "md5")}
    return Archive("test", "archive.tar", urls, known, len(content) if sized else None, "terms", "citation")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def unknown(*urls: str, file: str = "archive.tar") -> Archive:
    """An archive of which neither digest nor size is known."""
    return Archive("test", file, urls, {}, None, "terms", "citation")
