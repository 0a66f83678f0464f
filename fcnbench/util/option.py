"""How an option is declared: a field of a frozen dataclass with its type, its default and its help text.

Parsers, environment variables, tables of settings and documentation are derived from the fields. Importing this imports
nothing heavy: `--help` needs it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from math import inf
from numbers import Integral, Real
from typing import Any, Self

from fcnbench.errors import UsageError

_KINDS: dict[str, type] = {"bool": bool, "int": int, "float": float}
"""Words of an annotation that say the type of an option's values; text otherwise."""

_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
"""What a message expects of a value of each type."""

_TAKES: dict[str, tuple[type, ...]] = {"str": (str,), "Path": (os.PathLike,)}
"""Words of an annotation that say the Python types of an option that is text; others are not checked here."""

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
"""What an environment variable may say of an option that is true or false."""


@dataclass(frozen=True)
class Bound:
    """The smallest value that a number may have.

    Attributes:
        least: the smallest value.
        says: the rest of the message about a smaller one, after the option and its value.
        hint: what to do instead.
    """

    least: float
    says: str
    hint: str

    def refuses(self, value: float) -> bool:
        """Return whether a number is too small, or not a finite number."""
        return not self.least <= value < inf


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: the keyword of the Python function, such as `from_`.
        kind: type of its values: bool, int, float or str.
        default: its value when nobody sets it.
        required: whether it has no default.
        help: what it does, in one line; `{default}` stands for the default.
        flag: what the command line calls it, such as `--from`; empty for an argument without a name.
        metavar: what stands for its value in help texts; None for the name in capitals.
        choices: the values that it takes; empty where any will do.
        bound: the smallest number that it takes; None where any will do.
        nargs: how many values it takes on the command line, as argparse writes it; None for one.
        exclusive: name of a set of options of which the command line takes exactly one; empty for none.
        repeated: whether it takes several values, one each time that it is written.
        takes: Python types of its values, or of their items, where it is text; empty where another module checks them.
        inverted: whether its flag switches it off.
        python: whether the Python function has it too.
        once: whether it says what a single call works on, so that no environment variable and no file may set it.
        single: whether it belongs to one run, so that the table `[options]` of a sweep does not take it.
        shared: whether a setting for all commands may set it.
        consent: whether only the user may set it: not a file that comes with a project.
        variable: an environment variable of an older name that sets it too; empty for none.
    """

    name: str
    kind: type
    default: Any
    required: bool
    help: str
    flag: str
    metavar: str | tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()
    bound: Bound | None = None
    nargs: int | str | None = None
    exclusive: str = ""
    repeated: bool = False
    takes: tuple[type, ...] = ()
    inverted: bool = False
    python: bool = True
    once: bool = False
    single: bool = False
    shared: bool = False
    consent: bool = False
    variable: str = ""

    @property
    def setting(self) -> str:
        """The name in environment variables and files: that of the flag, such as `from` or `save_predictions`."""
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a file may use: that of the flag, and that of the keyword."""
        return tuple(dict.fromkeys((self.setting, self.name.rstrip("_"))))

    @property
    def settable(self) -> bool:
        """Whether an environment variable or a file may set it."""
        return bool(self.flag) and self.nargs is None and not self.exclusive and not self.once

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.flag or str(self.metavar)

    @property
    def expected(self) -> str:
        """The values that it takes, for a message."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"a list of {_EXPECTED[self.kind]}s" if self.repeated else _EXPECTED[self.kind]

    @property
    def help_text(self) -> str:
        """The help text with the default filled in."""
        return self.help.replace("{default}", str(self.default))

    def parse(self, text: str, where: str) -> Any:
        """Return the value that a text stands for.

        Args:
            text: the value of an environment variable; a list's items are separated by commas.
            where: what holds the text, for the message.

        Raises:
            UsageError: it is not a value of the option.
        """
        if self.repeated:
            return tuple(item.strip() for item in text.split(",") if item.strip())
        word = text.strip().lower()
        if self.kind is bool and word in _YES + _NO:
            return self.accept(word in _YES, where)
        if self.kind in (int, float):
            try:
                return self.accept(self.kind(text), where)
            except ValueError as error:
                if isinstance(error, UsageError):
                    raise
        return self.accept(text, where)

    def accept(self, value: object, where: str) -> Any:
        """Return a value of a file, if the option takes it; a flag that switches off turns it round.

        Args:
            value: the value, as TOML gives it.
            where: what holds the value, for the message.

        Raises:
            UsageError: it is of the wrong type, too small, or not among the choices.
        """
        if self.repeated:
            fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        elif self.kind is str:
            fits = isinstance(value, str) and (not self.choices or value in self.choices)
        else:
            fits = _is_number(value, self.kind)
        if not fits:
            near = difflib.get_close_matches(str(value), self.choices, 1)
            hint = f"did you mean {near[0]}?" if near else f"write {self.expected}"
            raise UsageError(f"{where} is {value!r}, expected {self.expected}", hint)
        if self.bound is not None and isinstance(value, Real) and self.bound.refuses(float(value)):
            raise UsageError(f"{where} = {value}{self.bound.says}", self.bound.hint)
        if self.inverted:
            return not value
        return tuple(value) if isinstance(value, list) else value

    def check(self, value: object) -> None:
        """Check the value that a caller gave.

        Raises:
            UsageError: it is of the wrong type, too small, or not among the choices.
        """
        if value is None and self.default is None:
            return
        if self.kind is not str and not _is_number(value, self.kind):
            raise UsageError(f"{self.shown} {value!r} is not {_EXPECTED[self.kind]}", f"pass {self.expected}")
        if self.takes:
            self._check_text(value)
        if self.choices and self.python and value not in self.choices:
            raise UsageError(f"{self.shown} {value} is unknown", f"choose {self.expected}")
        if self.bound is not None and isinstance(value, Real) and self.bound.refuses(float(value)):
            raise UsageError(f"{self.shown} {value}{self.bound.says}", self.bound.hint)

    def _check_text(self, value: object) -> None:
        """Check the type of an option that is text, or a path, or several of them; one alone stands for itself.

        Raises:
            UsageError: it is of another type.
        """
        several = self.repeated and isinstance(value, Collection) and not isinstance(value, str | bytes)
        for item in value if several and isinstance(value, Collection) else (value,):
            if not isinstance(item, self.takes):
                expected = "text or a path" if os.PathLike in self.takes else "text"
                raise UsageError(
                    f"{self.shown} is a {type(item).__name__}, expected {expected}", f"pass {self.expected}"
                )


def _is_number(value: object, kind: type) -> bool:
    # A truth value is a number to Python, and not to a person.
    if kind is bool or isinstance(value, bool):
        return isinstance(value, bool) and kind is bool
    return isinstance(value, Integral if kind is int else Real)


def option(default: Any = MISSING, *, keyword: str = "", argument: bool = False, **declared: Any) -> Any:
    """Declare an option as a field of a dataclass that derives from `Options`.

    Args:
        default: its value when nobody sets it; without one it is required.
        keyword: the keyword of the Python function, where it is not the field's name.
        argument: whether the command line takes it by position, under `metavar`.
        declared: further attributes of `Option`; `flag` is made of the field's name by default.
    """
    return field(default=default, metadata={"declared": declared, "keyword": keyword, "argument": argument})


def group(kind: type[Options]) -> Any:
    """Declare a field that holds options which travel together."""
    return field(default_factory=kind, metadata={"group": kind})


@dataclass(frozen=True)
class Options:
    """Options of a command, or some that travel together. Subclasses are frozen dataclasses of `option` and `group`."""

    def __post_init__(self) -> None:
        for rule in fields(self):
            if "declared" in rule.metadata:
                _option_of(rule).check(getattr(self, rule.name))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the options with the values of a function's keywords; those that are missing have their defaults.

        Raises:
            UsageError: a value is wrong.
            TypeError: no option has the name of a keyword.
        """
        if unknown := values.keys() - {each.name for each in options_of(cls)}:
            raise TypeError(f"{cls.__name__} has no option {', '.join(sorted(unknown))}")
        options: Self = _gathered(cls, values)
        return options


