"""`fcnbench list`: list the registered models and datasets."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fcnbench.cli.output import print_json
from fcnbench.errors import UsageError


def execute(options: argparse.Namespace) -> int:
    """List the registered names."""
    from fcnbench.api.listing import list_datasets, list_models

    if options.verbose:
        if options.what == "datasets":
            raise UsageError("--verbose describes models only", "drop --verbose, or write `list models --verbose`")
        return _verbose(options)
    listed = {}
    if options.what != "datasets":
        listed["models"] = list_models()
    if options.what != "models":
        listed["datasets"] = list_datasets()
    if options.json:
        print_json({kind: [asdict(entry) for entry in entries] for kind, entries in listed.items()})
        return 0
    from tabulate import tabulate

    for kind, entries in listed.items():
        rows = [[entry.name, entry.about, entry.provider] for entry in entries]
        print(tabulate(rows, headers=[kind, "", "from"], disable_numparse=True), end="\n\n")
    return 0


def _verbose(options: argparse.Namespace) -> int:
    """Print layers and sizes of the built-in models, beside the paper's figures for its three."""
    from fcnbench.api.listing import model_facts

    facts = model_facts()
    if options.json:
        print_json({"models": [asdict(entry) for entry in facts]})
        return 0
    from tabulate import tabulate

    rows = [
        [entry.name, entry.layers, f"{entry.parameters:,}", entry.receptive_field, entry.stride, entry.paper]
        for entry in facts
    ]
    headers = ["model", "layers", "parameters", "receptive field", "stride", "Table 1 of the paper"]
    align = ("left", "right", "right", "right", "right", "left")
    print(tabulate(rows, headers, disable_numparse=True, colalign=align))
    return 0
