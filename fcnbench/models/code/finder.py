"""Finds the modules beside a model's file, as Python does for `python file.py`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from fcnbench.models.code.opened_files import IMPORTING
from fcnbench.models.code.source_files import is_package, users_own


def find_beside(
    folder: Path,
    loaders: Sequence[tuple[Any, list[str]]],
    name: str,
    path: Sequence[str] | None,
    target: ModuleType | None,
    asking: FrameType,
) -> ModuleSpec | None:
    """Return the spec of a module in a folder, or in a package there; None leaves it to Python.

    Args:
        folder: of the model's file.
        loaders: of modules, with the endings of their files.
        name: of the module.
        path: folders of the package that it is in; None for a top-level module.
        target: the module, when it is read again.
        asking: frame of Python's import system.
    """
    if path is None and _is_for_others(name, asking):
        return None
    folders = [str(folder)] if path is None else [each for each in path if Path(each).is_relative_to(folder)]
    for each in folders:
        spec = FileFinder(each, *loaders).find_spec(name, target)
        if spec is not None and spec.loader is not None:
            return spec
    # A folder without `__init__.py` is a package only where there is no other of its name.
    return None if not folders or is_package(name) else PathFinder.find_spec(name, folders, target)


def runs_in(folders: tuple[str, ...], frame: FrameType | None) -> bool:
    """Return whether code of these folders runs: what a script imports by itself is left to Python.

    Args:
        folders: how the names of its files begin.
        frame: the innermost frame.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith(folders):
            return True
        frame = frame.f_back
    return False


def _is_for_others(name: str, frame: FrameType | None) -> bool:
    """Whether other code than the user's imports an installed package, whose name no neighbour may take."""
    while frame is not None and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == IMPORTING):
        frame = frame.f_back
    importer = None if frame is None else Path(frame.f_code.co_filename)
    if importer is None or users_own(importer) or (spec := PathFinder.find_spec(name)) is None:
        return False
    # A library may import for the model: a pickle's classes, for one.
    return spec.origin is None or not users_own(Path(spec.origin))
