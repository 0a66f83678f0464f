"""What a run ran on: versions, processor, device."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = ("fcnbench", "torch", "torchvision", "numpy", "pillow", "simplejpeg", "pyarrow")
"""Packages whose version can change a number or a time."""


@dataclass(frozen=True)
class Environment:
    """What a run ran on.

    Attributes:
        python: version of Python.
        system: operating system, release and machine.
        cpu: the processor's name.
        cores: logical cores that the process may use.
        threads: threads of PyTorch's CPU kernels.
        device: `cpu`, `cuda`, ...
        device_name: the accelerator's name, or the processor's.
        cuda: CUDA version of a run on CUDA, else empty.
        packages: versions of the packages that matter.
    """

    python: str
    system: str
    cpu: str
    cores: int
    threads: int
    device: str
    device_name: str
    cuda: str
    packages: dict[str, str]


def describe(device: torch.device) -> Environment:
    """The environment of a run on this device."""
    cuda = device.type == "cuda"
    cpu = _cpu_name()
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=device.type,
        device_name=torch.cuda.get_device_name(device) if cuda else cpu,
        cuda=(torch.version.cuda or "") if cuda else "",
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_name() -> str:
    """The processor's name as Linux tells it, else what Python knows."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
