"""The entry point: parse, carry out one command, turn errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO, TextIOWrapper
from itertools import takewhile

# A command is a module of its name.
from fcnbench.cli import (
    bench,
    board,
    check,
    compare,
    doctor,
    downloads,
    export,
    fetch,
    report,
    run,
    score,
    submit,
    verify,
)
from fcnbench.cli import list as listing
from fcnbench.cli.command import print_json
from fcnbench.cli.output import fill_closed_descriptors, keep_open, reserved_for_json, result_stream
from fcnbench.cli.parser import COMMAND, Parser
from fcnbench.errors import FcnbenchError, Interrupted, OutputError, UsageError
from fcnbench.util.console import note
from fcnbench.util.version import __version__

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


def build_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="fcnbench",
        description="Semantic segmentation scores in the protocol of the FCN papers: explained, kept as integers, "
        "recomputable.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"fcnbench {__version__}")
    commands = parser.add_subparsers(title="commands", metavar=COMMAND, required=True)
    for command in _COMMANDS:
        sub = commands.add_parser(command.name, help=command.about, description=command.about.capitalize() + ".")
        command.add_options(sub)
        sub.set_defaults(command=command, parser=sub)
    asked = commands.add_parser("help", help="show this help, or that of a command", description="Show help.")
    asked.add_argument("topic", nargs="?", metavar=COMMAND, choices=[*commands.choices])
    asked.set_defaults(command=None, parser=asked)
    parser.commands.update(commands.choices)
    return parser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line.

    Raises:
        UsageError: it is wrong.
    """
    parser = build_parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        raise UsageError(
            "fcnbench needs a command", "`fcnbench run` evaluates a small model; `fcnbench help` lists the commands"
        )
    leading = list(takewhile(lambda argument: argument.startswith("-"), given))
    parser.refuse_unknown_options(leading)
    name, *rest = given[len(leading) :] or [""]
    if name in parser.commands:
        parser.commands[name].refuse_unknown_options(rest)
    options, extras = parser.parse_known_args(given)
    if extras := [extra for extra in extras if extra != "--"]:
        options.parser.refuse(extras)
    if options.command is None:
        parser.parse_args([options.topic, "--help"] if options.topic else ["--help"])
    return options


def _parsed_for_json(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line with `--json`; what help and version print becomes an object's `text`."""
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            return parse(arguments)
    except SystemExit:
        print_json({"text": printed.getvalue().strip()})
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; return its exit code."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        fill_closed_descriptors()
        if not as_json:
            keep_open()
    with reserved_for_json(for_good=arguments is None) if as_json else nullcontext():
        return _main(arguments, as_json)


def _main(arguments: Sequence[str] | None, as_json: bool) -> int:
    # Letters that the terminal's encoding lacks are escaped; a result is not lost for a name.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = _parsed_for_json(arguments) if as_json else parse(arguments)
        from fcnbench.util.consent import asking

        with asking(downloads.question()):
            code = int(options.command.execute(options))
        if (stream := result_stream()) is not None:
            stream.flush()
        return code
    except BrokenPipeError:
        # Whoever read the output has seen enough; the work was done before it was printed.
        _drop_output()
        return 0
    except FcnbenchError as error:
        failure = error
    except OSError as error:
        failure = _of_system(error)
    except RuntimeError as error:
        failure = _of_runtime(error)
    except KeyboardInterrupt:
        failure = Interrupted("stopped; what an earlier run did is kept", "run the same command again")
    except Exception as error:  # noqa: BLE001 - whatever is left
        failure = _unexpected(error)
    note(_fitted(f"fcnbench: {failure}"))
    if as_json:
        print_json(
            {
                "error": type(failure).__name__,
                "message": failure.message,
                "next": failure.hint,
                "exit_code": failure.exit_code,
            }
        )
    return failure.exit_code


def _drop_output() -> None:
    """Let what is still to be printed vanish, so that Python does not complain of it when it ends."""
    if (stream := result_stream()) is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _of_system(error: OSError) -> FcnbenchError:
    """Return the error for what the system refused because of the command line or the terminal, or for any other."""
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"a path is too long: {str(error.filename)[:60]}...", "name a shorter one")
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EBADF):
        _drop_output()
        return OutputError(
            f"standard output can't be written: {error.strerror}", "what the command wrote to files is there"
        )
    return _unexpected(error)


def _of_runtime(error: RuntimeError) -> FcnbenchError:
    if "home directory" in str(error):  # of pathlib, about ~user
        return UsageError("a path begins with ~ and a name that this machine does not know", "write the whole path")
    return _unexpected(error)


def _unexpected(error: Exception) -> FcnbenchError:
    """Return the error for a fault of fcnbench itself, whose author needs the traceback."""
    traceback.print_exception(error)
    text = f"unexpected {type(error).__name__}: {error}"
    return FcnbenchError(text, "this is a fault of fcnbench: please report it with the lines above")


def _fitted(text: str) -> str:
    """Break lines between words where a terminal would break them within."""
    if sys.stderr is None or not sys.stderr.isatty():
        return text
    import shutil
    import textwrap

    columns = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(line, columns, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


if __name__ == "__main__":
    sys.exit(main())
