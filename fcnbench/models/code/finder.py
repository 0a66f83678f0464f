"""The import finder for modules beside a model's file, which finds what `python file.py` would."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from fcnbench.models.code.opened_files import NEIGHBOURS_FILE
from fcnbench.models.code.source_files import is_package, is_user_file


def find_beside(
    folder: Path,
    loaders: Sequence[tuple[Any, list[str]]],
    name: str,
    path: Sequence[str] | None,
    target: ModuleType | None,
    frame: FrameType,
) -> ModuleSpec | None:
    """Return the spec of a module in a folder, or in a package there; None leaves the module to Python's own finders.

    Args:
        folder: the folder of the model's file.
        loaders: loaders of modules, with the suffixes of their files.
        name: full name of the module.
        path: folders of the package that contains it; None for a top-level module.
        target: the module, if it is reloaded.
        frame: the frame of Python's import system that asks.
    """
    if path is None and _is_imported_by_library(name, frame):
        return None
    folders = [str(folder)] if path is None else [entry for entry in path if Path(entry).is_relative_to(folder)]
    for entry in folders:
        spec = FileFinder(entry, *loaders).find_spec(name, target)
        if spec is not None and spec.loader is not None:
            return spec
    # A folder without `__init__.py` is a package only if Python finds no other package of its name.
    return None if not folders or is_package(name) else PathFinder.find_spec(name, folders, target)


def runs_in(folders: tuple[str, ...], frame: FrameType | None) -> bool:
    """Return whether code of these folders is on the call stack; imports of other code are left to Python.

    Args:
        folders: paths of the folders, with a separator at the end.
        frame: the innermost frame.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith(folders):
            return True
        frame = frame.f_back
    return False


def _is_imported_by_library(name: str, frame: FrameType | None) -> bool:
    """Return whether a library imports an installed package, which no file beside the model may replace."""
    while frame is not None and (
        "importlib" in frame.f_code.co_filename or frame.f_code.co_filename == NEIGHBOURS_FILE
    ):
        frame = frame.f_back
    importer = None if frame is None else Path(frame.f_code.co_filename)
    if importer is None or is_user_file(importer) or (spec := PathFinder.find_spec(name)) is None:
        return False
    # A library may import the user's modules for the model, such as the classes in a pickle.
    return spec.origin is None or not is_user_file(Path(spec.origin))
