"""Devices: choose one, name it, wait for its work, and ask about its memory.

Every device but the CPU is reached through PyTorch's generic interface: the device's own module (`torch.cuda`,
`torch.mps`, `torch.xpu`, that of a package) first, then `torch.accelerator`. What a device, or a version of PyTorch,
does not offer has a fallback that is written beside its use.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from fcnbench.errors import UsageError
from fcnbench.evaluation.world import local_rank
from fcnbench.ground.console import note
from fcnbench.models.segmenter import Segmenter, module_of

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
"""What allocators say where they raise a plain RuntimeError: MPS and plug-in devices; CPU (Linux, Windows); cuBLAS."""

_TRIAL = 1 << 16
"""Numbers that are added up between two events, to see whether events work."""


def choose_device(name: str) -> torch.device:
    """Choose a device by name.

    Args:
        name: `auto` (the accelerator, if there is one that can be used, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`,
            `xpu`, or the name that a package registered. Without a number it is the device that falls to this process
            among those of its machine.

    Raises:
        UsageError: no such device here, or its work can't be waited for.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return _automatic()
    # A driver may fail in any way.
    try:
        device = _of_this_process(torch.device(name))
        if device.type == "meta":
            raise UsageError("--device meta holds no numbers", "use --device auto or cpu")
        _try_out(device)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"--device {name} can't be used here: {_first_line(error)}", "use --device auto or cpu"
        ) from error
    return device


def _automatic() -> torch.device:
    """Return the accelerator that PyTorch names, where it can be used; else the CPU."""
    try:
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if found is None:
            return torch.device("cpu")
        device = _of_this_process(torch.device(found.type))
        _try_out(device)
    # A driver may fail in any way, and nobody asked for this device by name.
    except Exception as error:  # noqa: BLE001
        note(f"the accelerator can't be used, so the CPU is: {_first_line(error)}")
        return torch.device("cpu")
    return device


def accelerators() -> list[str]:
    """Return the accelerators of this machine, such as `cuda NVIDIA H100 PCIe`; whether they work is not tried."""
    try:
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        count = 0 if found is None else torch.accelerator.device_count()
    # A driver may fail in any way.
    except Exception as error:  # noqa: BLE001
        return [f"unusable ({_first_line(error)})"]
    kind = "" if found is None else found.type
    return [f"{kind} {device_name(torch.device(kind, index))}".strip() for index in range(count)]


def _of_this_process(device: torch.device) -> torch.device:
    """Return the device that falls to this process, where the machine has several and none was named."""
    count = 1 if device.type == "cpu" else int(_answer(device, "device_count") or 1)
    return torch.device(device.type, local_rank() % count) if device.index is None and count > 1 else device


def _try_out(device: torch.device) -> None:
    """Add two numbers on a device, and find out how its work is waited for.

    Raises:
        UsageError: it can't be waited for.
        Exception: whatever the device raises.
    """
    torch.ones(1, device=device).add(1).cpu()
    if device.type != "cpu" and _synchronizer(device) is None and events_of(device) is None:
        raise UsageError(
            f"--device {device}: PyTorch has no way to wait for its work (no events, no synchronize), so its times "
            "would be those of the launch",
            "use --device auto or cpu",
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def move(segmenter: Segmenter, device: torch.device) -> None:
    """Bring a segmenter's network to the device, where it has one."""
    module = module_of(segmenter)
    if module is not None:
        module.to(device)


def device_name(device: torch.device) -> str:
    """Return what a device other than the CPU is called, `NVIDIA H100 PCIe` for one; empty where nobody says."""
    name = _answer(device, "get_device_name") or getattr(properties_of(device), "name", "")
    if not name and device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", str)()  # later versions of PyTorch alone know it
    return str(name or "")


def properties_of(device: torch.device) -> Any:
    """Return what a device's module says of it, an object with attributes of its own; None where it says nothing."""
    return _answer(device, "get_device_properties")


def synchronize(device: torch.device) -> None:
    """Wait for everything that was submitted to a device; on a CPU nothing is waited for.

    Raises:
        RuntimeError: some of it failed.
    """
    wait = None if device.type == "cpu" else _synchronizer(device)
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
def _synchronizer(device: torch.device) -> Callable[[], None] | None:
    """Return what waits for all of a device's work; None where nothing does."""
    for function in _functions(device, "synchronize"):
        with suppress(Exception):
            _called(function, device)
            return partial(_called, function, device)
    return None


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use at once so far; 0 where unknown.

    Of an accelerator by its allocator, where that counts them; of a CPU by the whole process.
    """
    if device.type != "cpu":
        return int(_answer(device, "max_memory_allocated") or 0)
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    # macOS counts in bytes, Linux in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_cache(device: torch.device) -> None:
    """Give memory back that a device's allocator keeps for later, where it can."""
    if device.type != "cpu":
        _answer(device, "empty_cache")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device's memory does not suffice.

    >>> out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 17.92 GB)"))
    True
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)


@cache
def casts_to(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether autocast makes a device's convolutions compute in a dtype; some ignore it without a word."""
    # Devices refuse in ways of their own, and PyTorch warns of a dtype that it does not cast to.
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad(), torch.autocast(device.type, dtype):
            flow, weight = (torch.ones(1, 1, 2, 2, device=device) for _ in range(2))
            return torch.nn.functional.conv2d(flow, weight).dtype == dtype
    return False


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
        takes = len(inspect.signature(function).parameters) > 0
    except (TypeError, ValueError):  # some built-in callables have no signature
        takes = False
    return function(device) if takes else function()


def _answer(device: torch.device, name: str) -> Any:
    """Return what the first function of a name answers; None where there is none that does."""
    for function in _functions(device, name):
        # Versions and devices lack some, and say so in ways of their own.
        with suppress(Exception):
            return _called(function, device)
    return None
