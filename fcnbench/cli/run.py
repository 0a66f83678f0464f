"""`fcnbench run`: evaluate a model on a dataset."""

from __future__ import annotations

import argparse

from fcnbench.cli import downloads
from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json
from fcnbench.cli.result import report
from fcnbench.cli.sweep import summary_of, sweep_table
from fcnbench.errors import UsageError
from fcnbench.options import RunOptions
from fcnbench.util.console import note
from fcnbench.util.option import options_of


def execute(options: argparse.Namespace) -> int:
    """Run, and print the result; only rank 0 prints."""
    if options.sweep is not None:
        return _sweep(options)
    if options.dry_run:
        return _dry_run(options)
    from fcnbench.api.run import run

    finished = run(**arguments(options))
    from fcnbench.evaluation.distributed import process_group

    if not process_group().is_rank0:
        return 0
    if options.json:
        print_json(finished.summary())
    else:
        print(report(finished, options.classes))
        if options.save_predictions is not None:
            print(f"predictions  {options.save_predictions}")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    """Run a sweep, and print its table; return the exit code of the first cell that failed."""
    from fcnbench.api.sweep import sweep

    for option in options_of(RunOptions):
        if option.name in options.given - {"sweep", "board"}:
            raise UsageError(
                f"--sweep FILE says what is run, and {option.flag} does too",
                "run one of its cells with --dry-run" if option.name == "dry_run" else "put it into the file",
            )
    for setting in options.settings:
        if setting.option.name not in ("sweep", "board"):
            note(f"a sweep does not use {setting.describe()}: put it into the file")
    done = sweep(options.sweep, board=options.board)
    from fcnbench.evaluation.distributed import process_group

    if not process_group().is_rank0:
        return 0
    if options.json:
        print_json(summary_of(done))
    else:
        print(sweep_table(done))
    return int(done.failed[0].error["exit_code"]) if done.failed and done.failed[0].error else 0


def _dry_run(options: argparse.Namespace) -> int:
    """Print what would be downloaded, and where results would go."""
    from fcnbench.api.plan import plan

    names = ("model", "dataset", "weights", "from_", "allow_partial", "board")
    planned = plan(**{name: getattr(options, name) for name in names})
    if options.json:
        print_json(downloads.plan_as_json(planned))
    else:
        print(downloads.describe_plan(planned))
    return 0
