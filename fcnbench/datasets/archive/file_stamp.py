"""Whether a file is the one that was read before: a fingerprint of its name, its times and samples of its content.

A file that was replaced by another one of the same size and modification time (unpacked from an archive, copied with
its times, or written in place) has another time of change, which no program can set. Where a system has no such time,
as Windows, the samples have to tell.
"""

from __future__ import annotations

import os
from pathlib import Path

from fcnbench.errors import DataCorrupt
from fcnbench.util.digests import digest_bytes

_BLOCK = 4096
"""Bytes of a sample; a file of up to so many per sample is taken whole."""

FILE, ARCHIVE = 3, 64
"""Samples of one of thousands of files, and of one large file."""


def fingerprint_file(path: Path, samples: int) -> str:
    """Return what changes when a file is replaced or written to: size, times, and a digest of evenly spaced samples.

    Args:
        path: the file.
        samples: how many blocks of 4 KiB to read, the first and the last one among them; at least 2.

    Raises:
        DataCorrupt: it is not there any more, or can't be read.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            size = status.st_size
            if size <= samples * _BLOCK:
                found = [stream.read(size)]
            else:
                found = []
                for place in range(samples):
                    stream.seek((size - _BLOCK) * place // (samples - 1))
                    found.append(stream.read(_BLOCK))
    except OSError as error:
        raise DataCorrupt(f"{path} can't be read: {error.strerror}", "check the file and its permissions") from error
    return f"{size} {status.st_mtime_ns} {status.st_ctime_ns} {digest_bytes(*found)}"
