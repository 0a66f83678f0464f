"""`fcnbench run`: evaluate a model on a data set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fcnbench.cli import downloads
from fcnbench.cli.command import Command, add_board, add_data, add_forward, add_json, print_json
from fcnbench.cli.result import report
from fcnbench.cli.sweep import summary_of, sweep_table
from fcnbench.errors import UsageError

if TYPE_CHECKING:
    from fcnbench.api.result import Run

_ONE_RUN: dict[str, Any] = {
    **dict.fromkeys(
        ("model", "dataset", "weights", "from_", "limit", "dense", "trials", "signature", "save_predictions")
    ),
    **dict.fromkeys(("precision", "compile")),
    **dict.fromkeys(("allow_partial", "accept_terms", "margins", "certify", "classes", "dry_run"), False),
    "device": "auto",
    "fast": True,
    "batch": 1,
}
"""Options of a single run, and their usual values."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench run`."""
    from fcnbench.api.defaults import DEFAULT_DATASET, DEFAULT_MODEL

    parser.add_argument(
        "--model",
        help="registered name, path/to/file.py:factory, or scheme:argument such as onnx:PATH "
        f"(default: {DEFAULT_MODEL}, where the dataset has its classes)",
    )
    parser.add_argument("--dataset", help=f"name of the dataset (default: {DEFAULT_DATASET})")
    parser.add_argument(
        "--weights",
        metavar="W",
        help="a file, published weights, random:SEED, or what the model understands (default: the model's own)",
    )
    add_data(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="score only the first N images, marked n/N")
    parser.add_argument(
        "--dense", metavar="HOW", help="shift-and-stitch[:F]: run a net of stride 32 densely, F times as fine (slow)"
    )
    add_forward(parser)
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="pictures of one size that go through the network together (default: %(default)s)",
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="forward passes at 500x500 to time after the run (default: the papers' 20; 0 with --limit)",
    )
    parser.add_argument(
        "--signature", metavar="S", help="reproduce the protocol of this signature, or say which part can't be"
    )
    parser.add_argument(
        "--save-predictions", metavar="DIR", help="a new folder for the predicted label maps, ready for the VOC server"
    )
    parser.add_argument(
        "--margins", action="store_true", help="count near ties, so that `check` can tell them from drift"
    )
    parser.add_argument(
        "--certify", action="store_true", help="predict a few images again in other ways, and record what flips"
    )
    parser.add_argument(
        "--sweep",
        metavar="FILE",
        help="run models x data sets x precisions of this TOML file, in place of one; goes on where it was stopped",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only print what would be downloaded: sizes, addresses, digests, terms"
    )
    parser.add_argument("--classes", action="store_true", help="print accuracy and IU of every class")
    add_board(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Run, and print the result; of several processes that share a run the first prints."""
    if options.sweep is not None:
        return _sweep(options)
    if options.dry_run:
        return _dry_run(options)
    finished = _run(options)
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
    """Run a sweep, and print its table; the exit code is that of the first cell that failed."""
    from fcnbench.api.sweep import sweep

    given = [name for name, usual in _ONE_RUN.items() if getattr(options, name) != usual]
    if given:
        raise UsageError(
            f"--sweep FILE says what is run, and --{given[0].strip('_').replace('_', '-')} does too",
            "run one of its cells with --dry-run" if given[0] == "dry_run" else "put it into the file",
        )
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

    found = plan(
        options.model,
        options.dataset,
        weights=options.weights,
        from_=options.from_,
        allow_partial=options.allow_partial,
        board=options.board,
    )
    if options.json:
        print_json(downloads.plan_as_json(found))
    else:
        print(downloads.describe_plan(found))
    return 0


def _run(options: argparse.Namespace) -> Run:
    from fcnbench.api.run import run

    return run(
        options.model,
        options.dataset,
        weights=options.weights,
        from_=options.from_,
        allow_partial=options.allow_partial,
        accept_terms=options.accept_terms,
        limit=options.limit,
        device=options.device,
        dense=options.dense,
        fast=options.fast,
        precision=options.precision,
        compiled=options.compile,
        batch=options.batch,
        trials=options.trials,
        signature=options.signature,
        save_predictions=options.save_predictions,
        margins=options.margins,
        certify=options.certify,
        board=options.board,
    )


COMMAND = Command("run", "evaluate a model on a data set", add_options, execute)
