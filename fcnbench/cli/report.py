"""`fcnbench report`: one HTML file of a run."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json


def execute(options: argparse.Namespace) -> int:
    """Write the page, and print its path."""
    from fcnbench.api.report import report

    path = report(**arguments(options))
    if options.json:
        print_json({"report": str(path)})
    else:
        print(path)
    return 0
