"""The command line's parser: no abbreviations, mistakes as our own errors, with what was probably meant."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NoReturn

from fcnbench.errors import UsageError

_CHOICE = re.compile(
    r"argument (?P<option>.+?): invalid choice: (?P<quote>['\"])(?P<found>.*?)(?P=quote) \(.*\)\Z", re.DOTALL
)
"""How argparse words a value that is not among the choices."""


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are `UsageError`s, so that they are reported like any other.

    Attributes:
        commands: the parsers of its commands, by name.
    """

    def __init__(self, *args: object, **options: object) -> None:
        # An abbreviation would mean another option as soon as a second one begins so.
        super().__init__(*args, **{**options, "allow_abbrev": False})  # type: ignore[arg-type]
        self.commands: dict[str, Parser] = {}

    def error(self, message: str) -> NoReturn:
        """Raise a mistake that argparse found.

        Raises:
            UsageError: always.
        """
        if wrong := _CHOICE.match(message):
            choices = self._choices_of(wrong["option"])
            what = "command" if wrong["option"] == COMMAND else f"value of {wrong['option']}"
            if not wrong["option"].startswith("-") and wrong["option"] != COMMAND:
                what = f"word that {self.prog} knows"
            raise UsageError(f"{wrong['found']!r} is not a {what}", suggestion(wrong["found"], choices, self._help()))
        raise UsageError(message, self._help())

    def refuse(self, extras: Sequence[str]) -> NoReturn:
        """Raise that arguments are left that nothing takes.

        Raises:
            UsageError: always.
        """
        self.refuse_unknown_options(extras)
        raise UsageError(f"{self.prog} does not take {extras[0]!r}", self._help())

    def refuse_unknown_options(self, arguments: Sequence[str]) -> None:
        """Raise that an option is unknown, before argparse complains of one that is missing for just that reason.

        Raises:
            UsageError: one of the arguments is written like an option and is none.
        """
        known = {option: action for action in self._actions for option in action.option_strings}
        for argument in takewhile(lambda argument: argument != "--", arguments):
            name = argument.partition("=")[0]
            # What argparse takes for a value: a negative number, a lone dash, text with a space.
            if not name.startswith("-") or name == "-" or " " in argument or name[1].isdecimal():
                continue
            if name not in known:
                names = {option.lstrip("-"): option for option in known}
                near = difflib.get_close_matches(name.lstrip("-"), names, 1, _ALIKE)
                raise UsageError(
                    f"{self.prog} has no option {name}", f"did you mean {names[near[0]]}?" if near else self._help()
                )

    def _choices_of(self, option: str) -> list[str]:
        """The values that an option takes."""
        for action in self._actions:
            if action.choices and option in (action.metavar, action.dest, "/".join(action.option_strings)):
                return [str(choice) for choice in action.choices]
        return []

    def _help(self) -> str:
        return f"`{self.prog} --help` shows what there is"


_ALIKE = 0.7
"""How much of two options' names must be the same for one to be the other mistyped, from 0 to 1."""

COMMAND = "COMMAND"
"""How the usage line calls the command."""


def suggestion(found: str, known: Sequence[str], otherwise: str) -> str:
    """Return a hint that names what was probably meant, or the choices if they are few.

    >>> suggestion("runn", ["run", "score"], "see --help")
    'did you mean run?'
    >>> suggestion("xyz", ["run", "score"], "see --help")
    'choose one of run, score'
    """
    if near := difflib.get_close_matches(found, known, 1):
        return f"did you mean {near[0]}?"
    few = 15
    return f"choose one of {', '.join(known)}" if 0 < len(known) <= few else otherwise
