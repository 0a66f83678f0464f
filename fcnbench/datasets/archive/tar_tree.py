"""A tar file as a tree."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from fcnbench.datasets.archive.archive_tree import ArchiveTree
from fcnbench.datasets.archive.limits import check_ratio, check_size
from fcnbench.errors import DataCorrupt, OutputError
from fcnbench.util.console import progress, track

_READ_ERRORS = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)
"""Exceptions of tarfile and the decompressors for damaged archives."""


class TarTree(ArchiveTree):
    """A tar file; see `fcnbench.datasets.archive.tree.Tree`.

    A compressed tar file can only be read from its start. Expected files are therefore copied to a temporary file, in
    one pass over the archive.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._copies: dict[str, tuple[int, int]] = {}
        self._copied: IO[bytes] | None = None
        self._stream = path.open("rb")
        try:
            self._plain = _is_plain_tar(self._stream.read(512))
            self._stream.seek(0)
            self._archive = tarfile.open(  # noqa: SIM115 - closed by close()
                fileobj=self._stream, mode="r:" if self._plain else "r:*"
            )
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            self._stream.close()
            raise self._damaged(error) from error
        try:
            self._list_members()
            self._check_length()
        except DataCorrupt:
            self.close()
            raise
        except _READ_ERRORS as error:
            self.close()
            raise self._damaged(error) from error

    def expect(self, paths: Iterable[str]) -> None:
        """Copy the files to a temporary file, if the archive is compressed."""
        if self._plain or self._copied is not None:
            return
        wanted = sorted((self._members[path].offset, path) for path in paths)
        try:
            self._copied = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            for _, path in track(wanted, f"unpack {self.path.name}", "file"):
                self._copies[path] = (self._copied.tell(), self._members[path].size)
                self._copied.write(self._extract(path))
        except OSError as error:
            raise OutputError(
                f"cannot copy files of {self.path} to {tempfile.gettempdir()}: {error.strerror or error}",
                "make room there, name another folder in TMPDIR, or unpack the archive and pass the folder",
            ) from error

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        with self._lock:
            if self._copied is not None and path in self._copies:
                start, size = self._copies[path]
                self._copied.seek(start)
                return self._copied.read(size)
            return self._extract(path)

    def close(self) -> None:
        """Close the archive, and remove the temporary file."""
        self._archive.close()
        self._stream.close()
        if self._copied is not None:
            self._copied.close()

    def _list_members(self) -> None:
        """List the members; a compressed archive is decompressed once for this, which takes a while."""
        with progress(self.path.stat().st_size, f"list {self.path.name}", "byte") as bar:
            position = 0
            for member in self._archive:
                if not self._plain:
                    check_ratio(member.offset_data + member.size, self.path)
                if member.isreg() and (name := self._register(member.name)):
                    self._members[name] = member
                bar.update(self._stream.tell() - position)
                position = self._stream.tell()

    def _check_length(self) -> None:
        """Check that a plain tar file is complete: tarfile does not notice a cut inside the last member."""
        if self._plain and self._members:
            last = max(self._members.values(), key=lambda member: member.offset_data)
            if last.offset_data + last.size > self.path.stat().st_size:
                raise EOFError("it ends early")

    def _extract(self, path: str) -> bytes:
        check_size(self._members[path].size, self.path / path)
        try:
            stream = self._archive.extractfile(self._members[path])
            content = stream.read() if stream else b""
        except _READ_ERRORS as error:
            raise self._damaged(error) from error
        if len(content) != self._members[path].size:
            raise self._damaged(EOFError(f"{path} ends early"))
        return content


def _is_plain_tar(head: bytes) -> bool:
    """Return whether the first 512 bytes of a file are a tar header, that is, the file is not compressed."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
