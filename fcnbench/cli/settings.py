"""Settings: options that environment variables or `pyproject.toml` set, for what the command line does not say.

The command line comes first, then the variable `FCNBENCH_<COMMAND>_<OPTION>`, then the variable of an older name
(`FCNBENCH_BOARD`), then `[tool.fcnbench.<command>]` and `[tool.fcnbench]` of the nearest `pyproject.toml`, then the
default. The Python functions read none of these files and variables but the older ones.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fcnbench.errors import UsageError
from fcnbench.models.schemes import PATH, SCHEMES
from fcnbench.options import COMMANDS
from fcnbench.util import paths
from fcnbench.util.option import Option, find_option, options_of
from fcnbench.util.text import read_text

PREFIX = "FCNBENCH_"

OTHER_VARIABLES = (
    paths.HOME_VARIABLE,
    paths.BOARD_VARIABLE,
    "FCNBENCH_OFFLINE",  # util/download.py
    "FCNBENCH_PATIENCE",  # evaluation/distributed.py
)
"""Environment variables that are not settings of one command."""

_FILE, _TABLE = "pyproject.toml", "tool.fcnbench"

_PATHS = ("DIR", "FILE", "PATH", "RUN")
"""What stands for a path in help texts."""

_ALIKE = 0.8
"""Similarity of two variables' names, from 0 to 1, from which one is taken for the other mistyped."""


@dataclass(frozen=True)
class Setting:
    """The value of an option, and what set it.

    Attributes:
        option: the option.
        value: its value.
        origin: the environment variable, or the file and the name in it.
    """

    option: Option
    value: Any
    origin: str

    def describe(self) -> str:
        """Return the setting as text, such as `device = cuda:1 (FCNBENCH_RUN_DEVICE)`."""
        value = not self.value if self.option.inverted else self.value
        return f"{self.option.setting} = {value} ({self.origin})"


