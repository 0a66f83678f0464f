"""`fcnbench check`: the drift gate for CI."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcnbench.cli.command import Command, add_data, add_json, add_rerun, print_json
from fcnbench.errors import CheckFailed, OutputError
from fcnbench.util.console import note


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench check`."""
    parser.add_argument(
        "--baseline",
        required=True,
        metavar="PATH",
        help="a record.json, its folder, or a board (each model's newest run)",
    )
    add_rerun(parser)
    parser.add_argument(
        "--record", metavar="PATH", help="the result to judge (default: run the baseline's model again)"
    )
    parser.add_argument("--predictions", metavar="DIR", help="a folder of predictions to judge, or those of --record")
    parser.add_argument("--baseline-predictions", metavar="DIR", help="the baseline's, to count flipped pixels exactly")
    parser.add_argument("--model", help="run this one in place of the baseline's; of a board, judge only this one")
    parser.add_argument("--markdown", metavar="FILE", help="write a summary there")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML there")
    parser.add_argument("--keep", metavar="DIR", help="keep a new run's record below this folder of boards")
    add_data(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Judge, print and annotate; exit code 1 on drift."""
    from fcnbench.api.check import check

    found = check(
        options.baseline,
        record=options.record,
        predictions=options.predictions,
        baseline_predictions=options.baseline_predictions,
        model=options.model,
        weights=options.weights,
        from_=options.from_,
        allow_partial=options.allow_partial,
        accept_terms=options.accept_terms,
        device=options.device,
        budget=options.budget,
        tolerance=options.tolerance,
        markdown=options.markdown,
        junit=options.junit,
        keep=options.keep,
    )
    from fcnbench.comparison.drift_report import github_lines, markdown, text

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_lines(found.verdicts):
            note(line)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(summary), markdown(found.verdicts))
    if options.json:
        verdicts: list[dict[str, Any]] = [asdict(verdict) | {"passed": verdict.passed} for verdict in found.verdicts]
        print_json({"passed": found.passed, "verdicts": verdicts})
    else:
        print("\n".join(text(verdict) for verdict in found.verdicts))
        for name in ("markdown", "junit"):
            if (path := getattr(options, name)) is not None:
                print(f"{name:<8}  {path}")
    return 0 if found.passed else CheckFailed.exit_code


def _append(path: Path, content: str) -> None:
    """Add to GitHub's summary, which other steps write too."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
    except OSError as error:
        raise OutputError(
            f"cannot write the summary {path}: {error.strerror or error}", "check $GITHUB_STEP_SUMMARY"
        ) from error


COMMAND = Command(
    "check", "judge a model against its baseline: identical, numerical noise or drift", add_options, execute
)
