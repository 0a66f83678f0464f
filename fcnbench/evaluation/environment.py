"""What a run ran on: versions, processor, device, clocks, and what its decoders make of a few pictures.

Only a run with a model knows PyTorch; scoring of stored predictions imports none.
"""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.datasets.decoders import decoder_fingerprint
from fcnbench.evaluation.devicecheck import DeviceCheck, DeviceKey, stored_check
from fcnbench.ground.git import run_git
from fcnbench.ground.parallel import cores
from fcnbench.ground.version import __version__

if TYPE_CHECKING:
    import torch

_PACKAGES = ("fcnbench", "torch", "torchvision", "numpy", "pillow", "simplejpeg", "deflate", "pyarrow")
"""Packages whose version can change a number or a time."""

_CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_POWER = Path("/sys/class/power_supply")
_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Environment:
    """What a run ran on.

    Attributes:
        python: version of Python.
        system: operating system, release and machine.
        cpu: the processor's name.
        cores: logical cores that the process may use.
        threads: threads of PyTorch's CPU kernels; 0 where no model ran.
        device: `cpu`, `cuda`, ...; `none` where no model ran.
        device_name: the accelerator's name, or the processor's; empty where no model ran. An accelerator that has no
            name is called by its type and the processor.
        cuda: CUDA version of a run on CUDA, or that of HIP, which says so; else empty.
        driver: version of the accelerator's driver, where it can be read.
        clocks: clocks and power state at the start, by name, where they can be read.
        decoder: digest of what the decoders make of a few pictures that come with fcnbench.
        revision: git revision of fcnbench, where it comes from a checkout; `+` at its end where files were changed.
        packages: versions of the packages that matter.
        device_check: what `fcnbench doctor --device` found on this device, under these versions; None where it was not
            asked.
    """

    python: str
    system: str
    cpu: str
    cores: int
    threads: int
    device: str
    device_name: str
    cuda: str
    driver: str
    clocks: dict[str, str]
    decoder: str
    revision: str
    packages: dict[str, str]
    device_check: DeviceCheck | None = None

    @classmethod
    def of(cls, content: dict[str, Any]) -> Environment:
        """Return the environment of its JSON values.

        Raises:
            TypeError, ValueError: they do not make one.
        """
        check = content.get("device_check")
        return cls(**content | {"device_check": None if check is None else DeviceCheck(**check)})

    @property
    def content(self) -> dict[str, Any]:
        """The environment as JSON values; a check that nobody made has no entry."""
        content = asdict(self)
        if self.device_check is None:
            del content["device_check"]
        return content

    @property
    def key(self) -> DeviceKey:
        """What a check of the device is valid for."""
        return DeviceKey(self.device, self.device_name, self.driver, self.packages.get("torch", ""), __version__)


def describe(device: torch.device | None = None) -> Environment:
    """Return the environment of a run on this device, or without a model."""
    found = _described(device)
    return found if device is None else replace(found, device_check=stored_check(found.key))


def _described(device: torch.device | None) -> Environment:
    cpu = _cpu_name()
    threads, name, cuda, driver = 0, "", "", ""
    if device is not None:
        import torch

        threads, name = torch.get_num_threads(), cpu
        if device.type != "cpu":
            from fcnbench.evaluation.device import device_name, properties_of

            name = device_name(device) or f"{device.type} ({cpu})"
            driver = str(getattr(properties_of(device), "driver_version", "") or "")
        if device.type == "cuda":
            # ROCm's devices are called cuda, too.
            hip = getattr(torch.version, "hip", None)
            cuda, driver = torch.version.cuda or (f"{hip} (HIP)" if hip else ""), "" if hip else _driver()
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu,
        cores=cores(),
        threads=threads,
        device=device.type if device is not None else "none",
        device_name=name,
        cuda=cuda,
        driver=driver,
        clocks=_clocks() | (_accelerator_clocks(device) if device is not None else {}),
        decoder=decoder_fingerprint(),
        revision=_revision(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _text(path: Path) -> str:
    """A small file of the system, or nothing where it is not there or not ours to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _cpu_name() -> str:
    """The processor's name as Linux tells it, else what Python knows."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(field: str) -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(field):
            return line.partition(":")[2].strip()
    return ""


def _clocks() -> dict[str, str]:
    """The processor's clocks and its power state, as Linux tells them."""
    found = {
        "cpu governor": _text(_CPU / "scaling_governor"),
        "cpu maximum, kHz": _text(_CPU / "scaling_max_freq"),
        "cpu, MHz": _cpu_info("cpu MHz"),
        "mains": ", ".join(sorted({_text(path / "online") for path in _POWER.glob("A*")} - {""})),
    }
    return {name: value for name, value in found.items() if value}


def _driver() -> str:
    """Version of NVIDIA's kernel driver."""
    words = _text(_DRIVER).partition("Kernel Module")[2].split()
    return next((word for word in words if word[0].isdigit()), "")


def _accelerator_clocks(device: torch.device) -> dict[str, str]:
    from fcnbench.evaluation.gauge import Gauge

    return Gauge(device).clocks()


def _revision() -> str:
    """The git revision of a checkout that fcnbench is used from, or of the one that pip installed."""
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        revision = run_git(root, "rev-parse", "HEAD")
        return revision + ("+" if revision and run_git(root, "status", "--porcelain", "--", "fcnbench") else "")
    with suppress(PackageNotFoundError, ValueError, KeyError, TypeError):
        origin = json.loads(distribution("fcnbench").read_text("direct_url.json") or "{}")
        return str(origin["vcs_info"]["commit_id"])
    return ""
