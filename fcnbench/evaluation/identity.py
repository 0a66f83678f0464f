"""The identity of a run: everything that can change an image's integers. Results are reused only if it is equal.

The parts that are known before the first image name the journal. Modules that are imported, and files that are read,
only later are written into the journal, and must be unchanged when it is read again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fcnbench.models.code.model_file import remember
from fcnbench.models.code.source_files import Sources
from fcnbench.records.identity import Identity
from fcnbench.util.digests import digest_file, digest_lines
from fcnbench.util.packages import imported_packages, installed_version

_SOURCE, _DATA, _PACKAGE = "source ", "read ", "package "


@dataclass
class DependencyTracker:
    """Tracks what a run depends on: the user's source files, the files they read, and the versions of packages.

    Attributes:
        sources: the model's source files.
        facts: digests and versions recorded so far, by name.

    >>> tracker = DependencyTracker(Sources())
    >>> "package numpy" in tracker.update(), tracker.update()
    (True, {})
    """

    sources: Sources
    facts: dict[str, str] = field(default_factory=dict)
    _modules: int = 0

    def update(self) -> dict[str, str]:
        """Record new dependencies, and return those since the last call: digests of files, versions of packages."""
        if len(sys.modules) == self._modules and not self.sources.pending:
            return {}
        self._modules = len(sys.modules)
        if self.sources:
            self.sources.update()
            remember(self.sources)
        current = {f"{_SOURCE}{name}": digest for name, digest in self.sources.files.items()}
        current |= {f"{_DATA}{name}": digest for name, digest in self.sources.data.items()}
        current |= {f"{_PACKAGE}{name}": version for name, version in imported_packages().items()}
        new = {name: value for name, value in current.items() if name not in self.facts}
        self.facts |= new
        return new

    def difference(self, facts: Mapping[str, str]) -> str:
        """Return the first of an earlier run's facts that has changed, as a sentence; empty where none has."""
        for name, value in facts.items():
            if name.startswith((_SOURCE, _DATA)):
                file = name.partition(" ")[2]
                if not self.sources.is_unchanged(file, value):
                    return f"{file} has changed"
            elif name.startswith(_PACKAGE):
                package = name.removeprefix(_PACKAGE)
                if (installed := installed_version(package)) != value:
                    return f"{package} was {value} and is {installed or 'not installed'}"
        return ""


def identity_difference(identity: Identity, parts: Mapping[str, str], tracker: DependencyTracker) -> str:
    """Return the first difference between an earlier run's identity and a new run, as a sentence; empty without one.

    Args:
        identity: identity of the earlier run.
        parts: parts of the new run's identity that are known before its first image.
        tracker: dependencies of the new run.

    >>> earlier = Identity({"data": "a"}, {})
    >>> identity_difference(earlier, {"data": "b"}, DependencyTracker(Sources()))
    'data has changed'
    """
    # Name the source file if one has changed, else the part of the identity.
    if identity.parts.get("code") != parts.get("code") and (text := tracker.difference(identity.facts)):
        return text
    for name in parts:
        if identity.parts.get(name) != parts[name]:
            return f"{name} has changed"
    return tracker.difference(identity.facts)


def content_digest(text: str | None) -> str:
    """Return the digest of the file or folder that `--weights` names; empty where it is not a path.

    >>> content_digest("random:0")
    ''
    """
    if text is None:
        return ""
    path = Path(text)
    if path.is_file():
        return digest_file(path)
    if path.is_dir() and path.is_absolute():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return digest_lines(f"{file.relative_to(path).as_posix()} {digest_file(file)}" for file in files)
    return ""
