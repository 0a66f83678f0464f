"""Downloads that wait for the user's consent: shown with size and terms, asked for on a terminal, remembered.

Consent is kept in `consent.json` in the home folder: the name of each archive, and the digest of the terms agreed to.
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
    """A file that is not here yet.

    Attributes:
        archive: the file, its mirrors, digests, size and terms.
        folder: where it will lie.
        purpose: what it is for: `dataset voc2011val`, `weights of fcn8s`.
        instead: what the user may pass in place of it, for messages.
    """

    archive: Archive
    folder: Path
    purpose: str
    instead: str


Question = Callable[[Sequence[Download]], bool]
"""Shows downloads to a person; true if the person agrees to their terms."""

_question: ContextVar[Question | None] = ContextVar("question", default=None)
"""How a person is asked; None where nobody is there to answer."""


@contextmanager
def asking(question: Question | None) -> Iterator[None]:
    """Ask in this way, inside the block, before anything is downloaded."""
    token = _question.set(question)
    try:
        yield
    finally:
        _question.reset(token)


@contextmanager
def accepting(accept_terms: bool) -> Iterator[None]:
    """Agree to whatever is downloaded inside the block, where the user said so beforehand."""
    if not accept_terms:
        yield
        return
    with asking(lambda downloads: True):
        yield


def require_consent(downloads: Sequence[Download], accept_terms: bool) -> None:
    """Make sure that files may be downloaded: the network is allowed, and the user agreed to their terms.

    Args:
        downloads: the files; none of them is an error of its own.
        accept_terms: the user agrees to all of them, now; remembered.

    Raises:
        DataMissing: the network is forbidden, or the user has not agreed.
        OutputError: the agreement could not be written down.
    """
    if not downloads:
        return
    wanted = " and ".join(dict.fromkeys(each.purpose for each in downloads))
    names = listed([each.archive.file for each in downloads])
    instead = ", and ".join(dict.fromkeys(each.instead for each in downloads))
    if offline():
        raise DataMissing(
            f"{wanted}: {names} would have to be downloaded, and {OFFLINE_VARIABLE} forbids it",
            f"{instead}, or unset {OFFLINE_VARIABLE}",
        )
    agreed = _agreed()
    pending = [each for each in downloads if agreed.get(each.archive.name) != terms_digest(each.archive)]
    if not pending:
        return
    question = _question.get()
    if not accept_terms and question is not None:
        if not question(pending):
            raise DataMissing(f"nothing was downloaded: you did not agree to the terms of {names}", instead)
    elif not accept_terms:
        terms = "; ".join(dict.fromkeys(f"{each.archive.file}: {each.archive.terms}" for each in pending))
        raise DataMissing(
            f"{wanted} must be downloaded, under terms that you have not accepted yet. {terms}",
            "add --accept-terms if you agree (in Python accept_terms=True; it is remembered); --dry-run shows sizes "
            f"and addresses; or {instead}",
        )
    record = paths.home() / "consent.json"
    # Other processes may have written agreements since they were read.
    with files.locked(record.with_suffix(".lock")):
        files.write_json(record, _agreed() | {each.archive.name: terms_digest(each.archive) for each in pending})
    note(f"consent  {record}")


def terms_digest(archive: Archive) -> str:
    """Return the digest of an archive's terms: other terms need another consent."""
    return digest_bytes(archive.terms.encode())


def _agreed() -> dict[str, str]:
    """The terms agreed to so far, by archive; a damaged file only asks again."""
    try:
        known = json.loads(read_text(paths.home() / "consent.json"))
        return {str(name): str(digest) for name, digest in known.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
