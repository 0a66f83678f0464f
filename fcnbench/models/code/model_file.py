"""Imports a model's Python file with its own neighbours, whatever other model files were imported before it.

Python knows one module of a name. Of two model files with a `common.py` beside each, the second would get the first
one's; and in a notebook an edited helper would stay as it was. Here every file gets its own, as it is now.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from fcnbench.errors import ModelError
from fcnbench.models.code.neighbours import Neighbours, Source
from fcnbench.models.code.opened_files import watch
from fcnbench.models.code.source_files import PREFIX, Sources, file_of, imported_files, same_source, users_own
from fcnbench.util.digests import digest_lines, digest_text, short

_imported: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()
"""Digest that the file of a module of the user's own had when it was imported."""

_COMPILED = (".so", ".pyd", ".dylib")
"""Endings of compiled modules."""

_known: dict[Path, Neighbours] = {}
"""The neighbours of every model's file that was imported."""


def import_model_file(path: Path, *, nested: bool = False) -> tuple[ModuleType, Sources]:
    """Import a Python file and return it with its source files.

    Args:
        path: the file; it may import its neighbours, now or later.
        nested: whether the code of another model asks for it.

    Raises:
        ModelError: it can't be imported, or a neighbour has the name of a module that Python has imported already.
    """
    path = path.absolute()
    # Files of equal text are different modules: each has its own neighbours.
    name = f"{PREFIX}{short(digest_lines([str(path), digest_text(path)]))}"
    spec = importlib.util.spec_from_file_location(name, path, loader=Source(name, str(path)))
    if spec is None or spec.loader is None:
        raise ModelError(f"{path.name} can't be imported as Python", "write path/to/file.py:factory")
    own = imported_files(path)
    neighbours = _neighbours_of(path, own)
    importlib.invalidate_caches()
    sources = Sources(
        folder=path.parent,
        before=frozenset(sys.modules) - neighbours.brought.keys(),
        opened=watch(path.parent, as_well=nested),
        aside=neighbours.aside,
        inner=neighbours.inner,
    )
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
    digests = dict(zip(sources.paths, sources.files.values(), strict=True))
    for module in [*sources.aside.values(), *sys.modules.values()]:
        if isinstance(module, ModuleType) and (file := file_of(module)) in digests:
            _imported.setdefault(module, digests[file])
    # Python finds the modules of an installed package again by itself.
    neighbours = None if sources.package or not sources else _known.get(sources.paths[0])
    if neighbours is not None:
        neighbours.note(sys.modules.keys() - sources.before)


def forget_changed_package(modules: frozenset[str]) -> None:
    """Have a package imported again of which a file has changed since it was imported.

    Args:
        modules: its top-level modules.
    """
    for top in modules:
        found = _modules_below(top)
        if any(module in _imported for module in found.values()) and _is_stale(found):
            _forget(top)


def _neighbours_of(path: Path, own: Mapping[str, Path]) -> Neighbours:
    """Put the neighbours of a model's file in place, all of them to be imported again if one has changed.

    Args:
        path: the model's file.
        own: the user's own modules that it imports, by name.

    Raises:
        ModelError: a module that is not the user's stands where one of them belongs.
    """
    neighbours = _known.get(path) or Neighbours(path)
    neighbours.put_in_place()
    tops = {name.partition(".")[0] for name in own}
    for top in tops:
        _refuse_foreign(top, own, path)
    # A module holds what it took from another one: if one is outdated, all are read again.
    outdated = any(_stands_in_the_way(top, own) for top in tops) or _is_stale(neighbours.in_place)
    # Modules may hold other models that they loaded, which are to be loaded again too.
    if outdated or neighbours.inner:
        _refuse_compiled(
            [*(each for top in tops for each in _modules_below(top).items()), *neighbours.in_place.items()]
        )
        # A model that was loaded before keeps the modules that it has.
        neighbours.put_aside()
        neighbours = Neighbours(path)
        neighbours.put_in_place()
        neighbours.displace(tops)
    _known[path] = neighbours
    return neighbours


def _below(top: str, own: Mapping[str, Path]) -> dict[str, Path]:
    return {name: file.resolve() for name, file in own.items() if name.partition(".")[0] == top}


def _refuse_foreign(top: str, own: Mapping[str, Path], path: Path) -> None:
    """Refuse a neighbour with the name of a module of Python or of an installed package that is imported already."""
    foreign = [file for file in _elsewhere(_below(top, own), _modules_below(top)) if not users_own(file)]
    module = sys.modules.get(top)
    built_in = module is not None and file_of(module) is None and not hasattr(module, "__path__")
    if foreign or built_in:
        raise ModelError(
            f"beside {path.name} lies a module called {top}, and Python has already imported another {top}",
            f"rename it: its name is that of {'an installed package' if foreign else 'a part of Python'}",
        )


def _refuse_compiled(loaded: Iterable[tuple[str, ModuleType]]) -> None:
    """Refuse compiled modules that have changed: Python keeps the first one of a file until it ends."""
    for name, module in loaded:
        file = file_of(module)
        known = _imported.get(module)
        if file is not None and known and file.suffix in _COMPILED and not same_source(file, known):
            raise ModelError(
                f"{name} ({file.name}) has changed since it was imported, and Python imports a compiled module once",
                "start a new Python process, or restart the notebook's kernel",
            )


def _stands_in_the_way(top: str, own: Mapping[str, Path]) -> bool:
    """Whether other modules than a model's own ones are imported under their names, or one of them has changed."""
    wanted, loaded = _below(top, own), _modules_below(top)
    return bool(_elsewhere(wanted, loaded)) or _is_elsewhere(top, wanted) or _is_stale(loaded)


def _elsewhere(wanted: Mapping[str, Path], loaded: Mapping[str, ModuleType]) -> list[Path]:
    """The files of imported modules that have the names of wanted ones, and are others."""
    files = {name: Path(str(loaded[name].__file__)) for name in wanted.keys() & loaded.keys()}
    return [file for name, file in files.items() if file.resolve() != wanted[name]]


def _is_elsewhere(top: str, wanted: Mapping[str, Path]) -> bool:
    """Whether a package of this name is imported that none of the wanted files belongs to."""
    module = sys.modules.get(top)
    if module is None or top in wanted:
        return False
    folders = [Path(each).resolve() for each in getattr(module, "__path__", ())]
    return not any(file.is_relative_to(folder) for file in wanted.values() for folder in folders)


def _is_stale(loaded: Mapping[str, ModuleType]) -> bool:
    """Whether the file of a module has changed since it was imported; unknown where nobody noted its digest then."""
    files = {each: file for each in loaded.values() if (file := file_of(each)) is not None}
    return any(not same_source(file, _imported.get(module, "")) for module, file in files.items())


def _modules_below(top: str) -> dict[str, ModuleType]:
    """An imported module and those below it that were read from files, by name."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if (name == top or name.startswith(f"{top}.")) and file_of(module) is not None
    }


def _forget(top: str) -> None:
    for name in [each for each in sys.modules if each == top or each.startswith(f"{top}.")]:
        del sys.modules[name]
