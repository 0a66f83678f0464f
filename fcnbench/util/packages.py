"""Versions of the installed packages that are imported in this process."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_FOLDER = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-.*)?\.(dist-info|egg-info)")


def imported_packages() -> dict[str, str]:
    """Return name and version of all installed packages that this process has imported a module of.

    >>> "pytest" in imported_packages() or "pytest" not in sys.modules
    True
    """
    owners = _owners(tuple(sys.path))
    names = {owner for name in sys.modules.copy() if (owner := owners.get(name.partition(".")[0]))}
    return {name: installed_version(name) for name in sorted(names)}


def installed_version(package: str) -> str:
    """Return the version of an installed package; empty if it is not installed.

    >>> installed_version("no-such-package")
    ''
    """
    try:
        return version(package) or ""
    except (PackageNotFoundError, ValueError):  # ValueError: not a valid name
        return ""


def package_of(module: str) -> str:
    """Return the installed package that brings a module; empty where none does.

    >>> package_of("torch.nn")
    'torch'
    """
    return _owners(tuple(sys.path)).get(module.partition(".")[0], "")


def modules_of(package: str) -> frozenset[str]:
    """Return the names of the top-level modules of an installed package."""
    wanted = _normal(package)
    return frozenset(module for module, owner in _owners(tuple(sys.path)).items() if owner == wanted)


@cache
def _owners(path: tuple[str, ...]) -> dict[str, str]:
    """Return the package of each top-level module, from pip's records; importlib.metadata takes 0.3 s for it."""
    owners: dict[str, str] = {}
    for folder in path:
        with suppress(OSError):
            for entry in sorted(Path(folder or ".").glob("*-info")):
                if (match := _FOLDER.fullmatch(entry.name)) is not None:
                    for module in _modules(entry, match["name"]):
                        owners.setdefault(module, _normal(match["name"]))
    return owners


def _modules(entry: Path, name: str) -> Iterable[str]:
    with suppress(OSError):
        return (entry / "top_level.txt").read_text(encoding="utf-8").split()
    modules = {name, name.replace("-", "_")}
    with suppress(OSError), (entry / "RECORD").open(encoding="utf-8") as record:
        for line in record:
            first, _, rest = line.partition(",")[0].partition("/")
            if first.endswith(".py") and not rest:
                modules.add(first.removesuffix(".py"))
            elif rest and not first.endswith((".dist-info", "..")):
                modules.add(first)
    return modules


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
