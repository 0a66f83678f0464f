"""Timing of work that may run asynchronously on a device.

On any device but the CPU the time is measured by two events in the device's own stream. Where a device has no timed
events, all of its work is waited for before and after.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from fcnbench.evaluation.events import events_of, synchronize


class PendingTime(Protocol):
    """The time of work that a device may still be doing."""

    def seconds(self) -> float:
        """Wait for the work, in any thread, and return how long it took."""


@dataclass(frozen=True)
class KnownTime:
    """A time that is already known.

    Attributes:
        value: seconds.
    """

    value: float

    def seconds(self) -> float:
        """Return the time."""
        return self.value


@dataclass(frozen=True)
class EventTime:
    """The time between two events of a device.

    Attributes:
        begin: event recorded before the work.
        end: event recorded after it.
    """

    begin: Any
    end: Any

    def seconds(self) -> float:
        """Wait for the second event and return the time between both."""
        self.end.synchronize()
        return float(self.begin.elapsed_time(self.end)) / 1e3


@dataclass(frozen=True)
class SharedTime:
    """The time of one image in a batch: an equal share of the batch's time.

    Attributes:
        batch: time of the whole batch.
        images: images in the batch.
    """

    batch: PendingTime
    images: int

    def seconds(self) -> float:
        """Wait for the batch and return the share of one image."""
        return self.batch.seconds() / self.images


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

    def stop(self) -> PendingTime:
        """Mark the end of the work. The result's `seconds()` waits for the work; `stop` does so only without events."""
        if self._events is None:
            synchronize(self._device)
            return KnownTime(time.perf_counter() - self._started)
        return EventTime(self._begin, self._events.recorded())
