"""The neighbours of a model's file: the modules beside it that it imports, kept apart from those of other models.

Python has one module per name. Of two model files with a `common.py` beside each, the second would get the first one's.
So the neighbours of one model are active (in `sys.modules`) at a time, and those of the others are set aside. An import
statement in a model's code makes its own neighbours active whenever it is executed, also in the forward pass.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
)
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from fcnbench.models.code.finder import find_beside, runs_in
from fcnbench.models.code.source_files import PREFIX, Sources, file_of, is_user_file

_FCNBENCH = str(Path(__file__).resolve().parents[2]) + os.sep

_SUFFIXES = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)

_lock = threading.Condition(threading.RLock())
"""Guards the variables below and `sys.modules`."""

_active: Neighbours | None = None
"""The neighbours that are active now."""

_protected_blocks = 0
"""Number of `restore_program_modules` blocks that run now."""

_running: Counter[int] = Counter()
"""Number of import statements in models' code that are being executed now, by thread."""


class Neighbours:
    """The modules that one model's code has imported, and those beside its file that it may import.

    Args:
        path: the model's file.

    Attributes:
        imported: the user's modules that were imported by this model's code, by name.
        inactive: those of them, with the contents of their packages, that are set aside.
        inner: the source files of other models that this model's code has loaded.
        displaced: modules of the program with the same names, which are set aside while these are active.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.imported: dict[str, ModuleType] = {}
        self.inactive: dict[str, ModuleType] = {}
        self.inner: list[Sources] = []
        self.displaced: dict[str, ModuleType] = {}
        self._has_displaced = False
        self._importlib = _Importlib(self._import_module)
        self._code_folders = (_FCNBENCH, f"{self.folder}{os.sep}", f"{path.parent}{os.sep}")

    def activate(self) -> None:
        """Put these modules into `sys.modules`, and set another model's aside."""
        with _lock:
            _switch_to(self)

    def deactivate(self) -> None:
        """Take these modules out of `sys.modules`, and keep them."""
        self.restore_program()
        active = self.active
        self.inactive.update(active)
        for name in active:
            del sys.modules[name]

    def displace_program(self) -> None:
        """Replace modules of the program that have the same names as these."""
        if not self._has_displaced:
            self._has_displaced = True
            self.displace({name.partition(".")[0] for name in self.inactive} | self._beside())
            sys.modules.update(self.inactive)
            self.inactive.clear()

    def displace(self, top_names: Collection[str]) -> None:
        """Set other modules aside until `restore_program`.

        Args:
            top_names: names of top-level modules, which are set aside with the modules in them.
        """
        active = self.active
        for name in [name for name in sys.modules.copy() if name.partition(".")[0] in top_names and name not in active]:
            self.displaced[name] = sys.modules.pop(name)

    def restore_program(self) -> None:
        """Put displaced modules of the program back; neighbours with other names stay active."""
        self._has_displaced = False
        if self.displaced:
            top_names = {name.partition(".")[0] for name in self.displaced}
            for name in [name for name in self.active if name.partition(".")[0] in top_names]:
                self.inactive[name] = sys.modules.pop(name)
            sys.modules.update(self.displaced)
            self.displaced.clear()

    def _beside(self) -> set[str]:
        """Return the names of modules beside the model's file that the program uses for other modules of the user."""
        names = set()
        with suppress(OSError):
            for path in self.folder.iterdir():
                name = path.name.partition(".")[0]
                file = file_of(sys.modules.get(name))
                if file is None or name in self.imported or not is_user_file(file):
                    continue
                importable = path.name.endswith(_SUFFIXES) or (path / "__init__.py").is_file()
                if importable and not file.resolve().is_relative_to(self.folder):
                    names.add(name)
        return names

    @property
    def active(self) -> dict[str, ModuleType]:
        """Those of these modules that are in `sys.modules`, with everything in their packages, by name."""
        names = {name for name, module in self.imported.items() if sys.modules.get(name) is module}
        modules = sys.modules.copy()  # other threads may import
        return {name: module for name, module in modules.items() if name in names or name.partition(".")[0] in names}

    def note(self, names: Iterable[str]) -> None:
        """Note which modules were imported by this model's code; only the user's count.

        Args:
            names: names of modules that were imported.
        """
        if _active is self and self._has_displaced:
            modules = {name: sys.modules[name] for name in names if name in sys.modules and not name.startswith(PREFIX)}
            self.imported.update((name, module) for name, module in modules.items() if _is_user_module(module))

    def builtins(self) -> dict[str, Any]:
        """Return Python's built-in functions for this model's code, with an `__import__` that finds these modules."""
        return {**vars(builtins), "__import__": self._import}

    def _import(self, name: str, *arguments: Any, **keywords: Any) -> ModuleType:
        # `builtins.__import__` is read at every call: other tools may have replaced it.
        module = self._execute(lambda: builtins.__import__(name, *arguments, **keywords))
        return self._importlib if module is importlib else module

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import a module by name; `importlib.import_module` for this model's code."""
        return self._execute(lambda: importlib.import_module(name, package))

    def _execute(self, statement: Callable[[], ModuleType]) -> ModuleType:
        """Execute an import with these modules active."""
        thread = threading.get_ident()
        with _lock:
            # An import in another thread may be half done, and its modules must stay active until it ends.
            _lock.wait_for(lambda: _active is self or not (_running.keys() - {thread}))
            previous = _active
            _switch_to(self)
            count = len(sys.modules)
            _running[thread] += 1
        try:
            return statement()
        finally:
            with _lock:
                self.note(list(islice(reversed(sys.modules), max(0, len(sys.modules) - count))))
                _running[thread] -= 1
                if _running[thread]:
                    _switch_to(previous)
                else:
                    del _running[thread]
                    if not _protected_blocks:
                        self.restore_program()
                _lock.notify_all()

    def find(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None, frame: FrameType
    ) -> ModuleSpec | None:
        """Return the spec of a module beside the model's file; None leaves the module to Python's own finders.

        Args:
            name: full name of the module.
            path: folders of the package that contains it; None for a top-level module.
            target: the module, if it is reloaded.
            frame: the frame of Python's import system that asks.
        """
        if not runs_in(self._code_folders, frame):
            return None
        return find_beside(self.folder, _LOADERS, name, path, target, frame)


