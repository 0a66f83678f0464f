"""Waiting for a device's work, by PyTorch's generic interface.

Every device but the CPU is asked by way of its own module (`torch.cuda`, `torch.mps`, `torch.xpu`, that of a package)
first, then of `torch.accelerator`. What a device, or a version of PyTorch, does not offer has a fallback.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

_TRIAL = 1 << 16
"""Numbers that are added up between two events, to see whether events work."""


def synchronize(device: torch.device) -> None:
    """Wait for everything that was submitted to a device; on a CPU nothing is waited for.

    Raises:
        RuntimeError: some of it failed.
    """
    wait = None if device.type == "cpu" else synchronizer(device)
    if wait is not None:
        wait()


@dataclass(frozen=True)
class Events:
    """How events of a device are made and recorded.

    Attributes:
        make: makes one.
        stream: the stream that work goes to now; None where the event knows that by itself.
    """

    make: Callable[[], Any]
    stream: Callable[[], Any] | None

    def recorded(self) -> Any:
        """Return an event behind all work that this thread submitted so far."""
        event = self.make()
        # An event by itself takes the stream of the current device, which need not be this one.
        event.record(*(() if self.stream is None else (self.stream(),)))
        return event


class Mark:
    """A mark behind the work that was submitted to a device so far; it can be waited for in any thread.

    Where a device has no events, the work is waited for at once: later, work of other images would be waited for, too.

    Args:
        device: the device; a CPU's work is done before there is a mark.
    """

    def __init__(self, device: torch.device) -> None:
        events = events_of(device)
        self._event = None if events is None else events.recorded()
        if events is None:
            synchronize(device)

    def wait(self) -> None:
        """Wait for the work.

        Raises:
            RuntimeError: some of it failed.
        """
        if self._event is not None:
            self._event.synchronize()


@cache
def events_of(device: torch.device, timed: bool = False) -> Events | None:
    """Return how a device's events are made; None where it has none that work: each way is tried.

    Args:
        device: the device; a CPU has none.
        timed: whether they are to measure times.
    """
    if device.type == "cpu":
        return None
    own, generic = getattr(_module(device), "Event", None), getattr(torch, "Event", None)
    makers: list[Callable[[], Any]] = []
    if generic is not None:
        makers.append(lambda: generic(device=device, enable_timing=timed))
    if own is not None:
        makers.append(lambda: own(enable_timing=timed))
    streams = [partial(_called, find, device) for find in _functions(device, "current_stream")]
    for make in makers:
        for stream in (*streams, None):
            events = Events(make, stream)
            # A device that lacks something says so in ways of its own.
            with suppress(Exception):
                if _work(events, device, timed):
                    return events
    return None


def _work(events: Events, device: torch.device, timed: bool) -> bool:
    """Return whether events can be waited for, and measure a time where that is wanted."""
    begin = events.recorded()
    torch.ones(_TRIAL, device=device).sum()
    end = events.recorded()
    end.synchronize()
    return not timed or float(begin.elapsed_time(end)) > 0


@cache
def synchronizer(device: torch.device) -> Callable[[], None] | None:
    """Return what waits for all of a device's work; None where nothing does."""
    for function in _functions(device, "synchronize"):
        with suppress(Exception):
            _called(function, device)
            return partial(_called, function, device)
    return None


def _module(device: torch.device) -> Any:
    """Return the module of a device's type, such as `torch.cuda`; None where there is none."""
    with suppress(Exception):
        return torch.get_device_module(device.type)
    return None


def _functions(device: torch.device, name: str) -> list[Callable[..., Any]]:
    """Return the functions of a name: that of the device's module, then `torch.accelerator`'s, where it has one."""
    sources = [_module(device)]
    with suppress(Exception):
        current = torch.accelerator.current_accelerator()
        if current is not None and current.type == device.type:
            sources.append(torch.accelerator)
    found = [getattr(source, name, None) for source in sources]
    return [function for function in found if callable(function)]


def _called(function: Callable[..., Any], device: torch.device) -> Any:
    """Call a function for a device: some take it, and some know one device alone."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return function()
    if any(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL) for each in parameters):
        return function(device)
    return function(device=device) if any(each.name == "device" for each in parameters) else function()


def answer(device: torch.device, name: str) -> Any:
    """Return what the first function of a name answers; None where there is none that does."""
    for function in _functions(device, name):
        # Versions and devices lack some, and say so in ways of their own.
        with suppress(Exception):
            return _called(function, device)
    return None
