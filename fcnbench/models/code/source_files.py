"""The source files of a model: its own file or package, and what these import from beside them.

Only the user's own files count, not those of Python, fcnbench or installed packages. They are found in two ways: by
the import statements in them, wherever these stand, and by what was imported while the model's code ran.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import PathFinder
from itertools import count
from pathlib import Path
from types import ModuleType

from fcnbench.models.code.opened_files import Opened, named_files
from fcnbench.util.digests import digest_file, digest_lines, digest_text

_INSTALLED = ("site-packages", "dist-packages")
"""Folders that hold installed packages, wherever they lie."""

_ELSEWHERE = "elsewhere:"

PREFIX = "fcnbench_user_"
"""Begins the names of the modules that model files themselves are."""

_MAIN = ("__main__", "__mp_main__")
"""Names of the program itself, which is not the model's."""

_IMPORTERS = ("import_module", "__import__")
"""Functions that import a module by its name."""


@dataclass
class Sources:
    """The source files of one model.

    Attributes:
        folder: folder of the model's file, or of its package; None where all code is fcnbench's.
        package: top-level modules of the model's distribution.
        files: digest of every source file by its name from the folder; `elsewhere:` and its module where it lies
            outside of that.
        before: modules that were imported before the model was.
        data: digest of every other file that the model's code read from its folder, by its name from there.
        opened: notes those files.
        aside: modules that were imported for the model and lie aside while those of another one are in place.
        inner: the source files of other models that the model's code has loaded.
    """

    folder: Path | None = None
    package: frozenset[str] = frozenset()
    files: dict[str, str] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    data: dict[str, str] = field(default_factory=dict)
    opened: Opened | None = None
    aside: Mapping[str, ModuleType] = field(default_factory=dict)
    inner: list[Sources] = field(default_factory=list)
    _paths: dict[str, Path] = field(default_factory=dict)
    _included: set[tuple[int, str]] = field(default_factory=set)

    def add(self, name: str, path: Path) -> None:
        """Note a file under a module's name, with the digest that it has now; a file that is known keeps its digest."""
        shown = self._shown(name, path)
        if shown not in self.files:
            with suppress(OSError):
                self.files[shown] = source_digest(path)
                self._paths[shown] = path
            for file in named_files(path):
                self._read(self._from_here(file.relative_to(path.parent).as_posix(), file), file)

    def look(self) -> None:
        """Note what has been imported and read meanwhile; a model without source of its own has none to note."""
        for each in self.inner:
            each.look()
            self._include(each)
        if self.folder is None and not self.package:
            return
        for name, module in [*self.aside.items(), *sys.modules.items()]:
            path = file_of(module)
            if path is not None and name not in _MAIN and self._owns(name, path):
                self.add(path.stem if name.startswith(PREFIX) else name, path)
        for name, path in ({} if self.opened is None else self.opened.take()).items():
            self._read(name, path)

    @property
    def pending(self) -> bool:
        """Whether there may be more to note than modules."""
        return (self.opened is not None and self.opened.pending) or any(each.pending for each in self.inner)

    def _include(self, inner: Sources) -> None:
        """Note the files of another model that this one consists of."""
        for name, digest in inner.files.items():
            path = inner._paths[name]
            if path not in self._paths.values():
                shown = _free_name(self._from_here(name, path), self.files)
                self.files[shown], self._paths[shown] = digest, path
        for name, digest in inner.data.items():
            if (id(inner), name) not in self._included:
                self._included.add((id(inner), name))
                self.data[_free_name(f"{_ELSEWHERE}{name.removeprefix(_ELSEWHERE)}", self.data)] = digest

    def _read(self, name: str, path: Path) -> None:
        if not users_own(path):
            return
        with suppress(OSError):
            if path.suffix == ".py":  # executed, and not imported
                self.files.setdefault(name, source_digest(path))
                self._paths.setdefault(name, path)
            else:
                self.data.setdefault(name, digest_file(path))

    def __bool__(self) -> bool:
        return bool(self.files)

    @property
    def digest(self) -> str:
        """Digest of all files; empty where there are none."""
        return digest_lines(f"{name} {self.files[name]}" for name in sorted(self.files)) if self.files else ""

    @property
    def paths(self) -> list[Path]:
        """The paths of all files."""
        return list(self._paths.values())

    def still(self, name: str, digest: str) -> bool:
        """Whether a file has a digest that an earlier run found; a file that is not known yet is looked for."""
        if name in self.files or name in self.data:
            return {**self.data, **self.files}[name] == digest
        inside = name.removeprefix(_ELSEWHERE)
        folders = [self.folder] if inside == name and self.folder is not None else _own_roots()
        return any(same_source(folder / inside, digest) for folder in folders) or any(
            each.still(inside, digest) for each in self.inner
        )

    def _owns(self, name: str, path: Path) -> bool:
        return name.partition(".")[0] in self.package or (name not in self.before and users_own(path))

    def _shown(self, module: str, path: Path) -> str:
        inside = module.replace(".", "/")
        return self._from_here(f"{inside}/{path.name}" if path.stem == "__init__" else f"{inside}{path.suffix}", path)

    def _from_here(self, name: str, path: Path) -> str:
        """The name of a file from the folder; a path elsewhere would tell where the user's files lie."""
        if self.folder is not None and path.is_relative_to(self.folder):
            return path.relative_to(self.folder).as_posix()
        return f"{_ELSEWHERE}{name.removeprefix(_ELSEWHERE)}"


