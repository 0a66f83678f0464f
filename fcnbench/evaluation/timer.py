"""Timing of work that may run asynchronously on a device.

On any device but the CPU the time is measured by two events in the device's own stream. Where a device has no timed
events, all of its work is waited for before and after.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from fcnbench.evaluation.events import events_of, synchronize


@dataclass(frozen=True)
class KnownTime:
    """A time that is already known.

    Attributes:
        value: seconds.
    """

    value: float

    def seconds(self) -> float:
        """Return the time at once."""
        return self.value


@dataclass(frozen=True)
class EventTime:
    """The time between two events of a device, which may not have happened yet.

    Attributes:
        begin: event recorded before the work.
        end: event recorded after it.
        images: images that share the time.
    """

    begin: Any
    end: Any
    images: int

    def seconds(self) -> float:
        """Wait for the second event, in any thread, and return the time of one image."""
        self.end.synchronize()
        return float(self.begin.elapsed_time(self.end)) / 1e3 / self.images


PendingTime = KnownTime | EventTime
"""The time of work that a device may still be doing."""


class Timer:
    """Measures the work that is submitted to a device between the timer's creation and `stop`.

    Args:
        device: the device on which the work runs.

    >>> timer = Timer(torch.device("cpu"))
    >>> product = torch.ones(8, 8) @ torch.ones(8, 8)
    >>> pending = timer.stop()
    >>> pending.seconds() > 0
    True
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._events = events_of(device, timed=True)
        if self._events is None:
            synchronize(device)
            self._started = time.perf_counter()
        else:
            self._begin = self._events.recorded()

    def stop(self, images: int = 1) -> PendingTime:
        """Mark the end of the work and return its time, which waits for the work; `stop` does so only without events.

        Args:
            images: number of images that share the work: the time is that of one.
        """
        if self._events is None:
            synchronize(self._device)
            return KnownTime((time.perf_counter() - self._started) / images)
        return EventTime(self._begin, self._events.recorded(), images)
