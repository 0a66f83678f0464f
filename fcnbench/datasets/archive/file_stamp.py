"""Stamps of files, to recognise a file that was read before: size, times, and samples of its content.

A file that was replaced by one of the same size and modification time (unpacked from an archive, copied with its times,
or overwritten) has another time of change (ctime), which no program can set. On a system without one, such as Windows,
only the samples show the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

from fcnbench.errors import DataCorrupt
from fcnbench.util.digests import digest_bytes

_BLOCK = 4096
"""Bytes per sample; a file that is not larger than its samples is read completely."""

FILE_SAMPLES, ARCHIVE_SAMPLES = 3, 64
"""Samples of one of thousands of files, and of one large archive."""


def stamp_file(path: Path, samples: int) -> str:
    """Return a text that changes when a file is replaced or written to.

    Args:
        path: the file.
        samples: number of evenly spaced blocks of 4 KiB to read, including the first and the last one; at least 2.

    Raises:
        DataCorrupt: the file does not exist any more, or can't be read.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            size = status.st_size
            if size <= samples * _BLOCK:
                blocks = [stream.read(size)]
            else:
                blocks = []
                for index in range(samples):
                    stream.seek((size - _BLOCK) * index // (samples - 1))
                    blocks.append(stream.read(_BLOCK))
    except OSError as error:
        raise DataCorrupt(f"{path} can't be read: {error.strerror}", "check the file and its permissions") from error
    return f"{size} {status.st_mtime_ns} {status.st_ctime_ns} {digest_bytes(*blocks)}"
