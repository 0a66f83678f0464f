"""Download of the archives of a dataset: which alternative, after consent, from which mirror."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.errors import DataMissing
from fcnbench.util import paths
from fcnbench.util.consent import Download, require_consent
from fcnbench.util.console import track
from fcnbench.util.download import OFFLINE_VARIABLE, download, offline
from fcnbench.util.mirrors import MirrorStatus, check_mirror


def missing_archives(spec: DatasetSpec, names: Sequence[str]) -> list[Download]:
    """Return the archives of a dataset that are not on disk yet.

    Args:
        spec: the dataset.
        names: one of its alternatives: names of the archives that it needs.
    """
    wanted = (known_archives()[name] for name in names)
    return [
        Download(archive, paths.archives(), f"dataset {spec.name}", f"pass --from PATH with {spec.accepts}")
        for archive in wanted
        if not (paths.archives() / archive.file).is_file()
    ]


def fetch_archives(spec: DatasetSpec, accept_terms: bool) -> tuple[Path, ...]:
    """Download the archives of a dataset that are not on disk yet, and return their paths; empty without archives.

    Args:
        spec: the dataset; its alternatives are tried in order.
        accept_terms: whether the user agrees to the terms of the archives; remembered.

    Raises:
        DataMissing: the network is forbidden, the terms are not accepted, or all mirrors of an archive fail.
    """
    failures: list[str] = []
    for names in ordered_alternatives(spec):
        try:
            require_consent(missing_archives(spec, names), accept_terms)
        except DataMissing:
            if not failures:
                raise
            break  # the user agreed to the terms of an earlier alternative only
        try:
            return tuple(download(known_archives()[name], paths.archives()) for name in names)
        except DataMissing as failure:
            failures.append(failure.message)
    if failures:
        raise DataMissing(
            "\n".join(failures),
            f"try again later (received bytes are kept), or pass --from PATH with {spec.accepts}",
        )
    return ()


def ordered_alternatives(spec: DatasetSpec) -> list[tuple[str, ...]]:
    """Return the alternatives of a dataset's archives: those that are completely on disk first."""
    return sorted(spec.archives, key=lambda names: len(missing_archives(spec, names)) > 0)


def check_urls(names: tuple[str, ...] | None = None) -> dict[str, list[MirrorStatus]]:
    """Check every mirror of archives, and return the results by name of the archive.

    Args:
        names: names of the archives; None for all.

    Raises:
        DataMissing: the network is forbidden.
    """
    if offline():
        raise DataMissing(f"{OFFLINE_VARIABLE} forbids to check mirrors", f"unset {OFFLINE_VARIABLE}")
    chosen = {name: archive for name, archive in known_archives().items() if names is None or name in names}
    results: dict[str, list[MirrorStatus]] = {name: [] for name in chosen}
    requests = [(name, url) for name, archive in chosen.items() for url in archive.urls]
    for name, url in track(requests, "check", "mirror"):
        results[name].append(check_mirror(url, chosen[name]))
    return results
