"""`fcnbench export`: write a dataset's store in a format of other tools."""

from __future__ import annotations

import argparse

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json


def execute(options: argparse.Namespace) -> int:
    """Export a dataset, and print the path of the folder."""
    from fcnbench.api.export import export

    folder = export(**arguments(options))
    if options.json:
        print_json({"dataset": options.dataset, "format": options.to, "folder": str(folder)})
    else:
        print(f"{options.dataset} as {options.to}: {folder}")
    return 0
