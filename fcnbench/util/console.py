"""What a person sees while it runs: notes on standard error, and progress on anything that takes long.

On a terminal progress is a bar from tqdm (imported on first use, since `--help` must not pay for it); elsewhere it is a
plain line from time to time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from fcnbench.util.progress_lines import Lines, plural

T = TypeVar("T")

_hushed = False
"""Whether this process says nothing: of several that share a run one speaks."""

_bars = 0
"""How many bars are on the terminal: a note must not be written into one."""

QUICK = 0.3
"""Seconds that a job may take without a bar."""

WIDTH = 80
"""Columns of a terminal that does not tell how many it has."""

INTERVAL = 30.0
"""Seconds between two lines of progress where standard error is no terminal, and before the first."""


class Bar(Protocol):
    """The part of a progress bar that fcnbench uses."""

    def update(self, n: int = 1) -> object:
        """Move on by `n` steps."""


@contextmanager
def progress(total: int | None, what: str, unit: str = "image", done: int = 0) -> Iterator[Bar]:
    """Show progress with rate and remaining time on standard error: a bar on a terminal, else a line now and then.

    Args:
        total: steps of the whole job; None where nobody knows.
        what: what is done, shown first.
        unit: what one step is; bytes are shown as MB.
        done: steps that an earlier, interrupted job did.
    """
    if _hushed or not _on_terminal():
        yield Lines(total, what, unit, done, interval=INTERVAL, say=note)
        return
    from tqdm import tqdm

    global _bars  # noqa: PLW0603 - there is one standard error
    with tqdm(
        total=total,
        initial=done,
        desc=what,
        unit="B" if unit == "byte" else f" {plural(unit)}",
        delay=QUICK,
        leave=False,
        file=sys.stderr,
        unit_scale=unit == "byte",
        ncols=_columns(),
    ) as bar:
        _bars += 1
        try:
            yield bar
        finally:
            _bars -= 1


def followed(items: Sequence[T], what: str, unit: str) -> Iterator[T]:
    """Go through items with progress: one step for each that the caller has finished."""
    with progress(len(items), what, unit) as bar:
        for item in items:
            yield item
            bar.update()


def note(text: str) -> None:
    """Say something to a person: a line on standard error, so that standard output stays a result.

    Nothing is said where standard error is closed, full, or a pipe that nobody reads: a result is not lost for a word.
    """
    if _hushed or sys.stderr is None:
        return
    with suppress(OSError, ValueError):
        if _bars:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def _columns() -> int | None:
    """Width of a bar where the terminal tells none, as in some containers; None leaves it to the terminal."""
    try:
        return None if os.get_terminal_size(sys.stderr.fileno()).columns else WIDTH
    except (OSError, ValueError):
        return WIDTH


def _on_terminal() -> bool:
    """Whether standard error is a terminal; it is None in a program without a console."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def hushed(silent: bool = True) -> Iterator[None]:
    """Say nothing inside the block, where `silent`."""
    global _hushed  # noqa: PLW0603 - there is one standard error
    before, _hushed = _hushed, _hushed or silent
    try:
        yield
    finally:
        _hushed = before


def listed(ids: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first few, and how many more."""
    shown = ", ".join(ids[:most])
    return f"{shown} and {len(ids) - most} more" if len(ids) > most else shown


def size_text(size: float) -> str:
    """Return a number of bytes as a person reads it, in decimal units.

    >>> size_text(1_999_639_040), size_text(538_000_000), size_text(700)
    ('2.00 GB', '538 MB', '700 bytes')
    """
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    if size >= 1e6:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e3:.0f} kB" if size >= 1e3 else f"{size:.0f} bytes"
