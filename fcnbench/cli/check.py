"""`fcnbench check`: the drift check for CI."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.errors import CheckFailed, OutputError
from fcnbench.util.console import note


def execute(options: argparse.Namespace) -> int:
    """Judge, print and annotate; return exit code 1 on drift."""
    from fcnbench.api.check import check

    result = check(**arguments(options))
    from fcnbench.comparison.drift_report import github_lines, markdown, text

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_lines(result.verdicts):
            note(line)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(summary), markdown(result.verdicts))
    if options.json:
        verdicts: list[dict[str, Any]] = [asdict(verdict) | {"passed": verdict.passed} for verdict in result.verdicts]
        print_json({"passed": result.passed, "verdicts": verdicts})
    else:
        print("\n".join(text(verdict) for verdict in result.verdicts))
        for name in ("markdown", "junit"):
            if (path := getattr(options, name)) is not None:
                print(f"{name:<8}  {path}")
    return 0 if result.passed else CheckFailed.exit_code


def _append(path: Path, content: str) -> None:
    """Append text to GitHub's summary, which other steps write too."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
    except OSError as error:
        raise OutputError(
            f"cannot write the summary {path}: {error.strerror or error}", "check $GITHUB_STEP_SUMMARY"
        ) from error
