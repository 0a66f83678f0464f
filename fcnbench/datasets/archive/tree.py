"""One view of a folder, a tar file and a zip file: folders with files in them, read without unpacking.

Names are relative, with forward slashes. Nothing is ever written to disk by a name from an archive, and only regular
files are read, so traversal names, links and devices in an archive can do nothing; nor can bombs, since sizes are
checked before anything is unpacked. Files are read from several threads; an archive lets in one at a time.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO, Protocol

from fcnbench.datasets.archive.file_stamp import ARCHIVE, FILE, fingerprint_file
from fcnbench.errors import DataCorrupt, DataMissing, OutputError
from fcnbench.util.console import progress, track
from fcnbench.util.digests import digest_lines

_DEPTH = 6
"""How many levels below the given folder are looked at: enough for leading folders, finite on a whole disk."""


_LARGEST = 1 << 28
"""Bytes that one picture or label map may have, 256 MiB: a hundred times what any dataset here needs."""

_RATIO = 200
"""How many times its own size a compressed archive may unpack to, beyond one `_LARGEST`; pictures reach about 2."""


class Tree(Protocol):
    """Folders with files in them."""

    place: Path

    def folders(self) -> Iterable[str]:
        """Every folder's path, `""` for the top."""

    def files(self, folder: str) -> Collection[str]:
        """Names of the regular files directly in a folder; none when there is no such folder."""

    def expect(self, paths: Iterable[str]) -> None:
        """Say which files will be read, so that a compressed archive is gone through only once."""

    def read(self, path: str) -> bytes:
        """A file's content."""

    def identity(self, paths: Iterable[str]) -> str:
        """A digest that changes when one of the files changes; from names, sizes, times and samples of their content.

        Raises:
            DataCorrupt: a file is not there any more, or can't be read.
        """

    def close(self) -> None:
        """Let go of open files."""


def open_tree(path: Path) -> Tree:
    """Open a folder, a tar file (compressed or not) or a zip file, by its content and not by its name.

    Raises:
        DataMissing: the path does not exist or can't be read.
        DataCorrupt: it is a file, and no archive, or a damaged one.
    """
    try:
        if path.is_dir():
            return FolderTree(path)
        if not path.exists():
            raise DataMissing(f"{path} does not exist", "pass a folder or an archive that is there to --from")
        if zipfile.is_zipfile(path):
            return ZipTree(path)
        return TarTree(path)
    except OSError as error:
        if isinstance(error, tarfile.TarError):
            raise
        raise DataMissing(
            f"{path} can't be read: {error.strerror or error}", "check the path and its permissions"
        ) from error


class FolderTree:
    """A folder on disk."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def folders(self) -> Iterable[str]:
        """Every folder down to a fixed depth, hidden ones left out."""
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
        """Names of the regular files directly in a folder."""
        return {entry.name for entry in self._entries(folder) if entry.is_file()}

    def expect(self, paths: Iterable[str]) -> None:
        """Nothing to prepare: any file is read directly."""

    def read(self, path: str) -> bytes:
        """A file's content."""
        try:
            _check_size((self.place / path).stat().st_size, self.place / path)
            return (self.place / path).read_bytes()
        except OSError as error:
            raise DataCorrupt(
                f"{self.place / path} can't be read: {error.strerror}", "check the file and its permissions"
            ) from error

    def identity(self, paths: Iterable[str]) -> str:
        """Return a digest over each file's name, size, times and samples of its content."""
        files = [f"{path} {fingerprint_file(self.place / path, FILE)}" for path in sorted(paths)]
        return digest_lines([f"folder {self.place.resolve()}", *files])

    def close(self) -> None:
        """Nothing is held open."""

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.place / folder) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []


class _Archive:
    """What tar and zip share: a table of regular files by folder, and one identity for the whole file."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._table: dict[str, set[str]] = {}
        self._turn = threading.Lock()

    def _register(self, name: str) -> str | None:
        """Enter a member into the table; None for a name that leaves the archive."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or name.startswith("/"):
            return None
        self._table.setdefault("/".join(parts[:-1]), set()).add(parts[-1])
        return "/".join(parts)

    def folders(self) -> Iterable[str]:
        """Every folder that has a file in it."""
        return sorted(self._table)

    def files(self, folder: str) -> Collection[str]:
        """Names of the regular files directly in a folder."""
        return self._table.get(folder, set())

    def identity(self, paths: Iterable[str]) -> str:
        """Return a digest over the archive's path, size, times and samples of its content."""
        return digest_lines([f"archive {self.place.resolve()} {fingerprint_file(self.place, ARCHIVE)}"])

    def _damaged(self, error: Exception) -> DataCorrupt:
        return DataCorrupt(
            f"{self.place} is no tar or zip archive, or a damaged one: {_first_line(error)}",
            "compare its size and digest with the publisher's and get it again",
        )


