"""The entry point: parse, carry out one command, turn errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from io import StringIO, TextIOWrapper
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

from fcnbench.cli.commands import ABOUT, sentence
from fcnbench.cli.completion import COMPLETION, SHELLS, script
from fcnbench.cli.output import fill_closed_descriptors, keep_open, print_json, reserved_for_json, result_stream
from fcnbench.cli.parser import COMMAND, Parser
from fcnbench.errors import FcnbenchError, Interrupted, OutputError, UsageError
from fcnbench.util.console import note
from fcnbench.util.version import __version__

if TYPE_CHECKING:
    from fcnbench.cli.settings import Setting
    from fcnbench.util.option import Option

_EXIT_CODES = """\
exit codes:
  0 success   1 a check failed   2 wrong usage   3 data missing or corrupt
  4 model or weights unusable   5 the run failed   130 interrupted (resumable)
"""

_HELP = "help"


def build_parser(commands: Iterable[str] = ABOUT) -> Parser:
    """Return the parser of the command line.

    Args:
        commands: names of the commands whose options are declared; all are listed.
    """
    parser = Parser(
        prog="fcnbench",
        description="Semantic segmentation scores in the protocol of the FCN papers,\n"
        "with all that is needed to explain and recompute them.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"fcnbench {__version__}")
    # Its value is checked before the command line is parsed: it stands without a command.
    parser.add_argument(COMPLETION, metavar="SHELL", help="print the completion script of bash, zsh or tcsh")
    wanted, subparsers = set(commands), parser.add_subparsers(title="commands", metavar=COMMAND, required=True)
    for name, about in ABOUT.items():
        sub = subparsers.add_parser(name, help=about, description=sentence(name))
        if name in wanted:
            sub.add_options(_declared(name))
        sub.set_defaults(command=name, parser=sub)
    asked = subparsers.add_parser(_HELP, help="show this help, or that of a command", description="Show help.")
    asked.add_argument("topic", nargs="?", metavar=COMMAND, choices=[*subparsers.choices])
    asked.set_defaults(command=_HELP, parser=asked)
    parser.commands.update(subparsers.choices)
    return parser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line, and add settings and defaults for what it does not say.

    Returns:
        The value of every option by its keyword, with `command`, the name of the command, `given`, the keywords that
        the command line says, and `settings`.

    Raises:
        UsageError: the command line or a setting is wrong.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        raise UsageError(
            "fcnbench needs a command", "`fcnbench run` evaluates a small model; `fcnbench help` lists the commands"
        )
    leading = list(takewhile(lambda argument: argument.startswith("-"), given))
    if leading and leading[0].partition("=")[0] == COMPLETION:
        _print_completion(given)
    name, *rest = given[len(leading) :] or [""]
    parser = build_parser({name, *rest[:1]} & ABOUT.keys())
    parser.refuse_unknown_options(leading)
    if name not in ABOUT:
        return _parsed(parser, given)
    own = parser.commands[name]
    settings = [] if {"-h", "--help"} & set(rest) else _settings(name)
    own.allow_settings(setting.option for setting in settings)
    own.refuse_unknown_options(rest)
    options = _parsed(parser, given)
    known = _declared(name)
    # An argument that is taken by position and was not given is None.
    options.given = {option.name for option in known if getattr(options, option.name, None) is not None}
    values = {setting.option.name: setting.value for setting in settings}
    options.settings = [setting for setting in settings if setting.option.name not in options.given]
    for option in known:
        if getattr(options, option.name, None) is None:
            setattr(options, option.name, values.get(option.name, option.default))
    return options


def _parsed(parser: Parser, given: Sequence[str]) -> argparse.Namespace:
    """Parse a command line by a parser alone; print help where that was asked for."""
    options, extras = parser.parse_known_args(given)
    if extras := [extra for extra in extras if extra != "--"]:
        options.parser.refuse(extras)
    if options.command == _HELP:
        parser.parse_args([options.topic, "--help"] if options.topic else ["--help"])
    return options


def _declared(command: str) -> tuple[Option, ...]:
    """Return the options of a command, `--json` among them."""
    from fcnbench.options import COMMANDS, JSON
    from fcnbench.util.option import options_of

    return (*options_of(COMMANDS[command].options), JSON)


def _settings(command: str) -> list[Setting]:
    from fcnbench.cli.settings import settings_of

    return settings_of(command)


def _print_completion(arguments: Sequence[str]) -> NoReturn:
    """Print a shell's completion script, and end.

    Raises:
        UsageError: the shell is unknown, or shtab is not installed.
        SystemExit: the script is printed.
    """
    _, _, shell = arguments[0].partition("=")
    shell = shell or next(iter(arguments[1:]), "")
    if shell not in SHELLS:
        raise UsageError(f"{COMPLETION} needs the name of a shell", f"write one of {', '.join(SHELLS)} behind it")
    print(script(build_parser(), shell))
    raise SystemExit(0)


def _parsed_for_json(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line with `--json`; print what help and version print as an object's `text`."""
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
    # Characters that the terminal's encoding lacks are escaped, so that no result is lost for a name.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = _parsed_for_json(arguments) if as_json else parse(arguments)
        code = _execute(options)
        if (stream := result_stream()) is not None:
            stream.flush()
        return code
    except BrokenPipeError:
        # The reader closed the pipe; the work was done before it was printed.
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
    except Exception as error:  # noqa: BLE001 - everything else is a fault of fcnbench
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


def _execute(options: argparse.Namespace) -> int:
    """Carry out the command of a parsed command line; a command is a module of its name."""
    from fcnbench.cli import downloads
    from fcnbench.util.consent import asking

    if options.settings:
        note(f"settings: {'; '.join(setting.describe() for setting in options.settings)}")
    module = import_module(f"fcnbench.cli.{options.command}")
    with asking(downloads.question()):
        return int(module.execute(options))


def _drop_output() -> None:
    """Discard what is still to be printed, so that Python does not report it when it ends."""
    if (stream := result_stream()) is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _of_system(error: OSError) -> FcnbenchError:
    """Return the error for an error of the operating system, which the command line or the terminal may have caused."""
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
    """Print the traceback of a fault of fcnbench itself, and return its error."""
    import traceback

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
