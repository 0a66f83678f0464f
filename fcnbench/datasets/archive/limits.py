"""Limits on the sizes of files, against decompression bombs."""

from __future__ import annotations

from pathlib import Path

from fcnbench.errors import DataCorrupt

LARGEST_FILE = 1 << 28
"""Most bytes of an image or label map, 256 MiB: a hundred times the size of any in the known datasets."""

_RATIO = 200
"""Largest ratio of the size of the content to that of an archive, beyond one `LARGEST_FILE`; images reach about 2."""


def check_size(size: int, path: Path) -> None:
    """Check the size of a file before it is read.

    Args:
        size: size in bytes.
        path: path of the file, for messages.

    Raises:
        DataCorrupt: the file is larger than any image or label map.

    >>> check_size(1000, Path("2007_000033.jpg"))
    """
    if size > LARGEST_FILE:
        raise DataCorrupt(
            f"{path} has {size} bytes, too many for an image or a label map", "use the dataset's original files"
        )


def check_ratio(unpacked: int, path: Path) -> None:
    """Check the size of the content of a compressed archive while it is listed.

    Args:
        unpacked: bytes of the content so far.
        path: the archive.

    Raises:
        DataCorrupt: the content is much larger than the archive.
    """
    size = path.stat().st_size
    if unpacked > size * _RATIO + LARGEST_FILE:
        raise DataCorrupt(
            f"{path} unpacks to over {unpacked} bytes from {size}: a decompression bomb",
            "compare its size and digest with the publisher's and get it again",
        )
