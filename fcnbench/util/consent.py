"""Consent to the terms of downloads: asked for on a terminal, or given by an option, and remembered.

`consent.json` in the home folder holds the name of each archive and the digest of the accepted terms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from fcnbench.errors import DataMissing
from fcnbench.util import files, paths
from fcnbench.util.archive import Archive
from fcnbench.util.console import listed, note
from fcnbench.util.digests import digest_bytes
from fcnbench.util.download import OFFLINE_VARIABLE, offline
from fcnbench.util.text import read_text


@dataclass(frozen=True)
class Download:
    """A file that has to be downloaded.

    Attributes:
        archive: the file, with mirrors, digests, size and terms.
        folder: the folder to save it in.
        purpose: its use, such as `dataset voc2011val` or `weights of fcn8s`.
        instead: an alternative to the download, as an instruction to the user.
    """

    archive: Archive
    folder: Path
    purpose: str
    instead: str


Question = Callable[[Sequence[Download]], bool]
"""Shows downloads to the user; returns whether the user agrees to their terms."""

_question: ContextVar[Question | None] = ContextVar("question", default=None)
"""Asks the user; None if the process is not interactive."""


@contextmanager
def asking(question: Question | None) -> Iterator[None]:
    """Use `question` to ask for consent before downloads inside the block."""
    token = _question.set(question)
    try:
        yield
    finally:
        _question.reset(token)


@contextmanager
def accepting(accept_terms: bool) -> Iterator[None]:
    """Agree to the terms of all downloads inside the block, if `accept_terms`."""
    if not accept_terms:
        yield
        return
    with asking(lambda downloads: True):
        yield


def require_consent(downloads: Sequence[Download], accept_terms: bool) -> None:
    """Check that files may be downloaded: the network is allowed, and the user has agreed to their terms.

    Args:
        downloads: the files; may be empty.
        accept_terms: whether the user agrees to the terms of all of them; remembered.

    Raises:
        DataMissing: the network is forbidden, or the user has not agreed.
        OutputError: the consent could not be saved.
    """
    if not downloads:
        return
    wanted = " and ".join(dict.fromkeys(download.purpose for download in downloads))
    names = listed([download.archive.file for download in downloads])
    instead = ", and ".join(dict.fromkeys(download.instead for download in downloads))
    if offline():
        raise DataMissing(
            f"{wanted}: {names} would have to be downloaded, and {OFFLINE_VARIABLE} forbids it",
            f"{instead}, or unset {OFFLINE_VARIABLE}",
        )
    agreed = _agreed()
    pending = [
        download for download in downloads if agreed.get(download.archive.name) != terms_digest(download.archive)
    ]
    if not pending:
        return
    question = _question.get()
    if not accept_terms and question is not None:
        if not question(pending):
            raise DataMissing(f"nothing was downloaded: you did not agree to the terms of {names}", instead)
    elif not accept_terms:
        terms = "; ".join(dict.fromkeys(f"{download.archive.file}: {download.archive.terms}" for download in pending))
        raise DataMissing(
            f"{wanted} must be downloaded, under terms that you have not accepted yet. {terms}",
            "add --accept-terms if you agree (in Python accept_terms=True; it is remembered); --dry-run shows sizes "
            f"and addresses; or {instead}",
        )
    record = paths.home() / "consent.json"
    # Other processes may have saved consents meanwhile.
    with files.locked(record.with_suffix(".lock")):
        files.write_json(
            record, _agreed() | {download.archive.name: terms_digest(download.archive) for download in pending}
        )
    note(f"consent  {record}")


def terms_digest(archive: Archive) -> str:
    """Return the digest of an archive's terms: changed terms need a new consent."""
    return digest_bytes(archive.terms.encode())


def _agreed() -> dict[str, str]:
    """Return the digests of accepted terms by archive; empty if the file is damaged: then the user is asked again."""
    try:
        known = json.loads(read_text(paths.home() / "consent.json"))
        return {str(name): str(digest) for name, digest in known.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
