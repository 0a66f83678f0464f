"""Counters of a device: clocks, power, energy and throttling.

NVIDIA's counters come from the extra `nvml` (nvidia-ml-py), a processor's energy from Linux's powercap, its throttling
from sysfs. A counter that does not exist or cannot be read gives None.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

_RAPL = Path("/sys/class/powercap")
_CPUS = Path("/sys/devices/system/cpu")

_HARMLESS = ("GpuIdle", "ApplicationsClocksSetting", "UserDefinedClocks", "None")
"""NVML's reasons for lower clocks that are not throttling: an idle GPU, and clocks that somebody chose."""


class PowerCounters:
    """The counters of a device; for a CPU, those of the whole machine.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        # NVML knows only NVIDIA's devices; PyTorch calls ROCm's devices cuda, too.
        self._nvml: Any = load_nvml() if device.type == "cuda" and torch.version.cuda else None
        self._handle = None if self._nvml is None else _nvml_handle(self._nvml, device)
        self._cpu = device.type == "cpu"
        self._throttled = self._throttle_count()

    def energy(self) -> float | None:
        """Return a running total of joules; the difference of two calls is the energy used in between."""
        if self._handle is not None:
            with suppress(self._nvml.NVMLError):
                return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3
        if self._cpu:
            packages = [_read_number(path / "energy_uj") for path in sorted(_RAPL.glob("intel-rapl:?"))]
            if packages and None not in packages:
                return sum(each for each in packages if each is not None) / 1e6
        return None

    def slowed(self) -> bool:
        """Return whether heat or power limits slowed the device down since the last call."""
        if self._handle is not None:
            with suppress(self._nvml.NVMLError):
                reasons = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
                return bool(reasons & ~_harmless_bits(self._nvml))
        before, self._throttled = self._throttled, self._throttle_count()
        return self._throttled > before

    def _throttle_count(self) -> int:
        """Return how often the processor was throttled so far; 0 where it has no counter."""
        if not self._cpu:
            return 0
        counts = (_read_number(path) for path in _CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
        return int(sum(count or 0 for count in counts))

    def clocks(self) -> dict[str, str]:
        """Return the current clocks, power and temperature by name; empty without NVML."""
        if self._handle is None:
            return {}
        values: dict[str, str] = {}
        library, handle = self._nvml, self._handle
        with suppress(library.NVMLError):
            values["gpu, MHz"] = str(library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM))
            values["gpu maximum, MHz"] = str(library.nvmlDeviceGetMaxClockInfo(handle, library.NVML_CLOCK_SM))
            values["gpu performance state"] = f"P{library.nvmlDeviceGetPerformanceState(handle)}"
            values["gpu power limit, W"] = str(library.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
            values["gpu power, W"] = str(library.nvmlDeviceGetPowerUsage(handle) / 1000)
            values["gpu, degrees C"] = str(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))
        return values


def load_nvml() -> Any:
    """Return NVIDIA's management library, initialised; None where the library or the driver is missing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _nvml_handle(library: Any, device: torch.device) -> Any:
    """Return NVML's handle of a device: by UUID, since NVML's indices ignore CUDA_VISIBLE_DEVICES."""
    properties = torch.cuda.get_device_properties(device)
    with suppress(library.NVMLError, AttributeError):
        return library.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}".encode())
    with suppress(library.NVMLError):
        return library.nvmlDeviceGetHandleByIndex(device.index or 0)
    return None


def _harmless_bits(library: Any) -> int:
    """Return NVML's bits of the harmless reasons for lower clocks."""
    bits = 0
    for name in _HARMLESS:
        bits |= int(getattr(library, f"nvmlClocksThrottleReason{name}", 0))
    return bits


def _read_number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
