"""The examples in docstrings: every one is run, and what the package offers has one."""

from __future__ import annotations

import ast
import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import fcnbench
import fcnbench.metrics

PACKAGE = Path(fcnbench.__file__).parent
OPTIONAL = {"h5py", "onnxruntime", "pynvml", "segmentation_models_pytorch", "shtab", "transformers"}
"""Packages that a module may need and an installation may lack."""

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a file, without importing it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = sorted(
    module_name(path)
    for path in PACKAGE.rglob("*.py")
    if any(doctest.DocTestParser().get_examples(text) for text in docstrings(path))
)
"""The modules that have examples, found in their source."""


def imported(name: str) -> ModuleType:
    """Import a module, or skip the test by the name of the optional package that is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name in OPTIONAL:
            pytest.skip(f"{name} needs {error.name}, which is not installed")
        raise


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_happens(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("FCNBENCH_BOARD", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    module = imported(name)
    # DocTestFinder does not see functions inside functions: their examples would never run.
    expected = sum(
        len(doctest.DocTestParser().get_examples(text)) for text in docstrings(Path(inspect.getfile(module)))
    )
    tests = doctest.DocTestFinder(exclude_empty=True).find(
        module, name, extraglobs={"getfixture": request.getfixturevalue}
    )
    assert sum(len(test.examples) for test in tests) == expected
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    with np.printoptions(edgeitems=3, threshold=1000, precision=8, linewidth=75, suppress=False, legacy=False):
        for test in tests:
            runner.run(test, out=report.append)
    assert not report, "".join(report)


def test_every_package_of_modules_is_walked() -> None:
    walked = {module.name for module in pkgutil.walk_packages(fcnbench.__path__, "fcnbench.")}
    assert set(MODULES) <= walked | {"fcnbench"}
    assert len(MODULES) > 100


TAKES_LONG = ("fcnbench.device_report",)
"""Functions whose example would take more than a minute: this one times networks of full size."""


def public_functions() -> Iterator[tuple[str, object]]:
    """Yield the names that the package offers, and the public functions of its metrics."""
    for name in fcnbench.__all__:
        if callable(value := getattr(fcnbench, name)):
            yield f"fcnbench.{name}", value
    for found in pkgutil.walk_packages(fcnbench.metrics.__path__, "fcnbench.metrics."):
        module = import_module(found.name)
        for name, value in vars(module).items():
            own = inspect.isfunction(value) and value.__module__ == module.__name__
            if own and not name.startswith("_"):
                yield f"{found.name}.{name}", value


def without_example() -> list[str]:
    return [name for name, value in public_functions() if ">>> " not in (inspect.getdoc(value) or "")]


def test_public_functions_have_an_example() -> None:
    assert without_example() == list(TAKES_LONG)
