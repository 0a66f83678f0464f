"""A zip file as a tree."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from fcnbench.datasets.archive.archive_tree import ArchiveTree
from fcnbench.datasets.archive.limits import check_size


class ZipTree(ArchiveTree):
    """A zip file; see `fcnbench.datasets.archive.tree.Tree`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise self._damaged(error) from error
        for member in self._archive.infolist():
            if not member.is_dir() and (name := self._register(member.filename)):
                self._members[name] = member

    def expect(self, paths: Iterable[str]) -> None:
        """Do nothing: any member of a zip file can be read directly."""

    def read(self, path: str) -> bytes:
        """Return the content of a file, its CRC checked."""
        # zipfile returns no more bytes than the declared size, so the declared size can be trusted.
        check_size(self._members[path].file_size, self.path / path)
        try:
            with self._lock:
                return self._archive.read(self._members[path])
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()