class TarTree(_Archive):
    """A tar file. From a compressed one the expected files are set aside in a temporary file, in one pass."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._aside: dict[str, tuple[int, int]] = {}
        self._spool: IO[bytes] | None = None
        self._stream = place.open("rb")
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
        except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            self.close()
            raise self._damaged(error) from error

    def _list_members(self) -> None:
        """Go through the archive once; a compressed one has to be unpacked for that, which takes a while."""
        with progress(self.place.stat().st_size, f"list {self.place.name}", "byte") as bar:
            read = 0
            for member in self._archive:
                if not self._plain:
                    self._check_ratio(member.offset_data + member.size)
                if member.isreg() and (name := self._register(member.name)):
                    self._members[name] = member
                bar.update(self._stream.tell() - read)
                read = self._stream.tell()

    def expect(self, paths: Iterable[str]) -> None:
        """Set the files aside, if the archive is compressed."""
        if self._plain or self._spool is not None:
            return
        wanted = sorted((self._members[path].offset, path) for path in paths)
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            for _, path in track(wanted, f"unpack {self.place.name}", "file"):
                self._aside[path] = (self._spool.tell(), self._members[path].size)
                self._spool.write(self._extract(path))
        except OSError as error:
            raise OutputError(
                f"cannot set files of {self.place} aside in {tempfile.gettempdir()}: {error.strerror or error}",
                "make room there, name another folder in TMPDIR, or unpack the archive and pass the folder",
            ) from error

    def read(self, path: str) -> bytes:
        """A file's content."""
        with self._turn:
            if self._spool is not None and path in self._aside:
                start, size = self._aside[path]
                self._spool.seek(start)
                return self._spool.read(size)
            return self._extract(path)

    def close(self) -> None:
        """Close the archive and drop what was set aside."""
        self._archive.close()
        self._stream.close()
        if self._spool is not None:
            self._spool.close()

    def _extract(self, path: str) -> bytes:
        _check_size(self._members[path].size, self.place / path)
        try:
            stream = self._archive.extractfile(self._members[path])
            content = stream.read() if stream else b""
        except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise self._damaged(error) from error
        if len(content) != self._members[path].size:
            raise self._damaged(EOFError(f"{path} ends early"))
        return content

    def _check_ratio(self, unpacked: int) -> None:
        """Refuse to go on into a compressed archive that unpacks to absurd sizes."""
        size = self.place.stat().st_size
        if unpacked > size * _RATIO + _LARGEST:
            raise DataCorrupt(
                f"{self.place} unpacks to over {unpacked} bytes from {size}: a decompression bomb",
                "compare its size and digest with the publisher's and get it again",
            )

    def _check_length(self) -> None:
        """A plain tar cut off inside its last member looks whole to the reader; its length tells."""
        if self._plain and self._members:
            last = max(self._members.values(), key=lambda member: member.offset_data)
            if last.offset_data + last.size > self.place.stat().st_size:
                raise EOFError("it ends early")


class ZipTree(_Archive):
    """A zip file."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._archive = zipfile.ZipFile(place)
        except (zipfile.BadZipFile, OSError) as error:
            raise self._damaged(error) from error
        for member in self._archive.infolist():
            if not member.is_dir() and (name := self._register(member.filename)):
                self._members[name] = member

    def expect(self, paths: Iterable[str]) -> None:
        """Nothing to prepare: a zip file is read at any place."""

    def read(self, path: str) -> bytes:
        """A file's content, its CRC checked."""
        # zipfile gives no more than the size that is declared, so that is what counts.
        _check_size(self._members[path].file_size, self.place / path)
        try:
            with self._turn:
                return self._archive.read(self._members[path])
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def _first_line(error: Exception) -> str:
    """An error's first line; tarfile lists every format that it tried after it."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")


def _check_size(size: int, where: Path) -> None:
    if size > _LARGEST:
        raise DataCorrupt(
            f"{where} has {size} bytes, which no picture or label map has", "use the dataset's original files"
        )


def _is_plain_tar(head: bytes) -> bool:
    """True when these first 512 bytes are a tar header by themselves, that is, not compressed."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
