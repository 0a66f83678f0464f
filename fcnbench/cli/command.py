"""The values of a parsed command line as the keywords of a Python function."""

from __future__ import annotations

import argparse
from typing import Any

from fcnbench.options import COMMANDS
from fcnbench.util.option import options_of


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of the Python function that a command is, with their values."""
    known = options_of(COMMANDS[options.command].options)
    return {option.name: getattr(options, option.name) for option in known if option.python}
