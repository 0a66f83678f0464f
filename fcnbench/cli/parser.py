"""The command line's parser: no abbreviations, mistakes as our own errors, with what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NoReturn

from fcnbench.errors import UsageError

if TYPE_CHECKING:
    from fcnbench.util.option import Option

_CHOICE = re.compile(
    r"argument (?P<option>.+?): invalid choice: (?P<quote>['\"])(?P<found>.*?)(?P=quote) \(.*\)\Z", re.DOTALL
)
"""The message of argparse about a value that is not among the choices."""


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
        """Raise the error for a mistake that argparse found.

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

    def add_options(self, options: Iterable[Option]) -> None:
        """Declare options; those that are not given leave no attribute behind."""
        groups: dict[str, argparse._MutuallyExclusiveGroup] = {}
        for option in options:
            target: argparse._ActionsContainer = self
            if option.exclusive:
                if option.exclusive not in groups:
                    groups[option.exclusive] = self.add_mutually_exclusive_group(required=True)
                target = groups[option.exclusive]
            _add(target, option)

    def allow_settings(self, options: Iterable[Option]) -> None:
        """Take options that are set elsewhere as given, and let the command line switch off those that are flags."""
        for option in options:
            (action,) = (each for each in self._actions if each.dest == option.name)
            action.required = False
            if option.kind is bool and len(action.option_strings) == 1:
                off = f"--no-{option.flag.lstrip('-')}"
                self.add_argument(
                    off, dest=option.name, action="store_const", const=option.inverted, default=argparse.SUPPRESS,
                    help=argparse.SUPPRESS,
                )  # fmt: skip

    def refuse(self, extras: Sequence[str]) -> NoReturn:
        """Raise the error for arguments that nothing takes.

        Raises:
            UsageError: always.
        """
        self.refuse_unknown_options(extras)
        raise UsageError(f"{self.prog} does not take {extras[0]!r}", self._help())

    def refuse_unknown_options(self, arguments: Sequence[str]) -> None:
        """Check that every option is known, before argparse reports one that is missing for that reason.

        Raises:
            UsageError: one of the arguments looks like an option and is not one.
        """
        known = {option: action for action in self._actions for option in action.option_strings}
        for argument in takewhile(lambda argument: argument != "--", arguments):
            name = argument.partition("=")[0]
            # What argparse takes for a value: a negative number, a lone dash, text with a space.
            if not name.startswith("-") or name == "-" or " " in argument or name[1].isdecimal():
                continue
            if name not in known:
                import difflib

                names = {option.lstrip("-"): option for option in known}
                near = difflib.get_close_matches(name.lstrip("-"), names, 1, _ALIKE)
                raise UsageError(
                    f"{self.prog} has no option {name}", f"did you mean {names[near[0]]}?" if near else self._help()
                )

    def _choices_of(self, option: str) -> list[str]:
        """Return the values that an option takes."""
        for action in self._actions:
            if action.choices and option in (action.metavar, action.dest, "/".join(action.option_strings)):
                return [str(choice) for choice in action.choices]
        return []

    def _help(self) -> str:
        return f"`{self.prog} --help` shows what there is"


def _add(target: argparse._ActionsContainer, option: Option) -> None:
    """Add an option to a parser, or to a group of one."""
    more: dict[str, Any] = {}
    if option.kind is bool:
        pair = option.default is not False and not option.inverted
        more["action"] = argparse.BooleanOptionalAction if pair else "store_false" if option.inverted else "store_true"
    else:
        more["metavar"] = option.metavar
        more |= {"choices": option.choices} if option.choices else {}
        more |= {"type": option.kind} if option.kind is not str else {}
        more |= {"nargs": option.nargs} if option.nargs is not None else {}
        more |= {"action": "append"} if option.repeated and option.nargs is None else {}
    help_text = option.help_text.replace("%", "%%")
    if option.flag:
        more |= {"dest": option.name, "required": option.required and not option.exclusive}
        target.add_argument(option.flag, default=argparse.SUPPRESS, help=help_text, **more)
    else:
        target.add_argument(option.name, help=help_text, **more)


_ALIKE = 0.7
"""Similarity of two options' names, from 0 to 1, from which one is suggested for the other."""

COMMAND = "COMMAND"
"""The name of the command in the usage line."""


def suggestion(given: str, known: Sequence[str], otherwise: str) -> str:
    """Return a hint that names what was probably meant, or the choices if they are few.

    >>> suggestion("runn", ["run", "score"], "see --help")
    'did you mean run?'
    >>> suggestion("xyz", ["run", "score"], "see --help")
    'choose one of run, score'
    """
    import difflib

    if near := difflib.get_close_matches(given, known, 1):
        return f"did you mean {near[0]}?"
    few = 15
    return f"choose one of {', '.join(known)}" if 0 < len(known) <= few else otherwise
