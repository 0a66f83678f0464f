"""`doctor --report`: check and time a device, and write the results into one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.plan import check_device
from fcnbench.util import files
from fcnbench.util.check_result import CheckResult

if TYPE_CHECKING:
    from fcnbench.records.device_report import DeviceReport, PocketCheck
    from fcnbench.records.environment import Environment


def device_report(path: str | Path, device: str = "auto") -> DeviceReport:
    """Check and time a device, and write the report; the same as `fcnbench doctor --report`.

    Args:
        path: the JSON file to write, whole or not at all.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...

    Raises:
        UsageError: no such device here.
        ModelError: a forward pass failed on it.
        OutputError: the file could not be written.
    """
    check_device(device)
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.device_report import measure_device
    from fcnbench.records.serial import to_json

    target = Path(path).expanduser()
    files.check_replaceable(target)
    files.check_writable(target.parent)
    on = choose_device(device)
    report = measure_device(on)
    files.write_json(target, to_json(report))
    return report


def findings_of(report: DeviceReport) -> list[CheckResult]:
    """Return what a report found, one line per subject."""
    findings = [device_finding(report.environment), integers_finding(report.check)]
    findings += [
        CheckResult(
            f"{each.network} at 500x500 in {each.precision}",
            True,
            f"median {each.median:.2f} ms of {len(each.milliseconds)}, {100 * each.of_ceiling:.0f}% of the ceiling",
        )
        for each in report.forward
    ]
    findings += [
        CheckResult(
            f"loop with {each.network}",
            True,
            f"{each.ratio:.2f} times its forward passes, {each.images / each.seconds:.1f} images/s",
        )
        for each in report.loop
    ]
    findings += [
        CheckResult(f"flips in {precision}", True, found.describe()) for precision, found in report.flips.items()
    ]
    return findings


def device_finding(environment: Environment) -> CheckResult:
    """Return the device that was checked."""
    cuda = f", CUDA {environment.cuda}" if environment.cuda else ""
    return CheckResult("device", True, f"{environment.device_name}, PyTorch {environment.packages['torch']}{cuda}")


def integers_finding(check: PocketCheck) -> CheckResult:
    """Return whether a device gave the expected integers."""
    return CheckResult(
        f"{check.model} on {check.dataset}",
        check.sound,
        f"of {check.pixels:,} pixels {check.from_golden:,} differ from the expected confusion matrix, "
        f"{check.from_cpu:,} from this machine's CPU; mean IU {100 * check.scores.mean_iu:.2f}",
    )
