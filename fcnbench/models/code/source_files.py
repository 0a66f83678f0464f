"""The source files of a model: its file or package, and the user's modules that these import.

Only the user's files count, not those of Python, fcnbench or installed packages. They are found in two ways: from the
import statements in them, wherever these are, and from what was imported while the model's code ran.
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

from fcnbench.models.code.opened_files import OpenedFiles, named_files
from fcnbench.util.digests import digest_file, digest_lines, digest_text

_INSTALLED = ("site-packages", "dist-packages")
"""Names of folders that contain installed packages."""

_ELSEWHERE = "elsewhere:"
"""Prefix of the names of files outside the model's folder; their real paths would reveal the user's folders."""

PREFIX = "fcnbench_user_"
"""Prefix of the module names under which model files are imported."""

_MAIN = ("__main__", "__mp_main__")
"""Module names of the running program, which does not belong to the model."""

_IMPORTERS = ("import_module", "__import__")
"""Functions that import a module by its name."""


@dataclass
class Sources:
    """The source files of one model.

    Attributes:
        folder: the folder of the model's file or package; None if all code is fcnbench's.
        package: the top-level modules of the model's distribution.
        files: digest of every source file by its path relative to the folder, or, for files outside of it, by
            `elsewhere:` and its module.
        before: names of the modules that were imported before the model.
        data: digest of every other file that the model's code read from its folder, by its relative path.
        opened: records those files.
        inactive: modules that were imported for the model and are replaced in `sys.modules` by another model's.
        inner: the source files of other models that the model's code has loaded.
    """

    folder: Path | None = None
    package: frozenset[str] = frozenset()
    files: dict[str, str] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    data: dict[str, str] = field(default_factory=dict)
    opened: OpenedFiles | None = None
    inactive: Mapping[str, ModuleType] = field(default_factory=dict)
    inner: list[Sources] = field(default_factory=list)
    _paths: dict[str, Path] = field(default_factory=dict)
    _included: set[tuple[int, str]] = field(default_factory=set)

    def add(self, name: str, path: Path) -> None:
        """Add a module's file with its current digest; a file that was added before keeps its digest."""
        shown = self._display_name(name, path)
        if shown not in self.files:
            with suppress(OSError):
                self.files[shown] = source_digest(path)
                self._paths[shown] = path
            for file in named_files(path):
                self._add_read_file(self._relative_name(file.relative_to(path.parent).as_posix(), file), file)

    def update(self) -> None:
        """Add what has been imported and read since the last call; built-in models have nothing to add."""
        for sources in self.inner:
            sources.update()
            self._include(sources)
        if self.folder is None and not self.package:
            return
        for name, module in [*self.inactive.items(), *sys.modules.copy().items()]:
            path = file_of(module)
            if path is not None and name not in _MAIN and self._owns(name, path):
                self.add(path.stem if name.startswith(PREFIX) else name, path)
        for name, path in ({} if self.opened is None else self.opened.take()).items():
            self._add_read_file(name, path)

    @property
    def pending(self) -> bool:
        """Whether files were opened since the last `update`."""
        return (self.opened is not None and self.opened.pending) or any(sources.pending for sources in self.inner)

    def _include(self, inner: Sources) -> None:
        """Add the files of another model that this one loads."""
        for name, digest in inner.files.items():
            path = inner._paths[name]
            if path not in self._paths.values():
                shown = _unused_name(self._relative_name(name, path), self.files)
                self.files[shown], self._paths[shown] = digest, path
        for name, digest in inner.data.items():
            if (id(inner), name) not in self._included:
                self._included.add((id(inner), name))
                self.data[_unused_name(f"{_ELSEWHERE}{name.removeprefix(_ELSEWHERE)}", self.data)] = digest

    def _add_read_file(self, name: str, path: Path) -> None:
        """Add a file that the model's code read: a source file if it is Python, otherwise data."""
        if not is_user_file(path):
            return
        with suppress(OSError):
            if path.suffix == ".py":  # executed without being imported
                self.files.setdefault(name, source_digest(path))
                self._paths.setdefault(name, path)
            else:
                self.data.setdefault(name, digest_file(path))

    def __bool__(self) -> bool:
        return bool(self.files)

    @property
    def digest(self) -> str:
        """Digest of all source files; empty if there are none."""
        return digest_lines(f"{name} {self.files[name]}" for name in sorted(self.files)) if self.files else ""

    @property
    def paths(self) -> list[Path]:
        """Paths of all source files."""
        return list(self._paths.values())

    def is_unchanged(self, name: str, digest: str) -> bool:
        """Return whether a file still has the digest that it had in an earlier run.

        A file that the model has not used yet in this process is searched in the folders that it may come from.

        Args:
            name: its name in `files` or `data`.
            digest: its digest then.
        """
        if name in self.files or name in self.data:
            return {**self.data, **self.files}[name] == digest
        inside = name.removeprefix(_ELSEWHERE)
        folders = [self.folder] if inside == name and self.folder is not None else _user_roots()
        return any(same_source(folder / inside, digest) for folder in folders) or any(
            sources.is_unchanged(inside, digest) for sources in self.inner
        )

    def _owns(self, name: str, path: Path) -> bool:
        return name.partition(".")[0] in self.package or (name not in self.before and is_user_file(path))

    def _display_name(self, module: str, path: Path) -> str:
        inside = module.replace(".", "/")
        return self._relative_name(
            f"{inside}/{path.name}" if path.stem == "__init__" else f"{inside}{path.suffix}", path
        )

    def _relative_name(self, name: str, path: Path) -> str:
        """Return the path of a file relative to the folder, or its name with the prefix `elsewhere:`."""
        if self.folder is not None and path.is_relative_to(self.folder):
            return path.relative_to(self.folder).as_posix()
        return f"{_ELSEWHERE}{name.removeprefix(_ELSEWHERE)}"


