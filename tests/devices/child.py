"""Runs fcnbench commands in a separate process, on the second device where `SECOND` is set.

    python -m tests.devices.child '[["run", "--device", "second"], ["compare", "A", "B"]]'

prints a JSON list: exit code, standard output and standard error of each. `{}` in an argument stands for the record of
the last run.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

if "SECOND" in os.environ:
    import tests.devices.second  # noqa: F401 - registers the device
from fcnbench.cli.main import main


def shorten() -> None:
    """Leave the large network and most repetitions out of a device's report."""
    from fcnbench.evaluation import device_report

    device_report.LARGE, device_report._ROUNDS = "fcn16s-pocket", {"accelerator": 2, "cpu": 2}
    device_report._LARGE_IMAGES = {"accelerator": 2, "cpu": 2}


def run(commands: list[list[str]]) -> list[tuple[int, str, str]]:
    results, record = [], ""
    for command in commands:
        out, err = io.StringIO(), io.StringIO()
        if "--report" in command:
            shorten()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([word.replace("{}", record) for word in command])
        with contextlib.suppress(ValueError, TypeError, KeyError):
            record = str(Path(json.loads(out.getvalue())["record"]).parent)
        results.append((code, out.getvalue(), err.getvalue()))
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(json.loads(sys.argv[1]))))
