"""From a task to its archive: which one, under which terms, and the user's consent, which is remembered."""

from __future__ import annotations

import json
from pathlib import Path

from fcnbench.datasets.download import OFFLINE_VARIABLE, Mirror, check_mirror, download, offline
from fcnbench.datasets.sources import Archive, archives
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.errors import DataMissing
from fcnbench.ground import files, paths
from fcnbench.ground.console import followed
from fcnbench.ground.digests import digest_bytes
from fcnbench.ground.text import read_text


def fetch_archives(spec: DatasetSpec, accept_terms: bool) -> tuple[Path, ...]:
    """Have the archives of a task on disk; none for a task that has none to fetch.

    Args:
        spec: the task; its alternatives are tried in order, each with all the archives that it needs.
        accept_terms: the user agrees to the archives' terms; remembered for the next time.

    Raises:
        DataMissing: the network is forbidden, the terms are not accepted yet, or no mirror of any archive gave it.
    """
    failures: list[str] = []
    for names in spec.archives:
        wanted = [archives()[name] for name in names]
        for archive in wanted:
            if not (paths.archives() / archive.file).is_file():
                _require_leave(spec, archive, accept_terms)
        try:
            return tuple(download(archive, paths.archives()) for archive in wanted)
        except DataMissing as failure:
            failures.append(failure.message)
    if failures:
        raise DataMissing(
            "\n".join(failures),
            f"try again later (what arrived is kept and goes on), or pass --from PATH with {spec.accepts}",
        )
    return ()


def check_urls(names: tuple[str, ...] = ()) -> dict[str, list[Mirror]]:
    """What every mirror of the archives answers today, by the archive's name; all archives when none is named.

    Raises:
        DataMissing: the network is forbidden.
    """
    if offline():
        raise DataMissing(f"{OFFLINE_VARIABLE} forbids to ask the mirrors", f"unset {OFFLINE_VARIABLE}")
    chosen = {name: archive for name, archive in archives().items() if not names or name in names}
    answers: dict[str, list[Mirror]] = {name: [] for name in chosen}
    asked = [(name, url) for name, archive in chosen.items() for url in archive.urls]
    for name, url in followed(asked, "ask", "mirror"):
        answers[name].append(check_mirror(url, chosen[name]))
    return answers


def _require_leave(spec: DatasetSpec, archive: Archive, accept_terms: bool) -> None:
    """Check that the network may be used, and that the user agreed to the archive's terms, now or before."""
    own_copy = f"pass --from PATH with {spec.accepts}"
    if offline():
        raise DataMissing(
            f"{spec.name} is not in the local store, and {OFFLINE_VARIABLE} forbids to download it",
            f"{own_copy}, or unset {OFFLINE_VARIABLE}",
        )
    record = paths.home() / "consent.json"
    try:
        known = json.loads(read_text(record))
        agreed = {str(name): str(digest) for name, digest in known.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        agreed = {}
    terms = digest_bytes(archive.terms.encode())
    if agreed.get(archive.name) == terms:
        return
    if not accept_terms:
        raise DataMissing(
            f"{spec.name} is not in the local store, and {archive.file} comes under terms that you have not accepted "
            f"yet: {archive.terms}",
            f"add --accept-terms if you agree, to download it (it is remembered); or {own_copy}",
        )
    files.write_json(record, agreed | {archive.name: terms})
