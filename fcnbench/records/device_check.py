"""What `fcnbench doctor --device` found about a device, kept in the home folder for the records of later runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fcnbench.util import files, paths
from fcnbench.util.digests import digest_bytes, short

FORMAT = "fcnbench.device-check/1"


@dataclass(frozen=True)
class DeviceCheck:
    """The outcome of a device's check.

    Attributes:
        created: time in UTC, ISO 8601.
        right: argmax cases with numpy's label map.
        total: argmax cases that it could compute.
        from_golden: pixels of the built-in dataset that must have moved between cells of the expected confusion matrix.

    Raises:
        ValueError: the numbers contradict each other, or are not numbers.
    """

    created: str
    right: int
    total: int
    from_golden: int

    def __post_init__(self) -> None:
        counts = (self.right, self.total, self.from_golden)
        if not isinstance(self.created, str) or any(type(count) is not int for count in counts):
            raise ValueError("a device check has other types")
        if not 0 <= self.right <= self.total or self.from_golden < 0:
            raise ValueError("the counts of a device check contradict each other")

    def describe(self) -> str:
        """Return it in a line.

        >>> DeviceCheck("2026-11-25T10:00:00+00:00", 265, 265, 0).describe()
        '265 of 265 argmax cases right, 0 pixels from the expected integers (2026-11-25)'
        """
        return (
            f"{self.right} of {self.total} argmax cases right, {self.from_golden:,} pixels from the expected integers "
            f"({self.created[:10]})"
        )


@dataclass(frozen=True)
class DeviceKey:
    """What a check is valid for: another device, driver or version has to be checked again.

    Attributes:
        device: type of the device.
        device_name: its name.
        driver: version of its driver, where it can be read.
        torch: version of PyTorch.
        fcnbench: version of fcnbench.
    """

    device: str
    device_name: str
    driver: str
    torch: str
    fcnbench: str

    @property
    def path(self) -> Path:
        """The file of its check, in the home folder."""
        digest = digest_bytes(json.dumps(asdict(self), sort_keys=True).encode())
        return paths.home() / "devices" / f"{self.device}-{short(digest)}.json"


def store_check(key: DeviceKey, check: DeviceCheck) -> Path:
    """Write a check down, in the place of an earlier one; returns its path.

    Raises:
        OutputError: it could not be written.
    """
    files.write_json(key.path, {"format": FORMAT, **asdict(key), "check": asdict(check)})
    return key.path


def stored_check(key: DeviceKey) -> DeviceCheck | None:
    """Return the stored check; None where there is none, or none that can be used."""
    try:
        content = json.loads(key.path.read_bytes())
        if content["format"] != FORMAT or {name: content[name] for name in asdict(key)} != asdict(key):
            return None
        return DeviceCheck(**content["check"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
