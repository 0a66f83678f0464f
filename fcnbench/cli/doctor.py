"""`fcnbench doctor`: check this installation, a dataset, a model (`--model`) or a device (`--device`, `--report`)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed, UsageError
from fcnbench.util.check_result import CheckResult

if TYPE_CHECKING:
    from fcnbench.datasets.store.check import StoreReport


def execute(options: argparse.Namespace) -> int:
    """Check, and print the findings; return exit code 1 if something is not sound."""
    if options.report is not None:
        return _device_report(options)
    if options.model is not None:
        return _report(options, _model(options))
    if options.device is not None:
        return _device(options)
    if options.dataset is not None:
        return _examine(options)
    from fcnbench.api.doctor import doctor

    return _report(options, [*doctor(), *_settings()])


def _settings() -> list[CheckResult]:
    """Return the settings of every command, and what sets each."""
    from fcnbench.cli.settings import OTHER_VARIABLES, settings_of
    from fcnbench.options import COMMANDS

    named = [name for name in OTHER_VARIABLES if os.environ.get(name)]
    findings = [CheckResult("environment", True, f"{name} = {os.environ[name]}") for name in named]
    for command in COMMANDS:
        try:
            settings = settings_of(command)
        except UsageError as error:
            findings.append(CheckResult(f"settings of {command}", False, error.message))
            continue
        if settings:
            text = "; ".join(setting.describe() for setting in settings)
            findings.append(CheckResult(f"settings of {command}", True, text))
    return findings


def _model(options: argparse.Namespace) -> list[CheckResult]:
    from fcnbench.api.doctor import examine_model
    from fcnbench.options import DEFAULT_DATASET

    return examine_model(
        options.model,
        options.dataset or DEFAULT_DATASET,
        weights=options.weights,
        device=options.device or "auto",
        accept_terms=options.accept_terms,
    )


def _device(options: argparse.Namespace) -> int:
    """Check a device; name the file that keeps the outcome in the output."""
    from fcnbench.api.doctor import examine_device, findings_of_exam

    _refuse_others(options, "--device")
    exam = examine_device(options.device)
    findings = findings_of_exam(exam)
    if options.json:
        from fcnbench.records.serial import to_json

        found = [asdict(finding) for finding in findings]
        trials = {**asdict(exam.argmax), "right": exam.argmax.right}
        # A report repeats the verdict beside the integers; here `sound` above is enough.
        integers = {name: value for name, value in to_json(exam.pocket).items() if name not in ("budget", "sound")}
        content = {"environment": to_json(exam.environment), "integers": integers, "trials": trials}
        print_json({"sound": _sound(findings), "findings": found, "stored": str(exam.path), **content})
    else:
        _print(findings)
        print(f"\nstored  {exam.path}")
    return _code(findings)


def _refuse_others(options: argparse.Namespace, option: str) -> None:
    """Check that nothing else is given beside an option about a device.

    Raises:
        UsageError: something is.
    """
    for other, given in (("DATASET", options.dataset), ("--model", options.model), ("--weights", options.weights)):
        if given is not None:
            raise UsageError(f"{option} is about a device, and {other} is not", f"drop {other} or {option}")


def _device_report(options: argparse.Namespace) -> int:
    """Check and time a device; name the report in the output."""
    from fcnbench.api.device_report import device_report, findings_of

    _refuse_others(options, "--report")
    report = device_report(options.report, options.device or "auto")
    findings = findings_of(report)
    if options.json:
        from fcnbench.records.serial import to_json

        described = [asdict(finding) for finding in findings]
        print_json({"sound": _sound(findings), "findings": described, "report": options.report, **to_json(report)})
    else:
        _print(findings)
        print(f"\nreport  {options.report}")
    return _code(findings)


def _report(options: argparse.Namespace, findings: Sequence[CheckResult]) -> int:
    if options.json:
        print_json({"sound": _sound(findings), "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    return _code(findings)


def _examine(options: argparse.Namespace) -> int:
    from fcnbench.api.doctor import examine

    examination = examine(options.dataset)
    if options.json:
        print_json({"sound": _sound(examination.findings), **asdict(examination)})
    else:
        _print(examination.findings)
        print(f"\n{_table(examination)}")
    return _code(examination.findings)


def _table(examination: StoreReport) -> str:
    from tabulate import tabulate

    rows = [
        [count.index, count.name, f"{count.pixels:,}", f"{100 * count.share:.3f}", f"{count.images:,}"]
        for count in examination.classes
    ]
    headers = ["class", "name", "pixels", "% of all", "images"]
    return tabulate(rows, headers, disable_numparse=True, colalign=("right", "left", "right", "right", "right"))


def _print(findings: Sequence[CheckResult]) -> None:
    for finding in findings:
        print(f"{'ok    ' if finding.sound else 'BROKEN'}  {finding.subject}: {finding.text}")


def _sound(findings: Sequence[CheckResult]) -> bool:
    return all(finding.sound for finding in findings)


def _code(findings: Sequence[CheckResult]) -> int:
    return 0 if _sound(findings) else CheckFailed.exit_code
