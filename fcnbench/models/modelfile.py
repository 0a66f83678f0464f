"""Imports a model's Python file with its own neighbours, whatever other model files were imported before it.

Python knows one module of a name. Of two model files with a `common.py` beside each, the second would get the first
one's; and in a notebook an edited helper would stay as it was. Here every file gets its own, as it is now.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, FrameType, ModuleType

from fcnbench.errors import ModelError
from fcnbench.ground.digests import digest_text, short
from fcnbench.models.opened import watch
from fcnbench.models.sources import Sources, file_of, imported_files, is_package, same_source, users_own

_imported: dict[Path, str] = {}
"""Digest that the user's own files had when they were imported."""

_brought: dict[str, Path] = {}
"""The model's file for whose code a module was imported, by the module's name."""

_PREFIX = "fcnbench_user_"
"""Begins the names of the modules that model files themselves are."""

_OWN_FOLDER = str(Path(__file__).resolve().parents[1]) + os.sep


class _FromSource(SourceFileLoader):
    """Compiles a file whenever it is imported: stored bytecode hides edits within a second that keep the size."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the source as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Neighbours:
    """Finds the modules beside the model's file first, as Python does for `python file.py`."""

    folder: Path | None = None
    shown_folder: Path | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module in the folder, or in a package there; None leaves it to Python."""
        if self.folder is None or not self._is_for_model(sys._getframe(1)):
            return None
        if path is None and self._is_for_others(name):
            return None
        folders = [str(self.folder)] if path is None else [each for each in path if self._holds(each)]
        for folder in folders:
            spec = FileFinder(folder, *_LOADERS).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
        # A folder without `__init__.py` is a package only where there is no other of its name.
        return None if not folders or is_package(name) else PathFinder.find_spec(name, folders, target)

    def _is_for_model(self, frame: FrameType | None) -> bool:
        """Whether the model's code runs, or fcnbench for it: what a script imports by itself is left to Python."""
        inside = (_OWN_FOLDER, f"{self.folder}{os.sep}", f"{self.shown_folder}{os.sep}")
        while frame is not None:
            if frame.f_code.co_filename.startswith(inside):
                return True
            frame = frame.f_back
        return False

    def _is_for_others(self, name: str) -> bool:
        """Whether other code than the user's imports an installed package, whose name no neighbour may take."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        importer = None if frame is None else Path(frame.f_code.co_filename)
        if importer is None or users_own(importer) or (spec := PathFinder.find_spec(name)) is None:
            return False
        # A library may import for the model: a pickle's classes, for one.
        return spec.origin is None or not users_own(Path(spec.origin))

    def _holds(self, folder: str) -> bool:
        return self.folder is not None and Path(folder).is_relative_to(self.folder)


_LOADERS = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromSource, SOURCE_SUFFIXES))

_neighbours = _Neighbours()


def import_model_file(path: Path) -> tuple[ModuleType, Sources]:
    """Import a Python file and return it with its source files.

    Args:
        path: the file; it may import its neighbours, now or later.

    Raises:
        ModelError: it can't be imported, or a neighbour has the name of a module that Python has imported already.
    """
    path = path.absolute()
    name = f"{_PREFIX}{short(digest_text(path))}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    if spec is None or spec.loader is None:
        raise ModelError(f"{path.name} can't be imported as Python", "write path/to/file.py:factory")
    own = imported_files(path)
    _make_way(own, path)
    _neighbours.folder, _neighbours.shown_folder = path.resolve().parent, path.parent
    if _neighbours not in sys.meta_path:
        sys.meta_path.insert(0, _neighbours)
    importlib.invalidate_caches()
    kept = {each for each, model in _brought.items() if model == path}
    sources = Sources(folder=path.parent, before=frozenset(sys.modules) - kept, opened=watch(path.parent))
    sources.add(name, path)
    for neighbour, file in own.items():
        sources.add(neighbour, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    # The user's file may fail in any way while it is imported, and even exit.
    except BaseException as error:
        del sys.modules[name]
        raise ModelError(
            f"{path.name} can't be imported: {type(error).__name__}: {error}", "repair the file"
        ) from error
    sources.look()
    remember(sources)
    return module, sources


def remember(sources: Sources) -> None:
    """Keep the digests of a model's files, to see later whether the modules in memory are still those of the files."""
    for path, digest in zip(sources.paths, sources.files.values(), strict=True):
        _imported.setdefault(path, digest)
    # Python finds the modules of an installed package again by itself.
    own = set() if sources.package else set(sources.paths)
    for name, module in list(sys.modules.items()):
        if name not in sources.before and not name.startswith(_PREFIX) and file_of(module) in own:
            _brought[name] = sources.paths[0]


