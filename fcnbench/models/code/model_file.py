"""Imports a model's Python file with its own neighbours in their current state.

A neighbour is a module beside the file. Python has one module per name and imports it once: of two model files with a
`common.py` beside each, the second would get the first one's, and in a notebook an edited helper would stay as it was.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from fcnbench.errors import ModelError
from fcnbench.models.code.neighbours import Neighbours, UncachedLoader
from fcnbench.models.code.opened_files import watch
from fcnbench.models.code.source_files import PREFIX, Sources, file_of, imported_files, is_user_file, same_source
from fcnbench.util.digests import digest_lines, digest_text, short

_digests: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()
"""For the user's modules, the digests that their files had when they were imported."""

_COMPILED = (".so", ".pyd", ".dylib")
"""Suffixes of compiled modules."""

_known: dict[Path, Neighbours] = {}
"""The neighbours of every model file that was imported."""


def import_model_file(path: Path, *, nested: bool = False) -> tuple[ModuleType, Sources]:
    """Import a model's Python file, and return the module with its source files so far.

    Args:
        path: the file; it may import its neighbours, now or later.
        nested: whether the code of another model imports it.

    Raises:
        ModelError: importing fails, or a neighbour has the name of a module that Python has imported already.
    """
    path = path.absolute()
    # The name depends on the path: files with equal text have different neighbours.
    name = f"{PREFIX}{short(digest_lines([str(path), digest_text(path)]))}"
    spec = importlib.util.spec_from_file_location(name, path, loader=UncachedLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ModelError(f"{path.name} can't be imported as Python", "write path/to/file.py:factory")
    neighbour_files = imported_files(path)
    neighbours = _activate_neighbours(path, neighbour_files)
    importlib.invalidate_caches()
    sources = Sources(
        folder=path.parent,
        before=frozenset(sys.modules) - neighbours.imported.keys(),
        opened=watch(path.parent, keep_others=nested),
        inactive=neighbours.inactive,
        inner=neighbours.inner,
    )
    sources.add(name, path)
    for neighbour, file in neighbour_files.items():
        sources.add(neighbour, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        del sys.modules[name]
        raise
    # The user's file may raise anything while it is imported, and even exit.
    except BaseException as error:
        del sys.modules[name]
        raise ModelError(
            f"{path.name} can't be imported: {type(error).__name__}: {error}", "repair the file"
        ) from error
    sources.update()
    remember(sources)
    return module, sources


def remember(sources: Sources) -> None:
    """Remember the digests of a model's files, to detect later that files of imported modules have changed."""
    digests = dict(zip(sources.paths, sources.files.values(), strict=True))
    for module in [*sources.inactive.values(), *sys.modules.copy().values()]:
        if isinstance(module, ModuleType) and (file := file_of(module)) in digests:
            _digests.setdefault(module, digests[file])
    # The modules of an installed package need no help: Python finds them again.
    neighbours = None if sources.package or not sources else _known.get(sources.paths[0])
    if neighbours is not None:
        neighbours.note(sys.modules.keys() - sources.before)


def forget_changed_package(modules: frozenset[str]) -> None:
    """Remove a package from `sys.modules` if one of its files has changed since it was imported.

    Args:
        modules: the top-level modules of the package.
    """
    for top in modules:
        modules_of_package = _modules_below(top)
        if any(module in _digests for module in modules_of_package.values()) and _is_stale(modules_of_package):
            _forget(top)


def _activate_neighbours(path: Path, files: Mapping[str, Path]) -> Neighbours:
    """Make the neighbours of a model's file active; if one of them has changed, all will be imported again.

    Args:
        path: the model's file.
        files: files of the user's modules that it imports, by module name.

    Raises:
        ModelError: Python or an installed package has a module with the name of a neighbour.
    """
    neighbours = _known.get(path) or Neighbours(path)
    neighbours.activate()
    top_names = {name.partition(".")[0] for name in files}
    for top in top_names:
        _refuse_name_clash(top, files, path)
    # Modules hold objects that they imported from each other: if one is outdated, all are imported again.
    outdated = any(_is_outdated(top, files) for top in top_names) or _is_stale(neighbours.active)
    # Modules may also hold other models that they loaded, which must be loaded again.
    if outdated or neighbours.inner:
        _refuse_compiled(
            [*(entry for top in top_names for entry in _modules_below(top).items()), *neighbours.active.items()]
        )
        # Models that were loaded before keep their modules.
        neighbours.deactivate()
        neighbours = Neighbours(path)
        neighbours.activate()
        neighbours.displace(top_names)
    _known[path] = neighbours
    return neighbours


def _files_below(top: str, files: Mapping[str, Path]) -> dict[str, Path]:
    return {name: file.resolve() for name, file in files.items() if name.partition(".")[0] == top}


def _refuse_name_clash(top: str, files: Mapping[str, Path], path: Path) -> None:
    """Refuse a neighbour with the name of an imported module of Python or of an installed package."""
    other_files = _other_files(_files_below(top, files), _modules_below(top))
    installed = [file for file in other_files if not is_user_file(file)]
    module = sys.modules.get(top)
    built_in = module is not None and file_of(module) is None and not hasattr(module, "__path__")
    if installed or built_in:
        raise ModelError(
            f"beside {path.name} is a module called {top}, and Python has already imported another {top}",
            f"rename it: its name is that of {'an installed package' if installed else 'a part of Python'}",
        )


def _refuse_compiled(loaded: Iterable[tuple[str, ModuleType]]) -> None:
    """Refuse compiled modules that have changed: a process can import a compiled module only once."""
    for name, module in loaded:
        file = file_of(module)
        known = _digests.get(module)
        if file is not None and known and file.suffix in _COMPILED and not same_source(file, known):
            raise ModelError(
                f"{name} ({file.name}) has changed since it was imported, and Python imports a compiled module once",
                "start a new Python process, or restart the notebook's kernel",
            )


def _is_outdated(top: str, files: Mapping[str, Path]) -> bool:
    """Return whether the imported modules below a name are other ones than the model's, or have changed."""
    wanted, loaded = _files_below(top, files), _modules_below(top)
    return bool(_other_files(wanted, loaded)) or _is_other_package(top, wanted) or _is_stale(loaded)


def _other_files(wanted: Mapping[str, Path], loaded: Mapping[str, ModuleType]) -> list[Path]:
    """Return the files of imported modules that have the names of wanted ones but are different files."""
    files = {name: Path(str(loaded[name].__file__)) for name in wanted.keys() & loaded.keys()}
    return [file for name, file in files.items() if file.resolve() != wanted[name]]


def _is_other_package(top: str, wanted: Mapping[str, Path]) -> bool:
    """Return whether a package of this name is imported that contains none of the wanted files."""
    module = sys.modules.get(top)
    if module is None or top in wanted:
        return False
    folders = [Path(entry).resolve() for entry in getattr(module, "__path__", ())]
    return not any(file.is_relative_to(folder) for file in wanted.values() for folder in folders)


def _is_stale(loaded: Mapping[str, ModuleType]) -> bool:
    """Return whether the file of a module has changed since it was imported; True where its digest is unknown."""
    files = {module: file for module in loaded.values() if (file := file_of(module)) is not None}
    return any(not same_source(file, _digests.get(module, "")) for module, file in files.items())


def _modules_below(top: str) -> dict[str, ModuleType]:
    """Return a top-level module and the modules below it by name, as far as they are imported and have files."""
    return {
        name: module
        for name, module in sys.modules.copy().items()
        if (name == top or name.startswith(f"{top}.")) and file_of(module) is not None
    }


def _forget(top: str) -> None:
    for name in [name for name in sys.modules.copy() if name == top or name.startswith(f"{top}.")]:
        del sys.modules[name]
