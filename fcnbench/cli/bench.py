"""`fcnbench bench`: forward times of a model on this machine."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import Command, add_board, add_json, print_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench bench`."""
    parser.add_argument("--model", required=True, help="registered name, path/to/file.py:factory, or scheme:argument")
    parser.add_argument("--weights", metavar="W", help="a file, random:SEED, or what the model understands")
    parser.add_argument("--classes", type=int, metavar="C", help="classes of the score layer (the model's own)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="timed passes (default: the papers' 20)")
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
        trials=options.trials,
        board=options.board,
    )
    if options.json:
        print_json(found.summary())
        return 0
    summary, record = found.record.summary, found.record
    print(
        f"{record.model.name}, one 500x500 picture, {record.environment.device_name}, "
        f"{record.environment.threads} threads\n"
        f"median {summary.median:.1f} ms, p90 {summary.p90:.1f}, p99 {summary.p99:.1f}, mean {summary.mean:.1f} over "
        f"{len(record.samples)} trials\n"
        "the paper, Tesla K40c: FCN-AlexNet 50 ms, FCN-VGG16 210 ms, FCN-GoogLeNet 59 ms\n\n"
        f"record  {found.path}\nboard   {found.board}"
    )
    return 0


COMMAND = Command("bench", "time a model's forward pass on this machine, as the papers do", add_options, execute)