def forget_changed_package(modules: frozenset[str]) -> None:
    """Have a package imported again of which a file has changed since it was imported.

    Args:
        modules: its top-level modules.
    """
    for top in modules:
        if any(file in _imported for file in _files_below(top).values()) and _is_stale(_files_below(top)):
            _forget(top)


def _make_way(own: Mapping[str, Path], path: Path) -> None:
    """Forget modules that stand where the model's own ones belong, and all of its own ones if one has changed.

    Raises:
        ModelError: a module that is not the user's stands there.
    """
    tops = dict.fromkeys(name.partition(".")[0] for name in own)
    outdated = False
    for top in tops:
        wanted = {name: file.resolve() for name, file in own.items() if name.partition(".")[0] == top}
        loaded = _files_below(top)
        elsewhere = [file for name, file in loaded.items() if name in wanted and file.resolve() != wanted[name]]
        foreign = [file for file in elsewhere if not users_own(file)]
        built_in = (
            top in sys.modules and file_of(sys.modules[top]) is None and not hasattr(sys.modules[top], "__path__")
        )
        if foreign or built_in:
            raise ModelError(
                f"beside {path.name} lies a module called {top}, and Python has already imported another {top}",
                f"rename it: its name is that of {'an installed package' if foreign else 'a part of Python'}",
            )
        outdated |= bool(elsewhere) or _is_elsewhere(top, wanted) or _is_stale(loaded)
    # Nobody can tell where else the name of what another model's code imported will lead this one's.
    brought = {name.partition(".")[0]: model for name, model in _brought.items() if name in sys.modules}
    others = {top for top, model in brought.items() if top not in tops and model != path}
    mine = {top for top, model in brought.items() if model == path}
    outdated |= bool(others) or any(_is_stale(_files_below(top)) for top in mine)
    # A module holds what it took from another one: if one is outdated, all are read again.
    if outdated:
        for top in {*tops, *others, *mine}:
            _forget(top)


def _is_elsewhere(top: str, wanted: Mapping[str, Path]) -> bool:
    """Whether a package of this name is imported that none of the wanted files belongs to."""
    module = sys.modules.get(top)
    if module is None or top in wanted:
        return False
    folders = [Path(each).resolve() for each in getattr(module, "__path__", ())]
    return not any(file.is_relative_to(folder) for file in wanted.values() for folder in folders)


def _is_stale(loaded: Mapping[str, Path]) -> bool:
    """Whether one of the files has changed since it was imported; unknown where nobody noted its digest then."""
    return any(not same_source(file, _imported.get(file, "")) for file in loaded.values())


def _files_below(top: str) -> dict[str, Path]:
    """The files of an imported module and of those below it, by name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if (name == top or name.startswith(f"{top}.")) and (file := file_of(module)) is not None:
            found[name] = file
    return found


def _forget(top: str) -> None:
    for name, file in _files_below(top).items():
        _imported.pop(file, None)
        del sys.modules[name]
        _brought.pop(name, None)
    _brought.pop(top, None)
    sys.modules.pop(top, None)
    for name in [each for each in sys.modules if each.startswith(f"{top}.")]:
        del sys.modules[name]
