"""Devices: choose one, name it, and ask about its memory and what it casts to."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import torch

from fcnbench.errors import UsageError
from fcnbench.evaluation.distributed import local_rank
from fcnbench.evaluation.events import answer, events_of, synchronizer
from fcnbench.models.networks import networks_in
from fcnbench.models.segmenter import Segmenter
from fcnbench.util.console import note

_MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "out_of_device_memory",
    "invalid buffer size", "failed to allocate memory", "video memory available",
)  # fmt: skip
"""What allocators say where they raise a plain RuntimeError: MPS and plug-in devices; CPU (Linux, Windows); cuBLAS;
XPU; MPS, for one buffer; ONNX Runtime; DirectML."""


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
    count = 1 if device.type == "cpu" else int(answer(device, "device_count") or 1)
    return torch.device(device.type, local_rank() % count) if device.index is None and count > 1 else device


def _try_out(device: torch.device) -> None:
    """Add two numbers on a device, and find out how its work is waited for.

    Raises:
        UsageError: it can't be waited for.
        Exception: whatever the device raises.
    """
    torch.ones(1, device=device).add(1).cpu()
    if device.type != "cpu" and synchronizer(device) is None and events_of(device) is None:
        raise UsageError(
            f"--device {device}: PyTorch has no way to wait for its work (no events, no synchronize), so its times "
            "would be those of the launch",
            "use --device auto or cpu",
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def move(segmenter: Segmenter, device: torch.device) -> None:
    """Bring a segmenter's networks to the device, wherever it keeps them."""
    for network in networks_in(segmenter):
        network.to(device)


def device_name(device: torch.device) -> str:
    """Return what a device other than the CPU is called, `NVIDIA H100 PCIe` for one; empty where nobody says."""
    name = answer(device, "get_device_name") or getattr(properties_of(device), "name", "")
    if not name and device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", str)()  # later versions of PyTorch alone know it
    return str(name or "")


def properties_of(device: torch.device) -> Any:
    """Return what a device's module says of it, an object with attributes of its own; None where it says nothing."""
    return answer(device, "get_device_properties")


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use at once so far; 0 where unknown.

    Of an accelerator by its allocator, where that counts them; of a CPU by the whole process.
    """
    if device.type != "cpu":
        return int(answer(device, "max_memory_allocated") or 0)
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    # macOS counts in bytes, Linux in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_cache(device: torch.device) -> None:
    """Give memory back that a device's allocator keeps for later, where it can."""
    if device.type != "cpu":
        answer(device, "empty_cache")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device's memory does not suffice.

    >>> out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 17.92 GB)"))
    True
    """
    # Drivers in Python, numpy, and PyTorch each have a class for it, and some libraries one of their own.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "outofmemory" in type(error).__name__.lower():
        return True
    # Errors of compiled libraries are RuntimeErrors, or made by pybind11, with Exception alone above them.
    bound = type(error).__base__ is Exception and "pybind" in type(error).__module__
    return (bound or isinstance(error, RuntimeError)) and any(words in str(error).lower() for words in _MEMORY_WORDS)


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
