"""Reading text files independent of line ends and byte order marks.

A clone on Windows may have CRLF line ends, and an editor there may begin a file with a byte order mark. Everything that
is read, compared or digested as text passes through this module, so that neither makes a difference.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def normalise(content: bytes) -> bytes:
    r"""Return the bytes of a text file with line feeds as line ends, and without a UTF-8 byte order mark.

    >>> normalise(b"\xef\xbb\xbfone\r\ntwo\n")
    b'one\ntwo\n'
    """
    return content.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def read_text(path: Path | Traversable) -> str:
    """Read a UTF-8 text file.

    Raises:
        OSError: the file can't be read.
        UnicodeDecodeError: the content is not UTF-8 (also a ValueError).
    """
    return normalise(path.read_bytes()).decode("utf-8")


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return these keys and values as a dict: an `object_pairs_hook` for `json.loads`, which accepts duplicates itself.

    Raises:
        ValueError: a key occurs twice.

    >>> unique_keys([("a", 1), ("b", 2)])
    {'a': 1, 'b': 2}
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} occurs twice")
        found[key] = value
    return found
