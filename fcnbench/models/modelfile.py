"""Imports a model's Python file with its own neighbours, whatever other model files were imported before it.

Python knows one module of a name. Of two model files with a `common.py` beside each, the second would get the first
one's; and in a notebook an edited helper would stay as it was. Here every file gets its own, as it is now.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from fcnbench.errors import ModelError
from fcnbench.ground.digests import digest_text, short
from fcnbench.models.sources import Sources, file_of, imported_files, same_source, users_own

_imported: dict[Path, str] = {}
"""Digest that the user's own files had when they were imported."""


class _Neighbours:
    """Finds the modules beside the model's file first, as Python does for `python file.py`."""

    folder: Path | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a top-level module in the folder; None leaves it to Python."""
        if self.folder is None or path is not None or "." in name:
            return None
        return PathFinder.find_spec(name, [str(self.folder)], target)


_neighbours = _Neighbours()


def import_model_file(path: Path) -> tuple[ModuleType, Sources]:
    """Import a Python file and return it with its source files.

    Args:
        path: the file; it may import its neighbours, now or later.

    Raises:
        ModelError: it can't be imported, or a neighbour has the name of a module that Python has imported already.
    """
    path = path.absolute()
    name = f"fcnbench_user_{short(digest_text(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path.name} can't be imported as Python", "write path/to/file.py:factory")
    own = imported_files(path)
    _make_way(own, path)
    _neighbours.folder = path.resolve().parent
    if _neighbours not in sys.meta_path:
        sys.meta_path.insert(0, _neighbours)
    importlib.invalidate_caches()
    sources = Sources(folder=path.parent, before=frozenset(sys.modules))
    sources.add(name, path)
    for neighbour, file in own.items():
        sources.add(neighbour, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # The user's file may fail in any way while it is imported, and even exit.
    except (Exception, SystemExit) as error:
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


def forget_changed_package(modules: frozenset[str]) -> None:
    """Have a package imported again of which a file has changed since it was imported.

    Args:
        modules: its top-level modules.
    """
    for top in modules:
        _forget_if_stale(top, _files_below(top))


def _make_way(own: Mapping[str, Path], path: Path) -> None:
    """Forget modules that stand where the model's own ones belong, and own ones that have changed.

    Raises:
        ModelError: a module that is not the user's stands there.
    """
    for top in dict.fromkeys(name.partition(".")[0] for name in own):
        wanted = {name: file.resolve() for name, file in own.items() if name.partition(".")[0] == top}
        loaded = _files_below(top)
        others = [file for name, file in loaded.items() if name in wanted and file.resolve() != wanted[name]]
        foreign = [file for file in others if not users_own(file)]
        if foreign or (top in sys.modules and file_of(sys.modules[top]) is None and not _is_folder(sys.modules[top])):
            raise ModelError(
                f"beside {path.name} lies a module called {top}, and Python has already imported another {top}",
                f"rename it: its name is that of {'an installed package' if foreign else 'a part of Python'}",
            )
        if others or _is_elsewhere(top, wanted):
            _forget(top)
        else:
            _forget_if_stale(top, loaded)


def _is_elsewhere(top: str, wanted: Mapping[str, Path]) -> bool:
    """Whether a package of this name is imported that none of the wanted files belongs to."""
    module = sys.modules.get(top)
    if module is None or top in wanted:
        return False
    folders = [Path(each).resolve() for each in getattr(module, "__path__", ())]
    return not any(file.is_relative_to(folder) for file in wanted.values() for folder in folders)


def _is_folder(module: ModuleType) -> bool:
    return hasattr(module, "__path__")


def _forget_if_stale(top: str, loaded: Mapping[str, Path]) -> None:
    # A file that was imported before anybody noted its digest may have been edited since.
    if any(not same_source(file, _imported.get(file, "")) for file in loaded.values()):
        _forget(top)


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
    sys.modules.pop(top, None)
    for name in [each for each in sys.modules if each.startswith(f"{top}.")]:
        del sys.modules[name]
