"""The environment of a run: the machine, and the device's name, driver and clocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from fcnbench.evaluation.device import device_name, properties_of
from fcnbench.evaluation.power import PowerCounters
from fcnbench.records.device_check import stored_check
from fcnbench.records.environment import Environment, describe_machine, read_system_file

_DRIVER = Path("/proc/driver/nvidia/version")


def describe(device: torch.device) -> Environment:
    """Return the environment of a run on a device.

    >>> describe(torch.device("cpu")).device
    'cpu'
    """
    machine = describe_machine()
    name, cuda, driver = machine.cpu, "", ""
    if device.type != "cpu":
        name = device_name(device) or f"{device.type} ({machine.cpu})"
        driver = str(getattr(properties_of(device), "driver_version", "") or "")
    if device.type == "cuda":
        # PyTorch calls ROCm's devices cuda, too.
        hip = getattr(torch.version, "hip", None)
        cuda, driver = torch.version.cuda or (f"{hip} (HIP)" if hip else ""), "" if hip else _nvidia_driver()
    environment = replace(
        machine,
        threads=torch.get_num_threads(),
        device=device.type,
        device_name=name,
        cuda=cuda,
        driver=driver,
        clocks=machine.clocks | PowerCounters(device).clocks(),
    )
    return replace(environment, device_check=stored_check(environment.key))


def _nvidia_driver() -> str:
    """Return the version of NVIDIA's kernel driver; empty where it is not loaded."""
    words = read_system_file(_DRIVER).partition("Kernel Module")[2].split()
    return next((word for word in words if word[0].isdigit()), "")
