"""The modules that a model's code sees: its own neighbours, whatever other models' code has imported by their names.

Python knows one module of a name. Of two model files with a `common.py` beside each, the second would get the first
one's. Here the modules that one model's code brought lie aside while those of another one are in place, and an import
statement in a model's code puts its own in place whenever it is carried out, in the forward pass too.
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
from fcnbench.models.code.source_files import PREFIX, Sources, file_of, users_own

_OWN_FOLDER = str(Path(__file__).resolve().parents[2]) + os.sep

_ENDINGS = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)

_turn = threading.Condition(threading.RLock())
_current: Neighbours | None = None
_depth = 0
"""Blocks in which a model's neighbours stay in place."""

_running: Counter[int] = Counter()
"""Import statements of models' code that are being carried out now, by thread."""


class Neighbours:
    """The modules that one model's code has imported, and finds beside its file.

    Args:
        path: the model's file.

    Attributes:
        brought: the modules that were imported for this model's code, by name.
        aside: those of them, with what is in their packages, that others stand in place of.
        inner: the source files of other models that this model's code has loaded.
        displaced: modules of the program's own that have their names, while these are in place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.brought: dict[str, ModuleType] = {}
        self.aside: dict[str, ModuleType] = {}
        self.inner: list[Sources] = []
        self.displaced: dict[str, ModuleType] = {}
        self._taken = False
        self._importlib = _Importlib(self._import_module)
        self._inside = (_OWN_FOLDER, f"{self.folder}{os.sep}", f"{path.parent}{os.sep}")

    def put_in_place(self) -> None:
        """Put these modules where Python looks for them, instead of another model's."""
        with _turn:
            _replace(self)

    def take(self) -> None:
        """Let these modules stand where those of the program's own stand that have their names."""
        if not self._taken:
            self._taken = True
            self.displace({name.partition(".")[0] for name in self.aside} | self._beside())
            sys.modules.update(self.aside)
            self.aside.clear()

    def displace(self, tops: Collection[str]) -> None:
        """Take other modules away from where Python looks for them, until `give_back`.

        Args:
            tops: names of top-level modules; what is in them goes along.
        """
        mine = self.in_place
        for name in [each for each in sys.modules if each.partition(".")[0] in tops and each not in mine]:
            self.displaced[name] = sys.modules.pop(name)

    def give_back(self) -> None:
        """Put the program's own modules back that these have displaced; the others stay."""
        self._taken = False
        if self.displaced:
            tops = {name.partition(".")[0] for name in self.displaced}
            for name in [each for each in self.in_place if each.partition(".")[0] in tops]:
                self.aside[name] = sys.modules.pop(name)
            sys.modules.update(self.displaced)
            self.displaced.clear()

    def put_aside(self) -> None:
        """Take these modules from where Python looks for them, and keep them."""
        self.give_back()
        found = self.in_place
        self.aside.update(found)
        for name in found:
            del sys.modules[name]

    def _beside(self) -> set[str]:
        """Names of modules beside the model's file by which the program has imported others of its own."""
        found = set()
        with suppress(OSError):
            for path in self.folder.iterdir():
                name = path.name.partition(".")[0]
                file = file_of(sys.modules.get(name))
                if file is None or name in self.brought or not users_own(file):
                    continue
                importable = path.name.endswith(_ENDINGS) or (path / "__init__.py").is_file()
                if importable and not file.resolve().is_relative_to(self.folder):
                    found.add(name)
        return found

    @property
    def in_place(self) -> dict[str, ModuleType]:
        """Those of these modules that are where Python looks for them, with everything in their packages, by name."""
        mine = {name for name, module in self.brought.items() if sys.modules.get(name) is module}
        found = list(sys.modules.items())
        return {name: each for name, each in found if name in mine or name.partition(".")[0] in mine}

    def note(self, names: Iterable[str]) -> None:
        """Note modules that were imported for this model's code; those that are not the user's own do not count.

        Args:
            names: of modules.
        """
        if _current is self and self._taken:
            found = {name: sys.modules[name] for name in names if name in sys.modules and not name.startswith(PREFIX)}
            self.brought.update((name, module) for name, module in found.items() if _is_users(module))

    def builtins(self) -> dict[str, Any]:
        """Return Python's built-in functions for this model's code, whose import statements find these modules."""
        return {**vars(builtins), "__import__": self._import}

    def _import(self, name: str, *arguments: Any, **keywords: Any) -> ModuleType:
        # Taken at every call: somebody may have put a function of their own there.
        found = self._carried_out(lambda: builtins.__import__(name, *arguments, **keywords))
        return self._importlib if found is importlib else found

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        """What `importlib.import_module` is for this model's code."""
        return self._carried_out(lambda: importlib.import_module(name, package))

    def _carried_out(self, statement: Callable[[], ModuleType]) -> ModuleType:
        """Carry out an import with these modules in place."""
        thread = threading.get_ident()
        with _turn:
            # Another thread's import may be half done, and its modules must stay until it is.
            _turn.wait_for(lambda: _current is self or not (_running.keys() - {thread}))
            before = _current
            _replace(self)
            known = len(sys.modules)
            _running[thread] += 1
        try:
            return statement()
        finally:
            with _turn:
                self.note(list(islice(reversed(sys.modules), max(0, len(sys.modules) - known))))
                _running[thread] -= 1
                if _running[thread]:
                    _replace(before)
                else:
                    del _running[thread]
                    if not _depth:
                        self.give_back()
                _turn.notify_all()

    def find(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None, asking: FrameType
    ) -> ModuleSpec | None:
        """Return the spec of a module in the folder, or in a package there; None leaves it to Python.

        Args:
            name: of the module.
            path: folders of the package that it is in; None for a top-level module.
            target: the module, when it is read again.
            asking: frame of Python's import system.
        """
        if not runs_in(self._inside, asking):
            return None
        return find_beside(self.folder, _LOADERS, name, path, target, asking)