def _gathered(kind: Any, values: Mapping[str, Any]) -> Any:
    """Build the options of a class, and of the groups in it, of the keywords that are theirs."""
    found: dict[str, Any] = {}
    for rule in fields(kind):
        if "group" in rule.metadata:
            found[rule.name] = _gathered(rule.metadata["group"], values)
        elif (name := rule.metadata["keyword"] or rule.name) in values:
            found[rule.name] = values[name]
    return kind(**found)


def options_of(kind: type[Options]) -> tuple[Option, ...]:
    """Return the options of a class in their order, those of its groups among them."""
    return tuple(_listed(kind))


def _listed(kind: type[Options]) -> Iterator[Option]:
    for rule in fields(kind):
        if "group" in rule.metadata:
            yield from options_of(rule.metadata["group"])
        else:
            yield _option_of(rule)


@cache
def _option_of(rule: Field[Any]) -> Option:
    """Return the option that a field declares."""
    declared = dict(rule.metadata["declared"])
    words = re.findall(r"\w+", str(rule.type))
    flag = "" if rule.metadata["argument"] else declared.pop("flag", f"--{rule.name.replace('_', '-')}")
    return Option(
        name=rule.metadata["keyword"] or rule.name,
        kind=next((_KINDS[word] for word in words if word in _KINDS), str),
        default=None if rule.default is MISSING else rule.default,
        required=rule.default is MISSING,
        flag=flag,
        repeated="Sequence" in words,
        takes=tuple(kind for word in words for kind in _TAKES.get(word, ())),
        **declared,
    )


def find_option(name: str, known: Iterable[Option], where: str) -> Option:
    """Return the option that a name in a file or a variable means.

    Args:
        name: such as `device`, `accept-terms` or `from`.
        known: the options that it may mean.
        where: what holds the name, for the message.

    Raises:
        UsageError: there is none.
    """
    names = {each: option for option in known for each in option.names}
    wanted = name.replace("-", "_")
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, 1)
    listed = f"known: {', '.join(sorted(names))}" if names else "no option of this command can be set there"
    raise UsageError(f"{where} is unknown", f"did you mean {near[0]}?" if near else listed)
