"""Progress as plain lines, for a standard error that is not a terminal: pipes, CI, SLURM logs, notebooks."""

from __future__ import annotations

import time
from collections.abc import Callable

_MINUTE, _HOUR = 60, 3600
_MEGABYTE = 1_000_000


class ProgressLines:
    """Counts the steps of a job and writes a line of progress at most once per interval, when a step finishes.

    Args:
        total: number of steps; None if unknown.
        title: description of the job, the beginning of each line.
        unit: name of one step, in the singular; `byte` is shown as MB.
        done: steps that an earlier, interrupted job did.
        interval: seconds between two lines, and before the first.
        write: writes a line.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        total: int | None,
        title: str,
        unit: str,
        done: int,
        *,
        interval: float,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._title, self._unit = total, title, unit
        self._done, self._before = done, done
        self._interval, self._write, self._clock = interval, write, clock
        self._started = self._written = clock()

    def update(self, n: int = 1) -> None:
        """Advance by `n` steps; write a line if the last one is older than the interval."""
        self._done += n
        now = self._clock()
        if now - self._written >= self._interval:
            self._written = now
            self._write(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        """Format the state of the job: title, count, rate, remaining time."""
        rate = (self._done - self._before) / seconds if seconds > 0 else 0.0
        parts = [self._count()]
        if rate > 0:
            parts.append(self._rate(rate))
        if self._total is not None and self._done == self._total:
            parts.append(f"done in {duration(seconds)}")
        elif self._total is not None and self._done < self._total and rate > 0:
            parts.append(f"{duration((self._total - self._done) / rate)} left")
        return f"{self._title}: {', '.join(parts)}"

    def _count(self) -> str:
        # Timing loops may run more steps than planned, until they have run long enough.
        total = self._total if self._total is not None and self._total >= self._done else None
        if self._unit == "byte":
            return f"{_megabytes(self._done)}{f' of {_megabytes(total)}' if total is not None else ''} MB"
        named = plural(self._unit, total if total is not None else self._done)
        return f"{self._done}{f' of {total}' if total is not None else ''} {named}"

    def _rate(self, rate: float) -> str:
        if self._unit == "byte":
            return f"{_megabytes(rate)} MB/s"
        return f"{rate:.1f} {plural(self._unit)}/s" if rate >= 1 else f"{1 / rate:.1f} s per {self._unit}"


def plural(unit: str, count: int = 2) -> str:
    """Return the plural of a unit's name; the singular for a count of 1.

    >>> plural("image"), plural("pass"), plural("image", 1)
    ('images', 'passes', 'image')
    """
    if count == 1:
        return unit
    return f"{unit}es" if unit.endswith("s") else f"{unit}s"


def duration(seconds: float) -> str:
    """Format a duration, rounded to the two largest units.

    >>> duration(38.2), duration(150), duration(3900)
    ('38 s', '2 min 30 s', '1 h 5 min')
    """
    whole = max(1, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def _megabytes(count: float) -> str:
    return f"{count / _MEGABYTE:.1f}"
