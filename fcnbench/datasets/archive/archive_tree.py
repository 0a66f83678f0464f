"""The common part of tar and zip files: the table of members, and the identity of the archive."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from fcnbench.datasets.archive.file_stamp import ARCHIVE_SAMPLES, stamp_file
from fcnbench.errors import DataCorrupt
from fcnbench.util.digests import digest_lines


class ArchiveTree:
    """Regular files of an archive by folder; base class of `TarTree` and `ZipTree`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def folders(self) -> Iterable[str]:
        """Return every folder with a file in it."""
        return sorted(self._table)

    def files(self, folder: str) -> Collection[str]:
        """Return the names of the regular files directly in a folder."""
        return self._table.get(folder, set())

    def identity(self, paths: Iterable[str]) -> str:
        """Return a digest of the archive's path, size, times and samples of its content."""
        return digest_lines([f"archive {self.path.resolve()} {stamp_file(self.path, ARCHIVE_SAMPLES)}"])

    def _register(self, name: str) -> str | None:
        """Enter a member into the table, and return its path; None for a name that points outside the archive."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or name.startswith("/"):
            return None
        self._table.setdefault("/".join(parts[:-1]), set()).add(parts[-1])
        return "/".join(parts)

    def _damaged(self, error: Exception) -> DataCorrupt:
        # tarfile lists every format that it tried after the first line.
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        return DataCorrupt(
            f"{self.path} is not a tar or zip archive, or is damaged: {reason}",
            "compare its size and digest with the publisher's and get it again",
        )
