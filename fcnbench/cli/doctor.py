"""`fcnbench doctor`: is this installation sound? `doctor TASK`: is this data set? `doctor --model`: this model?

`doctor --device D`: this device? `doctor --report FILE` writes down what a device does, for others to read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from fcnbench.cli.command import Command, add_json, print_json
from fcnbench.errors import CheckFailed, UsageError
from fcnbench.util.check_result import CheckResult

if TYPE_CHECKING:
    from fcnbench.datasets.store.check import StoreReport


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench doctor`."""
    parser.add_argument("task", nargs="?", metavar="TASK", help="a data set to read and recount from end to end")
    parser.add_argument("--model", help="a model to try instead, on random pictures; TASK names its classes then")
    parser.add_argument("--weights", metavar="W", help="the model's weights")
    parser.add_argument(
        "--device",
        metavar="D",
        help="the device to check: auto, cpu, cuda, cuda:1, mps, xpu, ...; with --model, where it runs (default: auto)",
    )
    parser.add_argument(
        "--accept-terms", action="store_true", help="agree to the terms of the model's published weights (remembered)"
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="check and time the device instead, about a minute, and write what was found into this JSON file",
    )
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """ImagePipeline, print the findings; exit code 1 if something is not sound."""
    if options.report is not None:
        return _device_report(options)
    if options.model is not None:
        return _report(options, _model(options))
    if options.device is not None:
        return _device(options)
    if options.task is not None:
        return _examine(options)
    from fcnbench.api.doctor import doctor

    return _report(options, doctor())


def _model(options: argparse.Namespace) -> list[CheckResult]:
    from fcnbench.api.defaults import DEFAULT_DATASET
    from fcnbench.api.doctor import examine_model

    return examine_model(
        options.model,
        options.task or DEFAULT_DATASET,
        weights=options.weights,
        device=options.device or "auto",
        accept_terms=options.accept_terms,
    )


def _device(options: argparse.Namespace) -> int:
    """Check a device; the file that keeps the outcome is named in the output."""
    from fcnbench.api.doctor import examine_device, findings_of_exam

    _refuse_others(options, "--device")
    exam = examine_device(options.device)
    findings = findings_of_exam(exam)
    if options.json:
        from fcnbench.records.serial import to_json

        found = [asdict(finding) for finding in findings]
        trials = {**asdict(exam.argmax), "right": exam.argmax.right}
        content = {"environment": to_json(exam.environment), "integers": asdict(exam.pocket), "trials": trials}
        print_json({"sound": _sound(findings), "findings": found, "stored": str(exam.path), **content})
    else:
        _print(findings)
        print(f"\nstored  {exam.path}")
    return _code(findings)


def _refuse_others(options: argparse.Namespace, option: str) -> None:
    """Refuse what is not about a device beside an option that is."""
    for other, given in (("TASK", options.task), ("--model", options.model), ("--weights", options.weights)):
        if given is not None:
            raise UsageError(f"{option} is about a device, and {other} is not", f"drop {other} or {option}")


def _device_report(options: argparse.Namespace) -> int:
    """Check and time a device; its report is named in the output."""
    from fcnbench.api.device_report import device_report, findings_of

    _refuse_others(options, "--report")
    report = device_report(options.report, options.device or "auto")
    findings = findings_of(report)
    if options.json:
        found = [asdict(finding) for finding in findings]
        print_json({"sound": _sound(findings), "findings": found, "report": options.report, **report.content})
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

    found = examine(options.task)
    if options.json:
        print_json({"sound": _sound(found.findings), **asdict(found)})
    else:
        _print(found.findings)
        print(f"\n{_table(found)}")
    return _code(found.findings)


def _table(found: StoreReport) -> str:
    from tabulate import tabulate

    rows = [
        [count.index, count.name, f"{count.pixels:,}", f"{100 * count.share:.3f}", f"{count.images:,}"]
        for count in found.classes
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


COMMAND = Command(
    "doctor", "check this installation, a dataset from end to end, a model, or a device", add_options, execute
)
