"""`fcnbench bench`: forward times of a model on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fcnbench.cli.command import Command, add_board, add_forward, add_json, print_json

if TYPE_CHECKING:
    from fcnbench.records.speed import SpeedRecord


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench bench`."""
    parser.add_argument("--model", required=True, help="registered name, path/to/file.py:factory, or scheme:argument")
    parser.add_argument("--weights", metavar="W", help="a file, random:SEED, or what the model understands")
    parser.add_argument("--classes", type=int, metavar="C", help="classes of the score layer (the model's own)")
    add_forward(parser)
    parser.add_argument(
        "--scenario",
        default="single-stream",
        help="single-stream: each pass waited for; throughput: the device never waits (default: %(default)s)",
    )
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="pictures in a pass (default: %(default)s)")
    parser.add_argument(
        "--trials", type=int, default=20, metavar="N", help="least number of timed passes (default: the papers' 20)"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, metavar="S", help="least time of them together (default: %(default)s)"
    )
    add_board(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Time, and print the result beside the paper's."""
    from fcnbench.api.bench import bench

    found = bench(
        options.model,
        weights=options.weights,
        classes=options.classes,
        device=options.device,
        fast=options.fast,
        precision=options.precision,
        compiled=options.compile,
        scenario=options.scenario,
        batch=options.batch,
        trials=options.trials,
        seconds=options.seconds,
        board=options.board,
    )
    if options.json:
        print_json(found.summary())
    else:
        print(f"{_told(found.record)}\n\nrecord  {found.path}\nboard   {found.board}")
    return 0


def _told(record: SpeedRecord) -> str:
    """A timing in words."""
    from fcnbench.records.evaluation import Summary

    summary, environment = record.summary, record.environment
    pictures = "one 500x500 picture" if record.batch == 1 else f"{record.batch} pictures of 500x500 together"
    parts = ", ".join(f"{part} {Summary.of(taken).median:.2f}" for part, taken in record.parts.items())
    lines = [
        f"{record.model.name}, {pictures}, {record.scenario}, {record.precision}, forward by {record.forward}, "
        f"{environment.device_name}, {environment.threads} threads",
        f"median {summary.median:.1f} ms, p90 {summary.p90:.1f}, p99 {summary.p99:.1f}, mean {summary.mean:.1f} over "
        f"{len(record.samples)} passes; {record.images_per_second:.1f} images/s",
        f"one picture's way, ms: {parts}",
    ]
    if record.of_ceiling is not None:
        best = f"{record.ceiling_flops / 1e9:,.0f} GFLOP/s) and a copy ({record.ceiling_bytes / 1e9:,.0f} GB/s"
        share = f"{100 * record.of_ceiling:.0f}% of what a matrix product ({best}) reach here"
        lines.append(f"{record.flops / 1e9:,.0f} GFLOP a pass: {share}")
    if record.joules is not None:
        lines.append(f"{record.joules:.3g} J a picture")
    if record.slowed:
        lines.append(f"SLOWED: heat or power may have slowed {len(record.slowed)} passes down")
    lines.append("the paper, Tesla K40c, one picture: FCN-AlexNet 50 ms, FCN-VGG16 210 ms, FCN-GoogLeNet 59 ms")
    return "\n".join(lines)


COMMAND = Command("bench", "time a model's forward pass on this machine, as the papers do", add_options, execute)