def settings_of(
    command: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> list[Setting]:
    """Return the settings of a command, at most one for each option.

    Args:
        command: name of the command.
        environment: the environment variables; by default those of this process.
        folder: where the search for `pyproject.toml` begins; by default the working directory.

    Raises:
        UsageError: a name is unknown, or a value is not one of its option.
    """
    variables = os.environ if environment is None else environment
    found: dict[str, Setting] = {}
    with suppress(FileNotFoundError):  # the working directory is gone
        found |= {setting.option.name: setting for setting in _of_project(command, folder or Path.cwd())}
    for option in options_of(COMMANDS[command].options):
        if option.variable and variables.get(option.variable):
            found.pop(option.name, None)  # what takes the option reads the variable
    found |= {setting.option.name: setting for setting in _of_environment(command, variables)}
    return list(found.values())


def _of_environment(command: str, variables: Mapping[str, str]) -> Iterator[Setting]:
    """Give the settings of the environment, and refuse names that are mistyped."""
    start = f"{PREFIX}{command.upper()}_"
    settable = [option for option in options_of(COMMANDS[command].options) if option.settable]
    seen: dict[str, str] = {}
    for name in sorted(variables):
        if not name.startswith(PREFIX) or not variables[name]:
            continue
        if not name.startswith(start):
            _refuse_mistyped(name)
            continue
        try:
            option = find_option(name.removeprefix(start).lower(), settable, f"the environment variable {name}")
        except UsageError as error:
            if near := error.hint.removeprefix("did you mean ").removesuffix("?"):
                hint = f"did you mean {start}{near.upper()}?" if near != error.hint else error.hint
            raise UsageError(error.message, hint) from None
        if option.name in seen:
            raise UsageError(f"{seen[option.name]} and {name} set the same option", "unset one of them")
        seen[option.name] = name
        yield Setting(option, option.parse(variables[name], f"the environment variable {name}"), name)


def _refuse_mistyped(name: str) -> None:
    """Refuse a variable whose name is nearly that of a known one; others may belong to other programs.

    Raises:
        UsageError: it is mistyped.
    """
    if name in OTHER_VARIABLES or any(name.startswith(f"{PREFIX}{command.upper()}_") for command in COMMANDS):
        return
    if near := difflib.get_close_matches(name, _variables(), 1, _ALIKE):
        raise UsageError(f"the environment variable {name} is unknown", f"did you mean {near[0]}?")


@cache
def _variables() -> tuple[str, ...]:
    """Every environment variable that is known."""
    return OTHER_VARIABLES + tuple(
        f"{PREFIX}{name}_{option.setting}".upper()
        for name, command in COMMANDS.items()
        for option in options_of(command.options)
        if option.settable
    )


def project_file(folder: Path) -> Path | None:
    """Return the nearest `pyproject.toml`, from a folder upwards; None where there is none."""
    for each in (folder, *folder.parents):
        with suppress(OSError):  # a folder that may not be read
            if (each / _FILE).is_file():
                return each / _FILE
    return None


def _of_project(command: str, folder: Path) -> list[Setting]:
    """Return the settings of the nearest `pyproject.toml`; its own table comes before the one of all commands."""
    path = project_file(folder)
    table = {} if path is None else _table(path)
    if path is None or not table:
        return []
    found: dict[str, Setting] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            _check_command(name, f"[{_TABLE}.{name}] of {path}")
            continue
        where = f"{name} in [{_TABLE}] of {path}"
        shared = _find(name, [option for each in COMMANDS for option in _settable(each) if option.shared], where)
        accepted = shared.accept(value, where)
        for option in _settable(command):
            if option.shared and option.name == shared.name:
                found[option.name] = _setting(option, accepted, f"{path.name}, {_TABLE}.{name}", path.parent)
    own = table.get(command, {})
    twice = set[str]()
    for name, value in own.items() if isinstance(own, dict) else ():
        where = f"{name} in [{_TABLE}.{command}] of {path}"
        option = _find(name, _settable(command), where)
        if option.name in twice:
            raise UsageError(f"{where} sets an option twice", "write it once")
        twice.add(option.name)
        accepted = option.accept(value, where)
        found[option.name] = _setting(option, accepted, f"{path.name}, {_TABLE}.{command}.{name}", path.parent)
    return list(found.values())


def _check_command(name: str, where: str) -> None:
    """Check that a table of the file belongs to a command that takes settings from a file.

    Raises:
        UsageError: it does not.
    """
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean [{_TABLE}.{near[0]}]?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise UsageError(f"{where} is not the table of a command", hint)
    if not COMMANDS[name].project:
        raise UsageError(f"{where}: {name} takes no settings from a file", "give them on the command line")


def _settable(command: str) -> list[Option]:
    """Return the options of a command that a project's file may set: consent is the user's alone."""
    described = COMMANDS[command]
    options = options_of(described.options)
    return [option for option in options if described.project and option.settable and not option.consent]


def _find(name: str, known: list[Option], where: str) -> Option:
    """Return the option that a name in the file means.

    Raises:
        UsageError: there is none, or it is one that only the user may set.
    """
    if name.replace("-", "_") == "accept_terms":
        hint = f"pass --accept-terms, or set {PREFIX}<COMMAND>_ACCEPT_TERMS"
        raise UsageError(f"{where}: a file can't accept terms for you", hint)
    return find_option(name, known, where)


def _setting(option: Option, value: Any, origin: str, folder: Path) -> Setting:
    """Return a setting of a file; its paths start at the file's folder."""
    if isinstance(value, str) and folder != Path.cwd():
        scheme, colon, argument = value.partition(":")
        if option.name == "model" and scheme in SCHEMES:
            if SCHEMES[scheme].argument == PATH:
                value = f"{scheme}{colon}{folder / Path(argument).expanduser()}"
            return Setting(option, value, origin)
        named = folder / Path(value).expanduser()
        is_file = ".py:" in value or (option.name == "weights" and named.exists())
        value = str(named) if option.metavar in _PATHS or is_file else value
    return Setting(option, value, origin)


def _table(path: Path) -> dict[str, Any]:
    """Return the table of fcnbench in a file; empty where it has none.

    Raises:
        UsageError: the file can't be read, or the table is not one.
    """
    try:
        text = read_text(path)
        if "fcnbench" not in text:
            return {}
        import tomllib

        tool = tomllib.loads(text).get("tool", {})
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path} can't be read: {reason}", "correct the file; it may hold settings of fcnbench"
        ) from error
    table = tool.get("fcnbench", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{_TABLE} in {path} is {table!r}, expected a table", f"write [{_TABLE}]")
    return table
