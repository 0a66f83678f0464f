"""The identity of a run: everything that can change an image's integers. Stored results are reused under an equal one.

What is known before the first image names the journal. What turns out later, modules that are imported only then, is
written into it, and must still be so when the journal is read again.
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
class Witness:
    """Notes what takes part in a run: the user's source files and the versions of the imported packages.

    Attributes:
        sources: the model's source files.
        facts: what was noted so far, by name.
    """

    sources: Sources
    facts: dict[str, str] = field(default_factory=dict)
    _modules: int = 0

    def news(self) -> dict[str, str]:
        """Return what takes part since the last call: digests of files and versions of packages."""
        if len(sys.modules) == self._modules and not self.sources.pending:
            return {}
        self._modules = len(sys.modules)
        if self.sources:
            self.sources.update()
            remember(self.sources)
        now = {f"{_SOURCE}{name}": digest for name, digest in self.sources.files.items()}
        now |= {f"{_DATA}{name}": digest for name, digest in self.sources.data.items()}
        now |= {f"{_PACKAGE}{name}": version for name, version in imported_packages().items()}
        found = {name: value for name, value in now.items() if name not in self.facts}
        self.facts |= found
        return found

    def departure(self, facts: Mapping[str, str]) -> str:
        """Return the first of an earlier run's facts that is not so now, as a sentence; empty where all are."""
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


def departure(identity: Identity, parts: Mapping[str, str], witness: Witness) -> str:
    """Return the first difference between an earlier run's identity and a new run, as a sentence; empty where none is.

    Args:
        identity: of the earlier run.
        parts: what is known of the new run before its first image.
        witness: of the new run.
    """
    # The file is named where one can be, and else the part of the identity.
    if identity.parts.get("code") != parts.get("code") and (text := witness.departure(identity.facts)):
        return text
    for name in parts:
        if identity.parts.get(name) != parts[name]:
            return f"{name} has changed"
    return witness.departure(identity.facts)


def content_digest(text: str | None) -> str:
    """Return the digest of what `--weights` names: a file, or all files of a folder; empty where it is not a path."""
    if text is None:
        return ""
    path = Path(text)
    if path.is_file():
        return digest_file(path)
    if path.is_dir() and path.is_absolute():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return digest_lines(f"{each.relative_to(path).as_posix()} {digest_file(each)}" for each in files)
    return ""
