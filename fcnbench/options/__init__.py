"""The options of every command, each declared once: name, type, default, help text and check.

The classes of this package hold the options of one command, or some that travel together. From them follow the parsers
of the command line, the names of environment variables and of settings in `pyproject.toml`, the table `[options]` of a
sweep, and `docs/options.md`; tests compare the signatures of the Python functions with them. A new option is a field
here and a keyword of the function that takes it. `util/option.py` has the mechanism. Nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from fcnbench.options.groups import DEFAULT_DATASET, DEFAULT_MODEL, Allowance, DataOptions, ForwardOptions, RerunOptions
from fcnbench.options.models import SCENARIOS, BenchOptions, CheckOptions, RunOptions, VerifyOptions
from fcnbench.options.results import (
    BoardOptions,
    CompareOptions,
    DoctorOptions,
    ExportOptions,
    FetchOptions,
    ListOptions,
    ReportOptions,
    ScoreOptions,
    SubmitOptions,
)
from fcnbench.util.option import Option, Options, options_of

__all__ = [
    "COMMANDS",
    "DEFAULT_DATASET",
    "DEFAULT_MODEL",
    "JSON",
    "SCENARIOS",
    "Allowance",
    "BenchOptions",
    "BoardOptions",
    "CheckOptions",
    "Command",
    "CompareOptions",
    "DataOptions",
    "DoctorOptions",
    "ExportOptions",
    "FetchOptions",
    "ForwardOptions",
    "ListOptions",
    "ReportOptions",
    "RerunOptions",
    "RunOptions",
    "ScoreOptions",
    "SubmitOptions",
    "VerifyOptions",
    "sweep_options",
]


@dataclass(frozen=True)
class Command:
    """The options of a command.

    Attributes:
        options: the class that declares them.
        project: whether a project's `pyproject.toml` may set them; not where other people's files are judged.
    """

    options: type[Options]
    project: bool = True


COMMANDS = {
    "run": Command(RunOptions),
    "score": Command(ScoreOptions),
    "compare": Command(CompareOptions),
    "check": Command(CheckOptions),
    "report": Command(ReportOptions),
    "bench": Command(BenchOptions),
    "fetch": Command(FetchOptions),
    "export": Command(ExportOptions),
    "list": Command(ListOptions),
    "board": Command(BoardOptions),
    "submit": Command(SubmitOptions, project=False),
    "verify": Command(VerifyOptions, project=False),
    "doctor": Command(DoctorOptions),
}
"""The options of every command; `cli/commands.py` says what the commands do."""

JSON = Option(
    name="json", kind=bool, default=False, required=False, flag="--json", python=False,
    help="one JSON object on standard output, human text on standard error",
)  # fmt: skip
"""The option that every command has."""


def sweep_options() -> tuple[Option, ...]:
    """Return the options of `run` that the table `[options]` of a sweep takes."""
    return tuple(each for each in options_of(RunOptions) if each.python and not each.single)
