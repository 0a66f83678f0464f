"""What every command is: a name, its options, and a function from parsed options to an exit code.

The parser knows no abbreviations, and names what a mistyped option or command was probably meant to be.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fcnbench.cli.output import result_stream


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: what the user types.
        about: one line for `--help`.
        add_options: declares the command's options.
        execute: carries it out and prints the result; its answer is the exit code.
    """

    name: str
    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`, which every command has."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output, human text on standard error"
    )


def add_board(parser: argparse.ArgumentParser, reads: bool = False) -> None:
    """Declare `--board DIR`, wherever results are written, or boards are read."""
    parser.add_argument(
        "--board",
        metavar="DIR",
        help="folder of submissions/ and leaderboards/ (default: $FCNBENCH_BOARD, else "
        + ("this folder if it holds them, else " if reads else "")
        + "fcnbench-results)",
    )


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """How a model is run again and held to its record: `--budget`, `--tolerance`, `--weights`, `--device`."""
    parser.add_argument("--budget", type=int, metavar="N", help="pixels that may change class (default: none)")
    parser.add_argument(
        "--tolerance", type=float, metavar="X", help="how far each metric may move, as a fraction (default: not at all)"
    )
    parser.add_argument("--weights", metavar="W", help="the model's weights, where they were a file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps, ... (default: %(default)s)")


def add_forward(parser: argparse.ArgumentParser) -> None:
    """How the forward pass is worked out: `--device`, `--precision`, `--compile`, `--no-fast`."""
    from fcnbench.protocol import PRECISIONS

    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps, ... (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="arithmetic of the forward pass, part of the signature (default: fp32, or that of --signature)",
    )
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile the network by torch.compile, part of the signature (default: no)",
    )
    parser.add_argument(
        "--fast",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the fast path of the papers' VGG nets: the same function, summed in another order (default: yes)",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Where a data set comes from: `--from`, `--allow-partial`, `--accept-terms`."""
    parser.add_argument(
        "--from", dest="from_", metavar="PATH", help="your own archive or extracted folder of the data set"
    )
    parser.add_argument(
        "--allow-partial", action="store_true", help="take what is there of an incomplete data set, marked n/N"
    )
    parser.add_argument(
        "--accept-terms", action="store_true", help="agree to the terms of an archive to be downloaded (remembered)"
    )


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on standard output; in ASCII, which every encoding of standard output has."""
    if (stream := result_stream()) is not None:
        print(json.dumps(content, allow_nan=False), file=stream, flush=True)