class _Importlib(ModuleType):
    """The module `importlib` for a model's code.

    Args:
        import_module: its function of that name.
    """

    def __init__(self, import_module: Callable[..., ModuleType]) -> None:
        super().__init__("importlib", importlib.__doc__)
        self.import_module = import_module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)


class UncachedLoader(SourceFileLoader):
    """Compiles a file at every import.

    Python's stored bytecode would hide edits that happen within a second and keep the file's size.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the current source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        """Execute a module whose import statements will find the neighbours that are active now."""
        if _active is not None:
            vars(module)["__builtins__"] = _active.builtins()
        super().exec_module(module)


_LOADERS = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (UncachedLoader, SOURCE_SUFFIXES))


class _Finder:
    """An import finder that looks beside the model's file first, as Python does for `python file.py`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the active neighbours; None leaves the module to Python's own finders."""
        return None if _active is None else _active.find(name, path, target, sys._getframe(1))


_finder = _Finder()


def _switch_to(neighbours: Neighbours | None) -> None:
    """Make a model's neighbours active and set the others aside."""
    global _active  # noqa: PLW0603 - Python has one `sys.modules`
    if _active is not neighbours:
        if _active is not None:
            _active.deactivate()
        _active = neighbours
    if neighbours is not None:
        neighbours.displace_program()
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


@contextmanager
def restore_neighbours(*, wanted: bool = True) -> Iterator[None]:
    """Make the neighbours active again after the block that are active before it: the block loads another model.

    Args:
        wanted: whether to do so.
    """
    previous = _active
    try:
        yield
    finally:
        if wanted:
            with _lock:
                _switch_to(previous)


@contextmanager
def restore_program_modules() -> Iterator[None]:
    """Put modules of the program back after the block where a model's neighbours have displaced them."""
    global _protected_blocks  # noqa: PLW0603 - Python has one `sys.modules`
    with _lock:
        _protected_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _protected_blocks -= 1
            if not _protected_blocks and _active is not None:
                _active.restore_program()


def _is_user_module(module: ModuleType | None) -> bool:
    """Return whether a module is the user's; a package without `__init__.py` has no file, only folders."""
    file = file_of(module)
    paths = [file] if file is not None else [Path(folder) for folder in getattr(module, "__path__", ())]
    return any(map(is_user_file, paths))