def _free_name(name: str, taken: Collection[str]) -> str:
    """A name that no other file has: two models may have files of one name."""
    free = (f"{name} ({number})" for number in count(2))
    return name if name not in taken else next(each for each in free if each not in taken)


def source_digest(path: Path) -> str:
    """Return the digest of a source file; Python files have the same with any line ends.

    Raises:
        OSError: it can't be read.
    """
    return digest_text(path) if path.suffix == ".py" else digest_file(path)


def same_source(path: Path, digest: str) -> bool:
    """Whether a file is there and has this digest."""
    try:
        return source_digest(path) == digest
    except (OSError, ValueError):  # a name that no file system has
        return False


def users_own(path: Path) -> bool:
    """Whether a source file is the user's own: not part of Python, of fcnbench, or of an installed package."""
    resolved = path.resolve()
    if any(part in _INSTALLED for part in resolved.parts):
        return False
    return not any(resolved.is_relative_to(folder) for folder in _library_folders())


@cache
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    known = {Path(path).resolve() for name in names if (path := sysconfig.get_path(name))}
    return (*known, Path(__file__).resolve().parents[2])


def file_of(module: ModuleType | None) -> Path | None:
    """Return the file that a module was read from; None for a built-in one, and for what only looks like a module."""
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and file else None


def imported_files(path: Path) -> dict[str, Path]:
    """Return the user's own modules that a file imports, directly or through others, by name; they are not run.

    Args:
        path: a Python file; its neighbours are found as for `python file.py`.
    """
    folder = path.resolve().parent
    roots = [folder, *_own_roots()]
    found: dict[str, Path] = {}
    waiting: list[tuple[str, Path]] = [("", path)]
    while waiting:
        package, current = waiting.pop()
        for name in _imported_names(current, package):
            for module, file in _resolved(name, roots):
                if module not in found and file != path and users_own(file):
                    found[module] = file
                    inside = module if file.name == "__init__.py" else module.rpartition(".")[0]
                    waiting.append((inside, file))
    return found


def _own_roots() -> list[Path]:
    """The folders of `sys.path` that hold the user's own modules."""
    folders = (Path(entry or ".") for entry in sys.path)
    return [folder for folder in folders if folder.is_dir() and users_own(folder)]


def _imported_names(path: Path, package: str) -> list[str]:
    """The absolute names of the modules that a file's import statements name, and may name."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in _IMPORTERS and isinstance(node.args[0].value, str):
                names.append(node.args[0].value)
    return [name for name in dict.fromkeys(names) if name and not name.startswith(".")]


def is_package(name: str) -> bool:
    """Whether Python itself finds a top-level module of this name, other than a folder without `__init__.py`."""
    if "." in name:
        return False
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None


def _resolved(name: str, roots: list[Path]) -> Iterator[tuple[str, Path]]:
    """The user's own files that importing a module runs: those of its packages, and its own."""
    parts = name.split(".")
    for root in roots:
        if not any((root / f"{parts[0]}{ending}").is_file() for ending in (".py", "/__init__.py")) and (
            not (root / parts[0]).is_dir() or is_package(parts[0])
        ):
            continue
        folder = root
        for depth, part in enumerate(parts, start=1):
            inside, file = folder / part / "__init__.py", folder / f"{part}.py"
            if inside.is_file():
                yield ".".join(parts[:depth]), inside
            elif file.is_file() and not (folder / part).is_dir():
                yield ".".join(parts[:depth]), file
            folder = folder / part
        return
