"""Options: declared once, and everything else agrees with the declarations."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

import fcnbench
from fcnbench.api import fetch as fetching
from fcnbench.cli.main import build_parser, parse
from fcnbench.cli.options_page import options_page
from fcnbench.errors import UsageError
from fcnbench.options import COMMANDS, Allowance, BenchOptions, DataOptions, ForwardOptions, RunOptions, sweep_options
from fcnbench.util.option import Option, Options, options_of
from tests.conftest import REPOSITORY

FUNCTIONS = {
    "run": fcnbench.run,
    "score": fcnbench.score,
    "check": fcnbench.check,
    "report": fcnbench.report,
    "bench": fcnbench.bench,
    "fetch": fcnbench.fetch,
    "export": fcnbench.export,
    "board": fcnbench.board,
    "submit": fcnbench.submit,
    "verify": fcnbench.verify,
}


@pytest.mark.parametrize("command", FUNCTIONS)
def test_a_function_has_the_options_of_its_command_with_their_defaults(command: str) -> None:
    parameters = inspect.signature(FUNCTIONS[command]).parameters
    options = {option.name: option for option in options_of(COMMANDS[command].options) if option.python}
    assert set(parameters) == set(options)
    for name, parameter in parameters.items():
        if parameter.default is not parameter.empty:
            assert (parameter.default, options[name].required) == (options[name].default, False), name
        else:
            assert options[name].required or options[name].nargs == "?", name


@pytest.mark.parametrize("command", FUNCTIONS)
def test_a_functions_docstring_explains_every_option(command: str) -> None:
    text = inspect.getdoc(FUNCTIONS[command])
    assert text is not None
    arguments = text.partition("Args:")[2].partition("Raises:")[0]
    for name in inspect.signature(FUNCTIONS[command]).parameters:
        assert f"\n    {name}: " in arguments, name


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_has_every_option_and_no_other(command: str) -> None:
    parser = build_parser().commands[command]
    options = options_of(COMMANDS[command].options)
    shown = parser.format_help()
    flags = {option.flag for option in options if option.flag}
    assert set(re.findall(r"^  (?:-h, )?(--[\w-]+)", shown, re.MULTILINE)) == flags | {"--help", "--json"}
    assert len(re.findall(r"^  [\w{]", shown, re.MULTILINE)) == len(options) - len(flags)  # without a flag
    shown = " ".join(shown.split())
    for option in options:
        assert " ".join(option.help_text.split())[:30] in shown, option.name


def test_every_command_is_a_module_and_every_name_a_command() -> None:
    from importlib import import_module

    for command in COMMANDS:
        assert callable(import_module(f"fcnbench.cli.{command}").execute)


@pytest.mark.parametrize("command", COMMANDS)
def test_options_below_the_functions_are_frozen_nouns_of_every_keyword(command: str) -> None:
    kind: Any = COMMANDS[command].options
    required: dict[str, Any] = {option.name: "x" for option in options_of(kind) if option.required}
    if command == "export":
        required["to"] = "hf"
    built = kind.of(required)
    assert is_dataclass(built)
    assert isinstance(built, Options)
    with pytest.raises(AttributeError):
        setattr(built, fields(built)[0].name, 1)
    with pytest.raises(TypeError, match="has no option nonsense"):
        kind.of({**required, "nonsense": 1})


def test_the_defaults_of_a_parsed_command_line_are_the_declared_ones() -> None:
    options = parse(["run"])
    for option in options_of(RunOptions):
        assert getattr(options, option.name) == option.default
    assert options.given == set()
    said = parse(["run", "--from", "x", "--compile", "--no-fast", "--limit", "3", "--json"])
    assert (said.from_, said.compiled, said.fast, said.limit, said.json) == ("x", True, False, 3, True)
    assert said.given == {"from_", "compiled", "fast", "limit", "json"}
    assert parse(["score", "--predictions", "p", "--train-split", "a", "--train-split", "b"]).train_splits == ["a", "b"]
    assert [parse(["verify", "x", *more]).write for more in ([], ["--dry"])] == [True, False]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: RunOptions(limit=0), "--limit 0: at least one image must be scored"),
        (lambda: RunOptions(limit="3"), "--limit '3' is not a whole number"),
        (lambda: RunOptions(limit=True), "--limit True is not a whole number"),
        (lambda: RunOptions(trials=-1), "--trials -1 is negative"),
        (lambda: RunOptions(margins="no"), "--margins 'no' is not true or false"),
        (lambda: ForwardOptions(batch=0), "--batch 0: at least one image must go through"),
        (lambda: ForwardOptions(precision="fp8"), "--precision fp8 is unknown"),
        (lambda: BenchOptions("fcn8s", seconds=float("nan")), "--seconds nan is not a time"),
        (lambda: Allowance(budget=-1), "are not an allowance"),
        (lambda: fcnbench.run(limit=0), "--limit 0"),
        (lambda: fcnbench.export("pocket", "zip", "x"), "--to zip is unknown"),
    ],
)
def test_wrong_values_are_usage_errors(build: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        build()
    assert says in caught.value.message
    assert caught.value.hint


def test_groups_are_passed_on_as_objects() -> None:
    options = RunOptions.of({"from_": "archive.zip", "device": "cpu", "limit": 2})
    assert options.data == DataOptions("archive.zip")
    assert options.forward == ForwardOptions("cpu")


def test_a_sweep_takes_the_options_that_do_not_belong_to_one_run() -> None:
    names = {option.name for option in sweep_options()}
    assert {"limit", "device", "compiled", "batch", "allow_partial"} <= names
    assert not names & {"model", "dataset", "weights", "from_", "precision", "signature", "save_predictions", "board"}


def test_the_page_of_options_is_what_is_declared() -> None:
    # Made by `python -m fcnbench.cli.options_page > docs/options.md`.
    assert (REPOSITORY / "docs/options.md").read_text(encoding="utf-8") == options_page()


def test_a_check_of_urls_takes_no_other_option() -> None:
    assert list(inspect.signature(fetching.check_urls).parameters) == ["dataset"]


def test_an_option_says_what_it_expects() -> None:
    def of(kind: type, **more: Any) -> Option:
        return Option("x", kind, None, False, "", "--x", **more)

    assert of(int).parse("3", "X") == 3
    assert of(float).parse("0.5", "X") == 0.5
    assert of(bool).parse("Yes", "X") is True
    assert of(bool, inverted=True).parse("yes", "X") is False
    assert of(str, repeated=True).parse("a, b", "X") == ("a", "b")
    for option, text in ((of(int), "3.5"), (of(bool), "maybe"), (of(float), "x"), (of(str, choices=("a",)), "b")):
        with pytest.raises(UsageError, match=f"X is '{text}', expected "):
            option.parse(text, "X")
