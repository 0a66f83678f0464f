"""Devices: choice by name, name of the hardware, memory, and the dtypes that autocast casts to."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from functools import cache
from typing import Any

import torch

from fcnbench.errors import UsageError
from fcnbench.evaluation.events import call_first, events_of, synchronizer
from fcnbench.models.networks import networks_in
from fcnbench.models.segmenter import Segmenter
from fcnbench.util.console import note

_MEMORY_MESSAGES = (
    "out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "out_of_device_memory",
    "invalid buffer size", "failed to allocate memory", "video memory available",
)  # fmt: skip
"""Parts of the messages of allocators that raise a plain RuntimeError: MPS and plug-in devices; CPU (Linux, Windows);
cuBLAS; XPU; MPS, for one buffer; ONNX Runtime; DirectML."""


def choose_device(name: str) -> torch.device:
    """Choose a device by name.

    Args:
        name: `auto` (the accelerator if there is a usable one, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`, `xpu`, or
            a name that a package registered. Without a number each process of a machine gets the device of its local
            rank.

    Raises:
        UsageError: there is no such device, or PyTorch can't wait for its work.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return _automatic()
    # A driver may fail in any way.
    try:
        device = _with_local_index(torch.device(name))
        if device.type == "meta":
            raise UsageError("--device meta holds no values", "use --device auto or cpu")
        _check_usable(device)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"--device {name} can't be used here: {_first_line(error)}", "use --device auto or cpu"
        ) from error
    return device


def local_rank() -> int:
    """Return the rank of this process among those of its machine: `LOCAL_RANK`, else 0.

    >>> local_rank()
    0
    """
    text = os.environ.get("LOCAL_RANK", "0")
    return int(text) if text.isdecimal() else 0


def _automatic() -> torch.device:
    """Return the accelerator that PyTorch reports if it is usable, else the CPU."""
    try:
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if accelerator is None:
            return torch.device("cpu")
        device = _with_local_index(torch.device(accelerator.type))
        _check_usable(device)
    # A driver may fail in any way, and the user did not name this device.
    except Exception as error:  # noqa: BLE001
        note(f"the accelerator can't be used; using the CPU: {_first_line(error)}")
        return torch.device("cpu")
    return device


def accelerators() -> list[str]:
    """Return the accelerators of this machine, such as `cuda NVIDIA H100 PCIe`, without testing them."""
    try:
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        count = 0 if accelerator is None else torch.accelerator.device_count()
    # A driver may fail in any way.
    except Exception as error:  # noqa: BLE001
        return [f"unusable ({_first_line(error)})"]
    kind = "" if accelerator is None else accelerator.type
    return [f"{kind} {device_name(torch.device(kind, index))}".strip() for index in range(count)]


def _with_local_index(device: torch.device) -> torch.device:
    """Return the device of this process's local rank, if the machine has several and none was chosen by number."""
    count = 1 if device.type == "cpu" else int(call_first(device, "device_count") or 1)
    return torch.device(device.type, local_rank() % count) if device.index is None and count > 1 else device


def _check_usable(device: torch.device) -> None:
    """Check that a device computes, and that PyTorch can wait for its work.

    Raises:
        UsageError: PyTorch can't wait for it.
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
    """Move a segmenter's networks to a device, whatever attributes hold them."""
    for network in networks_in(segmenter):
        network.to(device)


def device_name(device: torch.device) -> str:
    """Return the name of a device other than the CPU, such as `NVIDIA H100 PCIe`; empty where it has none."""
    name = call_first(device, "get_device_name") or getattr(properties_of(device), "name", "")
    if not name and device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", str)()  # only later versions of PyTorch have it
    return str(name or "")


def properties_of(device: torch.device) -> Any:
    """Return the properties of a device that PyTorch reports, an object of its backend; None where there are none."""
    return call_first(device, "get_device_properties")


def peak_memory(device: torch.device) -> int:
    """Return the peak number of bytes in use so far; 0 where unknown.

    For an accelerator it is its allocator's peak, for a CPU that of the whole process.

    >>> peak_memory(torch.device("cpu")) >= 0
    True
    """
    if device.type != "cpu":
        return int(call_first(device, "max_memory_allocated") or 0)
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    # macOS counts in bytes, Linux in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_cache(device: torch.device) -> None:
    """Release the memory that a device's allocator caches, if it can."""
    if device.type != "cpu":
        call_first(device, "empty_cache")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out.

    >>> out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 17.92 GB)"))
    True
    """
    # PyTorch, numpy and drivers in Python have a class for it, and some libraries another one.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "outofmemory" in type(error).__name__.lower():
        return True
    # Compiled libraries raise RuntimeErrors, or classes by pybind11 whose only base is Exception.
    bound = type(error).__base__ is Exception and "pybind" in type(error).__module__
    return (bound or isinstance(error, RuntimeError)) and any(text in str(error).lower() for text in _MEMORY_MESSAGES)


@cache
def casts_to(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether autocast makes a device's convolutions compute in a dtype; some devices ignore it silently.

    >>> casts_to(torch.device("cpu"), torch.bfloat16)
    True
    """
    # A device may raise anything here, and PyTorch warns of a dtype that it does not cast to.
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad(), torch.autocast(device.type, dtype):
            feature_map, weight = (torch.ones(1, 1, 2, 2, device=device) for _ in range(2))
            return torch.nn.functional.conv2d(feature_map, weight).dtype == dtype
    return False
