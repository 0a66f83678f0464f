"""Names and what they stand for: built-ins as `"module:attribute"` strings, and other packages' entry points.

Listing names imports nothing of what they name. A plugin that can't be imported is named with its error when it is
asked for, and skipped everywhere else; `fcnbench doctor` lists it.
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
        name: what the user types.
        target: `"module:attribute"`.
        provider: the distribution that registered it, `fcnbench` for built-ins.
        version: version of that distribution, empty when unknown.
    """

    name: str
    target: str
    provider: str
    version: str


@dataclass(frozen=True)
class Broken:
    """A registered name that can't be used, and why."""

    entry: Entry
    reason: str


class Registry:
    """The names of one kind of thing: the built-in ones and those of an entry-point group.

    A built-in name wins over a plugin's; the plugin is then reported as broken. Two plugins that claim one name make
    that name broken, since neither can be guessed.

    Args:
        kind: what the names are, for messages: `model` or `data set`.
        group: the entry-point group, for example `fcnbench.models`.
        builtins: name to `"module:attribute"`.
        failure: the error to raise for a plugin that can't be imported.
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
        """Every usable name with its entry, built-ins first, then plugins by name."""
        return self._read()[0]

    def clashes(self) -> list[Broken]:
        """Plugins whose name is taken by a built-in or by another plugin."""
        return self._read()[1]

    def broken(self) -> list[Broken]:
        """Every plugin that can't be used: clashing names, and those whose import fails. Imports all plugins."""
        usable, found = self._read()
        for entry in usable.values():
            if entry.provider != "fcnbench":
                try:
                    self.load(entry.name)
                except self._failure as error:
                    found.append(Broken(entry, error.message))
        return found

    def find(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            UnknownName: no registry knows it; the error names the closest ones.
        """
        usable, clashes = self._read()
        if name in usable:
            return usable[name]
        for clash in clashes:
            if clash.entry.name == name:
                raise self._failure(clash.reason, "uninstall one of the packages, or ask its author for another name")
        by_small_letters = {known.lower(): known for known in usable}
        close = [by_small_letters[near] for near in difflib.get_close_matches(name.lower(), by_small_letters, 3, 0.5)]
        listing = f"fcnbench list {self.kind.replace(' ', '')}s"
        hint = f"did you mean {' or '.join(close)}? `{listing}` shows all" if close else f"`{listing}` shows all names"
        raise UnknownName(f"no {self.kind} is called {name!r}", hint)

    def load(self, name: str) -> Any:
        """Import what a name stands for.

        Raises:
            UnknownName: no registry knows the name.
            ModelPluginError, DatasetPluginError: its module can't be imported or lacks the attribute.
        """
        entry = self.find(name)
        try:
            point = EntryPoint(name, entry.target, self.group)
            if not point.attr:
                raise ImportError("it names a module and nothing in it")
            found: Any = point.load()
        # A plugin may fail in any way at all while it is imported, and even exit; it is reported under its name.
        except (Exception, SystemExit) as error:
            if entry.provider == "fcnbench":
                raise
            raise self._failure(
                f"the {self.kind} {name!r} of package {entry.provider} {entry.version} can't be loaded from "
                f"{entry.target}: {type(error).__name__}: {error}",
                f"repair or reinstall {entry.provider}; `fcnbench doctor` lists every broken plugin",
            ) from error
        return found

    def _read(self) -> tuple[dict[str, Entry], list[Broken]]:
        from fcnbench.util.version import __version__

        usable = {name: Entry(name, target, "fcnbench", __version__) for name, target in self._builtins.items()}
        clashes: list[Broken] = []
        plugins: dict[str, list[Entry]] = {}
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            entry = _entry_of(point)
            # One installation seen twice on sys.path (an editable install, say) is one plugin.
            if entry not in plugins.setdefault(point.name, []):
                plugins[point.name].append(entry)
        for name, claims in plugins.items():
            if name in usable:
                reason = f"the {self.kind} name {name!r} is built in; package {claims[0].provider} registers it again"
                clashes += [Broken(claim, reason) for claim in claims]
            elif len(claims) > 1:
                providers = " and ".join(claim.provider for claim in claims)
                reason = f"the {self.kind} name {name!r} is registered by {providers}"
                clashes += [Broken(claim, reason) for claim in claims]
            else:
                usable[name] = claims[0]
        return usable, clashes


def _entry_of(point: EntryPoint) -> Entry:
    distribution = point.dist
    if distribution is None:
        return Entry(point.name, point.value, "an unnamed package", "")
    return Entry(point.name, point.value, distribution.name, distribution.version)
