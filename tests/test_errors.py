"""The exception tree: the drawing in the docstring shows every exception of the package."""

import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fcnbench
from fcnbench import errors
from fcnbench.errors import FcnbenchError, PredictionsError

INDENT = 4
"""Columns of indentation of the drawing, and of each of its levels."""


@dataclass(frozen=True)
class Drawn:
    """One line of the drawing."""

    name: str
    parent: str | None
    exit_code: int
    value_error: bool


def drawing() -> dict[str, Drawn]:
    """Parse the tree in the docstring."""
    found: dict[str, Drawn] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = re.fullmatch(rf" {{{INDENT}}}([│├└─ ]*)([A-Z]\w+) +(\d+)  (\S.*)", line)
        if match:
            depth, remainder = divmod(len(match[1]), INDENT)
            assert remainder == 0, line
            del path[depth:]
            assert len(path) == depth, line
            name = match[2]
            found[name] = Drawn(name, path[-1] if path else None, int(match[3]), "(also a ValueError)" in match[4])
            path.append(name)
    return found


def real() -> dict[str, type[FcnbenchError]]:
    """Return the classes of the module by name."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }


CLASSES = sorted(real())


def test_the_drawing_shows_exactly_the_classes_of_the_module() -> None:
    assert sorted(drawing()) == CLASSES
    # Protects against a parser that finds nothing.
    assert len(CLASSES) >= 17


def subclasses(cls: type[FcnbenchError]) -> Iterator[type[FcnbenchError]]:
    """Yield all classes that derive from a class."""
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_exception_of_the_package_is_in_the_errors_module() -> None:
    names = [module.name for module in pkgutil.walk_packages(fcnbench.__path__, "fcnbench.")]
    assert "fcnbench.records.scoring" in names
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    of_package = {cls for cls in subclasses(FcnbenchError) if cls.__module__.partition(".")[0] == "fcnbench"}
    assert of_package | {FcnbenchError} == set(real().values())


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_parent_that_is_drawn(name: str) -> None:
    drawn, cls = drawing()[name], real()[name]
    bases = [base for base in cls.__bases__ if base is not ValueError]
    assert [base.__name__ for base in bases] == [drawn.parent or "Exception"]
    # A subclass inherits from its parent's ValueError, which is not drawn again.
    assert (ValueError in cls.__bases__) == drawn.value_error


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_exit_code_that_is_drawn(name: str) -> None:
    assert real()[name].exit_code == drawing()[name].exit_code
    assert real()[name]("something").exit_code == drawing()[name].exit_code


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_a_documented_exit_code_and_a_docstring(name: str) -> None:
    # The codes of the command line: 0 is success, 1 to 5 and 130 are the ways to fail.
    assert real()[name].exit_code in {1, 2, 3, 4, 5, 130}
    assert real()[name].__doc__


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_caught_by_the_base(name: str) -> None:
    with pytest.raises(FcnbenchError):
        raise real()[name]("found this, expected that")


@pytest.mark.parametrize("name", ["UsageError", "UnknownName", "DataCorrupt", "PredictionError", "PredictionsError"])
def test_wrong_values_are_caught_as_value_errors(name: str) -> None:
    assert issubclass(real()[name], ValueError)


@pytest.mark.parametrize("name", ["DataMissing", "WeightsError", "OutputError", "Interrupted", "CheckFailed"])
def test_other_failures_are_not_value_errors(name: str) -> None:
    assert not issubclass(real()[name], ValueError)


@pytest.mark.parametrize("name", CLASSES)
def test_message_and_hint_are_kept_and_printed(name: str) -> None:
    error = real()[name]("expected 3 classes, found 4", "use another label space")
    assert (error.message, error.hint) == ("expected 3 classes, found 4", "use another label space")
    assert "expected 3 classes, found 4" in str(error)
    assert "use another label space" in str(error)
    assert error.args == ("expected 3 classes, found 4",)


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_survives_pickling(name: str) -> None:
    error = pickle.loads(pickle.dumps(real()[name]("expected 3 classes, found 4", "use another label space")))
    assert (type(error), error.message, error.hint) == (
        real()[name], "expected 3 classes, found 4", "use another label space",
    )  # fmt: skip


def test_the_error_for_a_folder_of_predictions_lists_every_fault() -> None:
    error = PredictionsError.of_folder(Path("maps"), {"without a prediction": ["a", "b"], "not an id": ["c"]})
    assert error.problems == {"without a prediction": ["a", "b"], "not an id": ["c"]}
    assert error.message.splitlines()[1:] == ["  without a prediction: a, b", "  not an id: c"]
    assert "--allow-partial" in error.hint


def test_without_a_hint_the_message_stands_alone() -> None:
    error = FcnbenchError("the run broke")
    assert error.hint == ""
    assert str(error) == "the run broke"


def test_the_base_is_part_of_the_public_surface() -> None:
    assert fcnbench.FcnbenchError is FcnbenchError
