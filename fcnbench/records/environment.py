"""The environment of a run: versions, processor, device, clocks, and the fingerprint of the image decoders."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from fcnbench.datasets.codec.fingerprint import decoder_fingerprint
from fcnbench.records.device_check import DeviceCheck, DeviceKey
from fcnbench.records.types import Natural
from fcnbench.util.git import run_git
from fcnbench.util.threads import cores
from fcnbench.util.version import __version__

_PACKAGES = ("fcnbench", "torch", "torchvision", "numpy", "pillow", "simplejpeg", "deflate", "pyarrow")
"""Packages whose version can change a number or a time."""

_CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_POWER = Path("/sys/class/power_supply")


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
        decoder: digest of the pixels that the decoders return for a few images that come with fcnbench.
        revision: git revision of fcnbench, where it comes from a checkout; `+` at its end where files were changed.
        packages: versions of the packages that matter.
        device_check: what `fcnbench doctor --device` found on this device, under these versions; None where it was not
            asked.
    """

    python: str
    system: str
    cpu: str
    cores: Natural
    threads: Natural
    device: str
    device_name: str
    cuda: str
    driver: str
    clocks: dict[str, str]
    decoder: str
    revision: str
    packages: dict[str, str]
    device_check: DeviceCheck | None = None

    @property
    def key(self) -> DeviceKey:
        """What a check of the device is valid for."""
        return DeviceKey(self.device, self.device_name, self.driver, self.packages.get("torch", ""), __version__)


def describe_machine() -> Environment:
    """Return the environment of this process without a model: no device, and no threads of PyTorch."""
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_name(),
        cores=cores(),
        threads=0,
        device="none",
        device_name="",
        cuda="",
        driver="",
        clocks=_clocks(),
        decoder=decoder_fingerprint(),
        revision=_revision(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def read_system_file(path: Path) -> str:
    """Return the text of a small system file; empty where it is missing or not readable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def cpu_name() -> str:
    """Return the processor's name from Linux, else from Python."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(field: str) -> str:
    for line in read_system_file(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(field):
            return line.partition(":")[2].strip()
    return ""


def _clocks() -> dict[str, str]:
    """The processor's clocks and its power state, as Linux tells them."""
    found = {
        "cpu governor": read_system_file(_CPU / "scaling_governor"),
        "cpu maximum, kHz": read_system_file(_CPU / "scaling_max_freq"),
        "cpu, MHz": _cpu_info("cpu MHz"),
        "mains": ", ".join(sorted({read_system_file(path / "online") for path in _POWER.glob("A*")} - {""})),
    }
    return {name: value for name, value in found.items() if value}


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
