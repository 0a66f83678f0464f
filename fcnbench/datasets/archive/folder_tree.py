"""A folder on disk as a tree."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from fcnbench.datasets.archive.file_stamp import FILE_SAMPLES, stamp_file
from fcnbench.datasets.archive.limits import check_size
from fcnbench.errors import DataCorrupt
from fcnbench.util.digests import digest_lines

_DEPTH = 6
"""Levels of folders below the given one: enough for the leading folders of releases, and finite on a whole disk."""


class FolderTree:
    """A folder on disk; see `fcnbench.datasets.archive.tree.Tree`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def folders(self) -> Iterable[str]:
        """Yield the path of every folder down to a fixed depth, except hidden ones."""
        level = [""]
        for _ in range(_DEPTH + 1):
            yield from level
            level = sorted(
                f"{folder}/{entry.name}".lstrip("/")
                for folder in level
                for entry in self._entries(folder)
                if entry.is_dir() and not entry.name.startswith(".")
            )

    def files(self, folder: str) -> Collection[str]:
        """Return the names of the regular files directly in a folder."""
        return {entry.name for entry in self._entries(folder) if entry.is_file()}

    def expect(self, paths: Iterable[str]) -> None:
        """Do nothing: any file can be read directly."""

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        try:
            check_size((self.path / path).stat().st_size, self.path / path)
            return (self.path / path).read_bytes()
        except OSError as error:
            raise DataCorrupt(
                f"{self.path / path} can't be read: {error.strerror}", "check the file and its permissions"
            ) from error

    def identity(self, paths: Iterable[str]) -> str:
        """Return a digest of each file's name, size, times and samples of its content."""
        files = [f"{path} {stamp_file(self.path / path, FILE_SAMPLES)}" for path in sorted(paths)]
        return digest_lines([f"folder {self.path.resolve()}", *files])

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path / folder) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
