"""One interface to folders, tar files and zip files: a tree of folders with regular files, read without unpacking.

Paths are relative, with forward slashes. Nothing is written to disk under a name from an archive, and only regular
files are read, so that path traversal, links and devices in an archive have no effect; sizes are checked before
anything is decompressed, against decompression bombs. Files may be read from several threads; an archive serves one at
a time.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from fcnbench.datasets.archive.folder_tree import FolderTree
from fcnbench.datasets.archive.tar_tree import TarTree
from fcnbench.datasets.archive.zip_tree import ZipTree
from fcnbench.errors import DataMissing


class Tree(Protocol):
    """Folders with files in them.

    Attributes:
        path: the folder or archive on disk.
    """

    path: Path

    def folders(self) -> Iterable[str]:
        """Return the path of every folder, `""` for the root."""

    def files(self, folder: str) -> Collection[str]:
        """Return the names of the regular files directly in a folder; empty if there is no such folder."""

    def expect(self, paths: Iterable[str]) -> None:
        """Announce the files that will be read, so that a compressed tar file is decompressed only once."""

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            DataCorrupt: the file can't be read, is too large, or the archive is damaged.
        """

    def identity(self, paths: Iterable[str]) -> str:
        """Return a digest that changes when one of the files changes: of names, sizes, times and samples of content.

        Raises:
            DataCorrupt: a file does not exist any more, or can't be read.
        """

    def close(self) -> None:
        """Close open files."""


def open_tree(path: Path) -> Tree:
    """Open a folder, a tar file (compressed or not) or a zip file; files are recognised by their content.

    Raises:
        DataMissing: the path does not exist or can't be read.
        DataCorrupt: the file is not an archive, or is damaged.

    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "list.txt").write_text("2007_000033")
    >>> tree = open_tree(folder)
    >>> tree.files(""), tree.read("list.txt")
    ({'list.txt'}, b'2007_000033')
    """
    try:
        if path.is_dir():
            return FolderTree(path)
        if not path.exists():
            raise DataMissing(f"{path} does not exist", "pass an existing folder or archive to --from")
        if zipfile.is_zipfile(path):
            return ZipTree(path)
        return TarTree(path)
    except OSError as error:
        if isinstance(error, tarfile.TarError):
            raise
        raise DataMissing(
            f"{path} can't be read: {error.strerror or error}", "check the path and its permissions"
        ) from error
