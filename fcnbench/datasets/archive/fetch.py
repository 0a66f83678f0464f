"""From a dataset's name to its archives on disk: which of them, with whose consent, from which mirror."""

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
    """Return those of a dataset's archives that are not on disk yet.

    Args:
        spec: the dataset.
        names: one of its alternatives: names of archives that it needs together.
    """
    wanted = (known_archives()[name] for name in names)
    return [
        Download(archive, paths.archives(), f"dataset {spec.name}", f"pass --from PATH with {spec.accepts}")
        for archive in wanted
        if not (paths.archives() / archive.file).is_file()
    ]


def fetch_archives(spec: DatasetSpec, accept_terms: bool) -> tuple[Path, ...]:
    """Download the archives of a dataset that are not on disk yet; none for a dataset that has none.

    Args:
        spec: the dataset; its alternatives are tried in order, each with all the archives that it needs.
        accept_terms: the user agrees to the archives' terms; remembered for the next time.

    Raises:
        DataMissing: the network is forbidden, the terms are not accepted yet, or no mirror of any archive gave it.
    """
    failures: list[str] = []
    for names in ordered_alternatives(spec):
        try:
            require_consent(missing_archives(spec, names), accept_terms)
        except DataMissing:
            if not failures:
                raise
            break  # the user agreed to the first archives alone
        try:
            return tuple(download(known_archives()[name], paths.archives()) for name in names)
        except DataMissing as failure:
            failures.append(failure.message)
    if failures:
        raise DataMissing(
            "\n".join(failures),
            f"try again later (what arrived is kept and goes on), or pass --from PATH with {spec.accepts}",
        )
    return ()


def ordered_alternatives(spec: DatasetSpec) -> list[tuple[str, ...]]:
    """Return the alternatives of a dataset's archives, what is on disk already first, else in the given order."""
    return sorted(spec.archives, key=lambda names: len(missing_archives(spec, names)) > 0)


def check_urls(names: tuple[str, ...] = ()) -> dict[str, list[MirrorStatus]]:
    """What every mirror of the archives answers today, by the archive's name; all archives when none is named.

    Raises:
        DataMissing: the network is forbidden.
    """
    if offline():
        raise DataMissing(f"{OFFLINE_VARIABLE} forbids to ask the mirrors", f"unset {OFFLINE_VARIABLE}")
    chosen = {name: archive for name, archive in known_archives().items() if not names or name in names}
    answers: dict[str, list[MirrorStatus]] = {name: [] for name in chosen}
    asked = [(name, url) for name, archive in chosen.items() for url in archive.urls]
    for name, url in track(asked, "ask", "mirror"):
        answers[name].append(check_mirror(url, chosen[name]))
    return answers