def _unused_name(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number where it is taken: two models may have files of the same name."""
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in taken else next(candidate for candidate in numbered if candidate not in taken)


def source_digest(path: Path) -> str:
    """Return the digest of a source file, which for Python files does not depend on line ends.

    Raises:
        OSError: it can't be read.
    """
    return digest_text(path) if path.suffix == ".py" else digest_file(path)


def same_source(path: Path, digest: str) -> bool:
    """Return whether a file exists and has this digest."""
    try:
        return source_digest(path) == digest
    except (OSError, ValueError):  # ValueError: not a valid path
        return False


def is_user_file(path: Path) -> bool:
    """Return whether a source file is the user's: not part of Python, fcnbench, or an installed package."""
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
    """Return the file of a module; None for built-in modules and objects that only resemble modules."""
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and file else None


def imported_files(path: Path) -> dict[str, Path]:
    """Return the files of the user's modules that a file imports, directly or indirectly, by module name.

    Nothing is executed; the import statements are read.

    Args:
        path: a Python file; modules beside it are found as for `python file.py`.
    """
    folder = path.resolve().parent
    roots = [folder, *_user_roots()]
    modules: dict[str, Path] = {}
    queue: list[tuple[str, Path]] = [("", path)]
    while queue:
        package, current = queue.pop()
        for name in _imported_names(current, package):
            for module, file in _resolved(name, roots):
                if module not in modules and file != path and is_user_file(file):
                    modules[module] = file
                    parent = module if file.name == "__init__.py" else module.rpartition(".")[0]
                    queue.append((parent, file))
    return modules


def _user_roots() -> list[Path]:
    """Return the folders of `sys.path` that may contain the user's modules."""
    folders = (Path(entry or ".") for entry in sys.path)
    return [folder for folder in folders if folder.is_dir() and is_user_file(folder)]


def _imported_names(path: Path, package: str) -> list[str]:
    """Return the absolute names that a file's import statements name; some may be attributes, not modules."""
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
    """Return whether Python finds a top-level module of this name, other than a folder without `__init__.py`."""
    if "." in name:
        return False
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None


def _resolved(name: str, roots: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the user's files that importing a module executes, by module name: its packages' and its own."""
    parts = name.split(".")
    for root in roots:
        if not any((root / f"{parts[0]}{ending}").is_file() for ending in (".py", "/__init__.py")) and (
            not (root / parts[0]).is_dir() or is_package(parts[0])
        ):
            continue
        folder = root
        for depth, part in enumerate(parts, start=1):
            package, file = folder / part / "__init__.py", folder / f"{part}.py"
            if package.is_file():
                yield ".".join(parts[:depth]), package
            elif file.is_file() and not (folder / part).is_dir():
                yield ".".join(parts[:depth]), file
            folder = folder / part
        return