class _Importlib(ModuleType):
    """The module `importlib` as a model's code sees it.

    Args:
        import_module: the function of that name.
    """

    def __init__(self, import_module: Callable[..., ModuleType]) -> None:
        super().__init__("importlib", importlib.__doc__)
        self.import_module = import_module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)


class Source(SourceFileLoader):
    """Compiles a file whenever it is imported: stored bytecode hides edits within a second that keep the size."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the source as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module whose import statements find the neighbours that are in place now."""
        if _current is not None:
            vars(module)["__builtins__"] = _current.builtins()
        super().exec_module(module)


_LOADERS = ((ExtensionFileLoader, EXTENSION_SUFFIXES), (Source, SOURCE_SUFFIXES))


class _Finder:
    """Finds the modules beside the model's file first, as Python does for `python file.py`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the current neighbours; None leaves it to Python."""
        return None if _current is None else _current.find(name, path, target, sys._getframe(1))


_finder = _Finder()


def _replace(wanted: Neighbours | None) -> None:
    """Put a model's neighbours in place of those that are."""
    global _current  # noqa: PLW0603 - Python knows one module of a name
    if _current is not wanted:
        if _current is not None:
            _current.put_aside()
        _current = wanted
    if wanted is not None:
        wanted.take()
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


@contextmanager
def neighbours_kept(*, wanted: bool = True) -> Iterator[None]:
    """Put the neighbours back in place after the block that are in place now: a model's code loads another model in it.

    Args:
        wanted: whether to do so.
    """
    before = _current
    try:
        yield
    finally:
        if wanted:
            with _turn:
                _replace(before)


@contextmanager
def programs_modules_kept() -> Iterator[None]:
    """Put the program's own modules back after the block, where a model's neighbours have their names."""
    global _depth  # noqa: PLW0603 - the imported modules are the process's
    with _turn:
        _depth += 1
    try:
        yield
    finally:
        with _turn:
            _depth -= 1
            if not _depth and _current is not None:
                _current.give_back()


def _is_users(module: ModuleType | None) -> bool:
    """Whether a module is the user's own; a folder without `__init__.py` has no file."""
    file = file_of(module)
    places = [file] if file is not None else [Path(each) for each in getattr(module, "__path__", ())]
    return any(map(users_own, places))
