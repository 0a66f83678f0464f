"""Messages and progress on standard error.

On a terminal, progress is a bar from tqdm (imported on first use, to keep `--help` quick); elsewhere it is a plain line
every half minute.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from fcnbench.util.progress_lines import ProgressLines, plural

T = TypeVar("T")

_quiet = False
"""Whether this process prints nothing: in a distributed run only rank 0 prints."""

_bars = 0
"""Number of progress bars on the terminal; while there is one, notes are written through tqdm."""

BAR_DELAY = 0.3
"""Seconds before a bar appears."""

DEFAULT_COLUMNS = 80
"""Width of a bar on a terminal of unknown width."""

LINE_INTERVAL = 30.0
"""Seconds between two lines of progress where standard error is not a terminal, and before the first line."""


class Bar(Protocol):
    """The methods of a progress bar that fcnbench uses."""

    def update(self, n: int = 1) -> object:
        """Advance by `n` steps."""


@contextmanager
def progress(total: int | None, title: str, unit: str = "image", done: int = 0) -> Iterator[Bar]:
    """Show progress with rate and remaining time on standard error: a bar on a terminal, otherwise lines.

    Args:
        total: number of steps; None if unknown.
        title: description of the job, shown first.
        unit: name of one step, in the singular; `byte` is shown as MB.
        done: steps that an earlier, interrupted job did.

    >>> with progress(2, "read records", "record") as bar:
    ...     bar.update()
    ...     bar.update()
    """
    if _quiet or not _on_terminal():
        yield ProgressLines(total, title, unit, done, interval=LINE_INTERVAL, write=note)
        return
    from tqdm import tqdm

    global _bars  # noqa: PLW0603 - there is one standard error
    with tqdm(
        total=total,
        initial=done,
        desc=title,
        unit="B" if unit == "byte" else f" {plural(unit)}",
        delay=BAR_DELAY,
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


def track(items: Sequence[T], title: str, unit: str) -> Iterator[T]:
    """Yield the items and show progress: one step per item that the caller has finished.

    >>> [name.upper() for name in track(["a", "b"], "read", "record")]
    ['A', 'B']
    """
    with progress(len(items), title, unit) as bar:
        for item in items:
            yield item
            bar.update()


def note(text: str) -> None:
    """Print a line on standard error; standard output holds results only.

    Failures to print are ignored (standard error is closed, on a full disk, or a pipe without a reader): they must not
    cost a result.
    """
    if _quiet or sys.stderr is None:
        return
    with suppress(OSError, ValueError):
        if _bars:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def _columns() -> int | None:
    """Return the width of a bar if the terminal's is unknown, as in some containers; None lets tqdm ask for it."""
    try:
        return None if os.get_terminal_size(sys.stderr.fileno()).columns else DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS


def _on_terminal() -> bool:
    """Return whether standard error is a terminal; it is None in a program without a console."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def quiet(enabled: bool = True) -> Iterator[None]:
    """Print no messages and no progress inside the block, if `enabled`.

    >>> with quiet():
    ...     note("not printed")
    """
    global _quiet  # noqa: PLW0603 - there is one standard error
    before, _quiet = _quiet, _quiet or enabled
    try:
        yield
    finally:
        _quiet = before


def listed(ids: Sequence[str], most: int = 5) -> str:
    """Join names for a message: the first few, and the number of the others.

    >>> listed(["a", "b", "c", "d"], most=2)
    'a, b and 2 more'
    """
    shown = ", ".join(ids[:most])
    return f"{shown} and {len(ids) - most} more" if len(ids) > most else shown


def size_text(size: float) -> str:
    """Format a number of bytes in decimal units.

    >>> size_text(1_999_639_040), size_text(538_000_000), size_text(700)
    ('2.00 GB', '538 MB', '700 bytes')
    """
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    if size >= 1e6:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e3:.0f} kB" if size >= 1e3 else f"{size:.0f} bytes"
