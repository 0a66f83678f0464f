"""`fcnbench report`: one HTML file of a run."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import Command, add_json, print_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fcnbench report`."""
    parser.add_argument("run", metavar="RUN", help="a record.json, or its folder")
    parser.add_argument("--predictions", metavar="DIR", help="the run's saved predictions: shows images, and outlines")
    parser.add_argument("--examples", type=int, default=6, metavar="N", help="best and worst images shown (6)")
    parser.add_argument("--output", metavar="FILE", help="the page (default: report-<model>-<dataset>.html here)")
    parser.add_argument("--from", dest="from_", metavar="PATH", help="your own copy of the data set, for its pictures")
    parser.add_argument(
        "--accept-terms", action="store_true", help="agree to the terms of an archive to be downloaded (remembered)"
    )
    add_json(parser)


def execute(options: argparse.Namespace) -> int:
    """Write the page, and say where."""
    from fcnbench.api.report import report

    path = report(
        options.run,
        predictions=options.predictions,
        from_=options.from_,
        accept_terms=options.accept_terms,
        examples=options.examples,
        output=options.output,
    )
    if options.json:
        print_json({"report": str(path)})
    else:
        print(path)
    return 0


COMMAND = Command("report", "write one self-contained HTML file about a run", add_options, execute)
