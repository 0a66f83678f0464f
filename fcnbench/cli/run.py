"""`fcnbench run`: evaluate a model on a data set."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING

from fcnbench.cli.command import Command, add_board, add_data, add_json, print_json
from fcnbench.ground.console import listed

if TYPE_CHECKING:
    from fcnbench.api.run import Run
    from fcnbench.results.record import Record

_TITLES = {"pixel_acc": "pixel acc.", "mean_acc": "mean acc.", "mean_iu": "mean IU", "fw_iu": "f.w. IU"}
"""Headings as in the papers' tables."""

_MORE = {"mean_iu_nobg": "mean IU without background", "geo_pixel_acc": "geometric pixel acc."}
"""What some tasks add to them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench run`."""
    from fcnbench.api.run import DEFAULT_DATASET, DEFAULT_MODEL

    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="registered name, path/to/file.py:factory, or scheme:argument such as onnx:PATH (default: %(default)s)",
    )
    parser.add_argument("--dataset", default=DEFAULT_DATASET, help="name of the task (default: %(default)s)")
    parser.add_argument("--weights", metavar="W", help="a file, random:SEED, or what the model understands")
    add_data(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="score only the first N images, marked n/N")
    parser.add_argument(
        "--dense", metavar="HOW", help="shift-and-stitch[:F]: run a net of stride 32 densely, F times as fine (slow)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: %(default)s)")
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="forward passes at 500x500 to time after the run (default: the papers' 20; 0 with --limit)",
    )
    parser.add_argument("--classes", action="store_true", help="print accuracy and IU of every class")
    add_board(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Run, and print the result."""
    # What a user's model prints must not end up in the JSON.
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        finished = _run(options)
    if options.json:
        print_json(finished.summary())
    else:
        print(report(finished, options.classes))
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
        trials=options.trials,
        board=options.board,
    )


def report(finished: Run, classes: bool) -> str:
    """What a person reads after a run."""
    from tabulate import tabulate

    record = finished.record
    protocol, timing = record.protocol, record.summary()["timing"]
    marks = [f"  PARTIAL: {protocol.count} images, no board row\n"] if protocol.partial else []
    if leaked := record.leakage.ids:
        marks.append(f"  LEAK: trained on {len(leaked)} of these images ({listed(leaked)}), no board row\n")
    if unlisted := record.leakage.unlisted:
        marks.append(f"  UNCLEARED: trained on {listed(unlisted)}, whose ids are not known here, no board row\n")
    found = finished.scores
    scores = [[f"{100 * found[name]:.2f}" for name in _TITLES]]
    more = [f"{title}  {100 * found[name]:.2f}" for name, title in _MORE.items() if name in found]
    parts = [
        f"{record.model.name} on {protocol.dataset}, {protocol.count} images, {record.environment.device_name}\n"
        + "".join(marks),
        tabulate(scores, headers=list(_TITLES.values()), stralign="right", disable_numparse=True),
        *more,
        f"\nsignature  {protocol.signature()}\n",
    ]
    if classes:
        rows = [[row["name"], _percent(row["iu"]), _percent(row["acc"])] for row in record.summary()["per_class"]]
        parts.append(tabulate(rows, headers=["class", "IU", "acc."], disable_numparse=True) + "\n")
    if timing["phases"]:
        columns = ["median", "p90", "p99"]
        rows = [[phase, *(f"{times[column]:.2f}" for column in columns)] for phase, times in timing["phases"].items()]
        headers = ["ms per image", *columns]
        parts.append(tabulate(rows, headers=headers, stralign="right", colalign=("left",), disable_numparse=True))
    parts.append(f"{timing['images_per_second']:.1f} images/s over {timing['images']} images")
    if timing["resumed"]:
        parts.append(f"{timing['resumed']} images taken over from an interrupted run")
    if paper := timing["forward_500"]:
        parts.append(
            f"forward at 500x500, batch 1: median {paper['median']:.1f} ms, mean {paper['mean']:.1f} ms "
            f"over {paper['trials']} trials"
        )
    parts.append(f"\nrecord  {finished.path}")
    parts.append(f"board   {finished.board or _no_board(record)}")
    return "\n".join(parts)


def _no_board(record: Record) -> str:
    """Why a run enters no board."""
    if record.protocol.partial:
        return "none: a part of a split enters no board"
    if record.leakage.unlisted:
        return "none: whether the model was trained on these images is not known"
    return "none: a model is not ranked on images that it was trained on"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


COMMAND = Command("run", "evaluate a model on a data set", add_options, execute)
