"""Events and synchronisation of a device, by PyTorch's generic interface.

Functions are looked up in the module of the device's type (`torch.cuda`, `torch.mps`, `torch.xpu`, that of a package),
then in `torch.accelerator`. What a device or a version of PyTorch lacks has a fallback.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from inspect import Parameter, signature
from typing import Any

import torch

_TRIAL = 1 << 16
"""Numbers that are summed between two events, to test whether events work."""


def synchronize(device: torch.device) -> None:
    """Wait for all work that was submitted to a device; on a CPU return at once.

    Raises:
        RuntimeError: some of it failed.
    """
    wait = None if device.type == "cpu" else synchronizer(device)
    if wait is not None:
        wait()


@dataclass(frozen=True)
class Events:
    """The way to make and record events of a device.

    Attributes:
        make: makes an event.
        stream: returns the stream that receives work now; None where an event finds it by itself.
    """

    make: Callable[[], Any]
    stream: Callable[[], Any] | None

    def recorded(self) -> Any:
        """Return an event recorded after all work that this thread submitted so far."""
        event = self.make()
        # Without a stream an event takes that of the current device, which need not be this one.
        if self.stream is None:
            event.record()
        else:
            event.record(self.stream())
        return event


class Mark:
    """A point in a device's work, after everything submitted so far; any thread can wait for it.

    Where a device has no events, its work is waited for at once; a later wait would include the work of other images.

    Args:
        device: the device; a CPU's work is already done.

    >>> Mark(torch.device("cpu")).wait()
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
    """Return the first way to make events that works on a device; None where none does.

    Args:
        device: the device; a CPU has no events.
        timed: whether the events must measure times.

    >>> events_of(torch.device("cpu")) is None
    True
    """
    if device.type == "cpu":
        return None
    generic, specific = getattr(torch, "Event", None), getattr(_module(device), "Event", None)
    makers: list[Callable[[], Any]] = []
    if generic is not None:
        makers.append(lambda: generic(device=device, enable_timing=timed))
    if specific is not None:
        makers.append(lambda: specific(enable_timing=timed))
    streams = [partial(_call, function, device) for function in _functions(device, "current_stream")]
    for make in makers:
        for stream in (*streams, None):
            events = Events(make, stream)
            # A device that lacks something may raise anything.
            with suppress(Exception):
                if _events_work(events, device, timed):
                    return events
    return None


def _events_work(events: Events, device: torch.device, timed: bool) -> bool:
    """Return whether events can be waited for, and, if `timed`, measure a time."""
    begin = events.recorded()
    torch.ones(_TRIAL, device=device).sum()
    end = events.recorded()
    end.synchronize()
    return not timed or float(begin.elapsed_time(end)) > 0


@cache
def synchronizer(device: torch.device) -> Callable[[], None] | None:
    """Return a function that waits for all of a device's work; None where there is none."""
    for function in _functions(device, "synchronize"):
        with suppress(Exception):
            _call(function, device)
            return partial(_call, function, device)
    return None


def _module(device: torch.device) -> Any:
    """Return the module of a device's type, such as `torch.cuda`; None where there is none."""
    with suppress(Exception):
        return torch.get_device_module(device.type)
    return None


def _functions(device: torch.device, name: str) -> list[Callable[..., Any]]:
    """Return the functions of a name in the device's module and in `torch.accelerator`, in this order."""
    sources = [_module(device)]
    with suppress(Exception):
        current = torch.accelerator.current_accelerator()
        if current is not None and current.type == device.type:
            sources.append(torch.accelerator)
    functions = [getattr(source, name, None) for source in sources]
    return [function for function in functions if callable(function)]


def _call(function: Callable[..., Any], device: torch.device) -> Any:
    """Call a function for a device; some take the device as an argument, and some have only one device."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return function()
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)
    if any(parameter.kind in positional for parameter in parameters):
        return function(device)
    return function(device=device) if any(parameter.name == "device" for parameter in parameters) else function()


def call_first(device: torch.device, name: str) -> Any:
    """Call the first function of a name that works on a device, and return its result; None where none works.

    >>> call_first(torch.device("cpu"), "no_such_function")
    """
    for function in _functions(device, name):
        # Versions and devices lack some, and may raise anything.
        with suppress(Exception):
            return _call(function, device)
    return None
