"""Text files as they are meant, whatever a checkout or an editor made of them.

A clone on Windows may have CRLF line ends, and an editor there may begin a file with a byte order mark. Whatever is
read, compared or digested as text goes through here, so that neither makes a difference.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def normalise(content: bytes) -> bytes:
    r"""Return a text file's bytes with line feeds for every kind of line end, and without a UTF-8 byte order mark.

    >>> normalise(b"\xef\xbb\xbfone\r\ntwo\n")
    b'one\ntwo\n'
    """
    return content.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def read_text(path: Path | Traversable) -> str:
    """Read a UTF-8 text file.

    Raises:
        OSError: it can't be read.
        UnicodeDecodeError: it is not UTF-8 (also a ValueError).
    """
    return normalise(path.read_bytes()).decode("utf-8")
