"""What the modules of the commands share: the values of a parsed command line as keywords, and JSON output.

A command is a module of its name with a function `execute(options) -> int`, whose result is the exit code. Its options
are declared in `fcnbench/options.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from fcnbench.cli.output import result_stream
from fcnbench.options import COMMANDS
from fcnbench.util.option import options_of


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of the Python function that a command is, with their values."""
    known = options_of(COMMANDS[options.command].options)
    return {option.name: getattr(options, option.name) for option in known if option.python}


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output, in ASCII, which every encoding of standard output has."""
    if (stream := result_stream()) is not None:
        print(json.dumps(content, allow_nan=False), file=stream, flush=True)
