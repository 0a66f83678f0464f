"""Standard output of `--json`: one JSON object, whatever a model, a library or a child process prints.

What is printed during a command, by Python or past it through file descriptor 1, goes to standard error; the object
goes where standard output went before.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_OUT, _ERR = 1, 2
"""File descriptors of standard output and standard error."""

_reserved: TextIO | None = None


def result_stream() -> TextIO | None:
    """Return where the result goes; None where standard output is closed."""
    return sys.stdout if _reserved is None else _reserved


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output, in ASCII, which every encoding of standard output has."""
    import json

    if (stream := result_stream()) is not None:
        print(json.dumps(content, allow_nan=False), file=stream, flush=True)


@contextmanager
def reserved_for_json(*, for_good: bool) -> Iterator[None]:
    """Keep standard output for the JSON object inside the block.

    Args:
        for_good: whether it stays so afterwards: the process ends, and C libraries may print what they still hold.
    """
    global _reserved  # noqa: PLW0603 - there is one standard output
    before, stdout = _reserved, sys.stdout
    own = _descriptor(stdout)
    if own is not None:
        stdout.flush()
    # The object is ASCII, which every encoding of a terminal has.
    _reserved = stdout if own is None else os.fdopen(os.dup(own), "w", encoding="ascii")
    saved = {number: os.dup(number) for number in dict.fromkeys((own, _OUT)) if number is not None and _is_open(number)}
    for number in saved:
        os.dup2(_ERR if _is_open(_ERR) else os.open(os.devnull, os.O_WRONLY), number)
    sys.stdout = prints = _beside_errors()
    try:
        yield
    finally:
        if not for_good:
            _flush_c_libraries()
            for number, kept in saved.items():
                os.dup2(kept, number)
            if own is not None and _reserved is not None:
                with suppress(OSError, ValueError):
                    _reserved.close()
            sys.stdout, _reserved = stdout, before
            if prints is not sys.stderr:
                prints.close()
        for kept in saved.values():
            os.close(kept)


class _Unclosable(io.TextIOWrapper):
    """Standard output that a model's code can't close."""

    def close(self) -> None:
        """Write out what was printed."""
        with suppress(OSError, ValueError):
            self.flush()


def keep_open() -> None:
    """Keep standard output open whatever a model does with it: the result is printed there in the end."""
    own = sys.stdout
    if isinstance(own, io.TextIOWrapper):
        sys.stdout = _Unclosable(own.buffer, own.encoding, own.errors, line_buffering=own.line_buffering)


def fill_closed_descriptors() -> None:
    """Open the null device where standard output or error is closed: no file that is opened later becomes either."""
    for descriptor in (0, _OUT, _ERR):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _beside_errors() -> TextIO:
    """A stream to standard error for what is printed: a model that closes it does not close standard error."""
    if sys.stderr is None:
        return io.StringIO()
    if _descriptor(sys.stderr) != _ERR:
        return sys.stderr
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    return open(_ERR, "w", buffering=1, encoding=encoding, errors=errors, closefd=False)


def _descriptor(stream: TextIO | None) -> int | None:
    """The descriptor of standard output; None where it is closed, or replaced by something in memory."""
    if stream is None:
        return None
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return None
    return number if _is_open(number) else None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush_c_libraries() -> None:
    """Write out what C's own buffers hold, while descriptor 1 is still standard error."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
