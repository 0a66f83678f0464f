"""The entry point: parse, carry out one command, turn errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

# A command is a module of its name.
from fcnbench.cli import bench, board, check, compare, doctor, export, fetch, report, run, score, submit, verify
from fcnbench.cli import list as listing
from fcnbench.cli.command import print_json
from fcnbench.errors import FcnbenchError, Interrupted
from fcnbench.ground.console import note
from fcnbench.ground.version import __version__

_EXIT_CODES = """\
exit codes:
  0 fine   1 a check failed   2 wrong usage   3 data missing or corrupt
  4 model or weights unusable   5 the run broke   130 interrupted (resumable)
"""

_COMMANDS = (
    run.COMMAND,
    score.COMMAND,
    compare.COMMAND,
    check.COMMAND,
    report.COMMAND,
    bench.COMMAND,
    fetch.COMMAND,
    export.COMMAND,
    listing.COMMAND,
    board.COMMAND,
    submit.COMMAND,
    verify.COMMAND,
    doctor.COMMAND,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="fcnbench",
        description="Semantic segmentation scores in the protocol of the FCN papers: explained, kept as integers, "
        "recomputable.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fcnbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        sub = commands.add_parser(command.name, help=command.about, description=command.about.capitalize() + ".")
        command.add_options(sub)
        sub.set_defaults(command=command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; returns its exit code."""
    # Letters that the terminal's encoding lacks are escaped; a result is not lost for a name.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        code = int(options.command.execute(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read the output has seen enough; the work was done before it was printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FcnbenchError as error:
        failure = error
    except KeyboardInterrupt:
        failure = Interrupted("stopped before the first image was scored", "run the same command again")
    note(f"fcnbench: {failure}")
    if options.json:
        print_json(
            {
                "error": type(failure).__name__,
                "message": failure.message,
                "next": failure.hint,
                "exit_code": failure.exit_code,
            }
        )
    return failure.exit_code


if __name__ == "__main__":
    sys.exit(main())
