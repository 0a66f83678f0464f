"""What a device's own counters say: clocks, power, energy, and whether it was slowed down.

NVIDIA's come through the extra `nvml` (nvidia-ml-py), a processor's energy through Linux's powercap, its throttling
through sysfs. Where a counter does not exist or is not ours to read, its value is None.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

_RAPL = Path("/sys/class/powercap")
_CPUS = Path("/sys/devices/system/cpu")

_HARMLESS = ("GpuIdle", "ApplicationsClocksSetting", "UserDefinedClocks", "None")
"""Reasons for lower clocks that slow nothing down that was not meant to be slow."""


class Gauge:
    """The counters of a device; of a CPU, those of the whole machine.

    Args:
        device: the device.
    """

    def __init__(self, device: torch.device) -> None:
        # NVIDIA's library knows NVIDIA's devices alone; ROCm's are called cuda, too.
        self._nvml: Any = nvml() if device.type == "cuda" and torch.version.cuda else None
        self._handle = None if self._nvml is None else _handle(self._nvml, device)
        self._cpu = device.type == "cpu"
        self._throttled = self._throttles()

    def energy(self) -> float | None:
        """A counter of joules; differences of it are what was used meanwhile."""
        if self._handle is not None:
            with suppress(self._nvml.NVMLError):
                return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3
        if self._cpu:
            packages = [_number(path / "energy_uj") for path in sorted(_RAPL.glob("intel-rapl:?"))]
            if packages and None not in packages:
                return sum(each for each in packages if each is not None) / 1e6
        return None

    def slowed(self) -> bool:
        """Whether heat or power made the device slower since the last call."""
        if self._handle is not None:
            with suppress(self._nvml.NVMLError):
                reasons = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
                return bool(reasons & ~_mask(self._nvml))
        before, self._throttled = self._throttled, self._throttles()
        return self._throttled > before

    def _throttles(self) -> int:
        """How often the processor was throttled so far, as far as it says."""
        if not self._cpu:
            return 0
        counts = (_number(path) for path in _CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
        return int(sum(each or 0 for each in counts))

    def clocks(self) -> dict[str, str]:
        """Clocks, power and temperature now, by name; empty where nobody says."""
        if self._handle is None:
            return {}
        found: dict[str, str] = {}
        library, handle = self._nvml, self._handle
        with suppress(library.NVMLError):
            found["gpu, MHz"] = str(library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM))
            found["gpu maximum, MHz"] = str(library.nvmlDeviceGetMaxClockInfo(handle, library.NVML_CLOCK_SM))
            found["gpu performance state"] = f"P{library.nvmlDeviceGetPerformanceState(handle)}"
            found["gpu power limit, W"] = str(library.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
            found["gpu power, W"] = str(library.nvmlDeviceGetPowerUsage(handle) / 1000)
            found["gpu, degrees C"] = str(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))
        return found


def nvml() -> Any:
    """NVIDIA's management library, started; None where it or its driver is missing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _handle(library: Any, device: torch.device) -> Any:
    """The library's handle of a device; it does not know CUDA_VISIBLE_DEVICES, but universal identifiers."""
    properties = torch.cuda.get_device_properties(device)
    with suppress(library.NVMLError, AttributeError):
        return library.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}".encode())
    with suppress(library.NVMLError):
        return library.nvmlDeviceGetHandleByIndex(device.index or 0)
    return None


def _mask(library: Any) -> int:
    """The reasons for lower clocks that are harmless, as the library's bits."""
    names = (f"nvmlClocksThrottleReason{name}" for name in _HARMLESS)
    mask = 0
    for name in names:
        mask |= int(getattr(library, name, 0))
    return mask


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
