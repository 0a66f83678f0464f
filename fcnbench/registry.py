"""Registries of models and datasets by name: built-in ones, and those that other packages add by entry points.

Names map to `"module:attribute"` strings, so that listing them imports nothing. A plugin that can't be imported raises
an error when it is requested by name, and is skipped elsewhere; `fcnbench doctor` lists it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fcnbench.errors import DatasetPluginError, ModelPluginError, UnknownName


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        name: name on the command line.
        target: `"module:attribute"`.
        provider: the distribution that registered the name, `fcnbench` for built-in ones.
        version: version of the distribution; empty if unknown.
    """

    name: str
    target: str
    provider: str
    version: str


@dataclass(frozen=True)
class BrokenEntry:
    """A registered name that can't be used, and the reason."""

    entry: Entry
    reason: str


class Registry:
    """Registered names of one kind: built-in ones and those of an entry-point group.

    A plugin can't replace a built-in name, and a name that two plugins register can't be used; both are reported as
    broken.

    Args:
        kind: `model` or `dataset`, for messages.
        group: the entry-point group, for example `fcnbench.models`.
        builtins: name to `"module:attribute"`.
        failure: the error class to raise for a plugin that can't be imported.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtins: Mapping[str, str],
        failure: type[ModelPluginError] | type[DatasetPluginError],
    ) -> None:
        self.kind = kind
        self.group = group
        self._builtins = dict(builtins)
        self._failure = failure

    def entries(self) -> dict[str, Entry]:
        """Return the usable entries by name: built-in ones first, then plugins in alphabetical order."""
        return self._read()[0]

    def clashes(self) -> list[BrokenEntry]:
        """Return the plugins whose name is built in, or registered by another plugin too."""
        return self._read()[1]

    def broken(self) -> list[BrokenEntry]:
        """Import all plugins, and return those that can't be used: names that clash, and failed imports."""
        usable, broken = self._read()
        for entry in usable.values():
            if entry.provider != "fcnbench":
                try:
                    self.load(entry.name)
                except self._failure as error:
                    broken.append(BrokenEntry(entry, error.message))
        return broken

    def find(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            UnknownName: the name is not registered; the error suggests similar names.
            ModelPluginError, DatasetPluginError: several packages register it.
        """
        usable, clashes = self._read()
        if name in usable:
            return usable[name]
        for clash in clashes:
            if clash.entry.name == name:
                raise self._failure(clash.reason, "uninstall one of the packages, or ask its author for another name")
        by_lower_case = {known.lower(): known for known in usable}
        close = [by_lower_case[near] for near in difflib.get_close_matches(name.lower(), by_lower_case, 3, 0.5)]
        listing = f"fcnbench list {self.kind}s"
        hint = f"did you mean {' or '.join(close)}? `{listing}` shows all" if close else f"`{listing}` shows all names"
        raise UnknownName(f"no {self.kind} is called {name!r}", hint)

    def load(self, name: str) -> Any:
        """Import and return the object that a name stands for.

        Raises:
            UnknownName: the name is not registered.
            ModelPluginError, DatasetPluginError: its module can't be imported, or lacks the attribute.
        """
        entry = self.find(name)
        try:
            point = EntryPoint(name, entry.target, self.group)
            if not point.attr:
                raise ImportError("the entry point names a module without an attribute in it")
            loaded: Any = point.load()
        # The import of a plugin may fail in any way, and may even exit.
        except (Exception, SystemExit) as error:
            if entry.provider == "fcnbench":
                raise
            raise self._failure(
                f"the {self.kind} {name!r} of package {entry.provider} {entry.version} can't be loaded from "
                f"{entry.target}: {type(error).__name__}: {error}",
                f"repair or reinstall {entry.provider}; `fcnbench doctor` lists every broken plugin",
            ) from error
        return loaded

    def _read(self) -> tuple[dict[str, Entry], list[BrokenEntry]]:
        from fcnbench.util.version import __version__

        usable = {name: Entry(name, target, "fcnbench", __version__) for name, target in self._builtins.items()}
        clashes: list[BrokenEntry] = []
        plugins: dict[str, list[Entry]] = {}
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            entry = _entry_of(point)
            # An installation may be on sys.path twice, for example an editable one; it is one plugin.
            if entry not in plugins.setdefault(point.name, []):
                plugins[point.name].append(entry)
        for name, claims in plugins.items():
            if name in usable:
                reason = f"the {self.kind} name {name!r} is built in; package {claims[0].provider} registers it again"
                clashes += [BrokenEntry(claim, reason) for claim in claims]
            elif len(claims) > 1:
                providers = " and ".join(claim.provider for claim in claims)
                reason = f"the {self.kind} name {name!r} is registered by {providers}"
                clashes += [BrokenEntry(claim, reason) for claim in claims]
            else:
                usable[name] = claims[0]
        return usable, clashes


def _entry_of(point: EntryPoint) -> Entry:
    distribution = point.dist
    if distribution is None:
        return Entry(point.name, point.value, "an unnamed package", "")
    return Entry(point.name, point.value, distribution.name, distribution.version)
