"""What a person sees while it runs: notes on standard error, a progress bar on anything that takes long.

The bar comes from tqdm (imported on first use, since `--help` must not pay for it) and stays silent where standard
error is no terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

_hushed = False
"""Whether this process says nothing: of several that share a run one speaks."""

QUICK = 0.3
"""Seconds that a job may take without a bar."""


class Bar(Protocol):
    """The part of a progress bar that fcnbench uses."""

    def update(self, n: int = 1) -> object:
        """Move on by `n` steps."""


@contextmanager
def progress(total: int, what: str, unit: str = "image", done: int = 0) -> Iterator[Bar]:
    """A progress bar with rate and remaining time on standard error, quiet off a terminal.

    Args:
        total: steps of the whole job.
        what: a verb for the job, shown before the bar.
        unit: what one step is.
        done: steps that an earlier, interrupted job did.
    """
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=done,
        desc=what,
        unit=f" {unit}s",
        delay=QUICK,
        disable=True if _hushed else None,
        leave=False,
        file=sys.stderr,
        unit_scale=unit == "byte",
    ) as bar:
        yield bar


def note(text: str) -> None:
    """Say something to a person: a line on standard error, so that standard output stays a result."""
    if not _hushed:
        print(text, file=sys.stderr, flush=True)


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
