"""`fcnbench doctor`: is this installation sound?"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fcnbench.cli.command import Command, add_json, print_json
from fcnbench.errors import CheckFailed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench doctor`."""
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Look, print the findings; exit code 1 if something is not sound."""
    from fcnbench.api.doctor import doctor

    findings = doctor()
    sound = all(finding.sound for finding in findings)
    if options.json:
        print_json({"sound": sound, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{'ok    ' if finding.sound else 'BROKEN'}  {finding.subject}: {finding.text}")
    return 0 if sound else CheckFailed.exit_code


COMMAND = Command("doctor", "check this installation, its plugins and stores", add_options, execute)
