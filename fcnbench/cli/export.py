"""`fcnbench export`: a data set's store, written for others."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import Command, add_data, add_json, print_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench export`."""
    parser.add_argument("task", metavar="TASK", help="name of the data set")
    parser.add_argument(
        "--to", required=True, choices=("hf", "voc", "croissant"), help="Hugging Face datasets, VOC layout, Croissant"
    )
    parser.add_argument("--output", metavar="DIR", help="a new folder (default: TASK-FORMAT, here)")
    add_data(parser)
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Export, and say where it is."""
    from fcnbench.api.export import export

    folder = export(
        options.task,
        options.to,
        options.output or f"{options.task}-{options.to}",
        from_=options.from_,
        allow_partial=options.allow_partial,
        accept_terms=options.accept_terms,
    )
    if options.json:
        print_json({"dataset": options.task, "format": options.to, "folder": str(folder)})
    else:
        print(f"{options.task} as {options.to}: {folder}")
    return 0


COMMAND = Command("export", "write a data set for Hugging Face, VOC readers or Croissant", add_options, execute)
