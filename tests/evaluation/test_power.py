"""The counters of a device: what it supports is read, and what it lacks is None."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch

from fcnbench.evaluation import power
from fcnbench.evaluation.power import PowerCounters

CPU = torch.device("cpu")


def test_a_cpu_has_the_energy_and_throttling_counters_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "_RAPL", tmp_path / "none")
    monkeypatch.setattr(power, "_CPUS", tmp_path / "none")
    nothing = PowerCounters(CPU)
    assert (nothing.energy(), nothing.slowed(), nothing.clocks()) == (None, False, {})
    for package, joules in ((0, 3), (1, 4)):
        (tmp_path / f"rapl/intel-rapl:{package}").mkdir(parents=True)
        (tmp_path / f"rapl/intel-rapl:{package}/energy_uj").write_text(f"{joules}000000\n")
    throttle = tmp_path / "cpus/cpu3/thermal_throttle/core_throttle_count"
    throttle.parent.mkdir(parents=True)
    throttle.write_text("5\n")
    monkeypatch.setattr(power, "_RAPL", tmp_path / "rapl")
    monkeypatch.setattr(power, "_CPUS", tmp_path / "cpus")
    found = PowerCounters(CPU)
    assert found.energy() == 7.0
    assert not found.slowed()
    throttle.write_text("6\n")
    assert found.slowed()
    assert not found.slowed()
    (tmp_path / "rapl/intel-rapl:1/energy_uj").write_text("?")
    assert found.energy() is None


def library() -> types.SimpleNamespace:
    """Return a stand-in for the part of NVML that is used."""

    class NVMLError(Exception):
        pass

    def unsupported(handle: str, kind: int) -> int:
        raise NVMLError("not supported")

    return types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlClocksThrottleReasonGpuIdle=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID={b"GPU-abc": "handle"}.__getitem__,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 5000,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 1,
        nvmlDeviceGetClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetMaxClockInfo=unsupported,
    )


def test_a_gpu_has_the_counters_of_nvml_that_it_supports(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = library()
    monkeypatch.setitem(sys.modules, "pynvml", asked)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="abc"))
    found = PowerCounters(torch.device("cuda:0"))
    assert found.energy() == 5.0
    assert not found.slowed()
    asked.nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: 33  # idle, and software's thermal slowdown
    assert found.slowed()
    assert found.clocks() == {"gpu, MHz": "1980"}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    blind = PowerCounters(torch.device("cuda:0"))
    assert (blind.energy(), blind.slowed(), blind.clocks()) == (None, False, {})
