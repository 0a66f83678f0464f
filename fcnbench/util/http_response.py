"""What a server's answer to a request for a file, or for the rest of it, is worth.

Where no digest of a file is known, only the answer's headers tell whether the bytes are all of it and of one version:
so they have to say it, and agree with each other and with what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcnbench.util.archive import Archive

if TYPE_CHECKING:
    import requests

OK, PARTIAL, RANGE_REFUSED = 200, 206, 416
"""HTTP status codes: the whole file, the range asked for, no such range."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SIZE = re.compile(r"bytes \*/(\d+)")

_COMPRESSED = {"gzip": (".gz", ".tgz"), "x-gzip": (".gz", ".tgz")}
"""Content encodings that servers write for a file which itself is compressed so, and how its name ends then."""


class Failed(Exception):
    """A mirror failed; the message says how.

    Args:
        reason: what it did, for the user.
        again: whether another connection may help.
        stale: whether the bytes that arrived before can't be gone on with.
    """

    def __init__(self, reason: str, again: bool = False, stale: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        self.stale = stale


@dataclass(frozen=True)
class Kept:
    """What an earlier connection left.

    Attributes:
        arrived: bytes in the part file that can be gone on with; 0 where it begins from the start.
        validator: names the version of the file that they are of; empty where the server named none, or where they are
            from another mirror.
        size: bytes of the whole file, as the earlier answer told it; None where it did not.
        own: whether they are from the address that is asked now. Another mirror's are not dropped for its mistakes.
    """

    arrived: int = 0
    validator: str = ""
    size: int | None = None
    own: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers that ask for the rest."""
        if not self.arrived:
            return {}
        condition = {"If-Range": self.validator} if self.validator else {}
        return {"Range": f"bytes={self.arrived}-", **condition}


@dataclass(frozen=True)
class Body:
    """What an answer's body is.

    Attributes:
        start: where in the file it begins.
        end: where it ends; None where the server does not tell.
        total: bytes of the whole file; None where nobody tells.
    """

    start: int
    end: int | None
    total: int | None


def digest_known(archive: Archive) -> bool:
    """Whether a digest decides in the end, whatever the server said."""
    return bool(archive.digests or archive.also)


def body_of(answer: requests.Response, archive: Archive, kept: Kept) -> Body | None:
    """Return what an answer's body is; None when everything had arrived before.

    Raises:
        Failed: it is not the file, or not the part of it that was asked for.
    """
    if answer.status_code == RANGE_REFUSED and kept.arrived:
        _check_whole(answer, archive, kept)
        return None
    if answer.status_code not in (OK, PARTIAL):
        raise Failed(f"HTTP {answer.status_code} {answer.reason}")
    if "html" in answer.headers.get("Content-Type", "").casefold():
        raise Failed("answers with an HTML page in place of the archive")
    _check_encoding(answer, archive)
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    body = _part_of(answer, archive, kept, size) if answer.status_code == PARTIAL else Body(0, size, size)
    if archive.exact_size is not None and body.total not in (None, archive.exact_size):
        raise Failed(f"offers {body.total} bytes, expected {archive.exact_size}")
    total = body.total if body.total is not None else archive.exact_size
    chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").casefold()
    if total is None and not chunked and not digest_known(archive):
        raise Failed("does not say how many bytes the file has, and nobody published a digest of it")
    return Body(body.start, body.end, total)


def validator(answer: requests.Response) -> str:
    """What names this version of the file: a strong ETag, else the date; empty if the server tells neither."""
    tag = str(answer.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(answer.headers.get("Last-Modified", ""))


def _part_of(answer: requests.Response, archive: Archive, kept: Kept, size: int | None) -> Body:
    """Where the body of a 206 lies in the file."""
    told = answer.headers.get("Content-Range", "")
    found = _RANGE.fullmatch(told.strip())
    if not found or not kept.arrived or int(found[1]) != kept.arrived:
        asked = f"{kept.arrived}-" if kept.arrived else "the whole file"
        raise _unfit(f"answers with the range {told!r}, asked for {asked}", kept)
    start, end, total = int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])
    if end <= start or (total is not None and end > total) or size not in (None, end - start):
        raise _unfit(
            f"contradicts itself: the range {told!r} in a body of {'any' if size is None else size} bytes", kept
        )
    _check_version(answer, archive, kept, total)
    if total is None and archive.exact_size is None and not digest_known(archive):
        raise _unfit(f"answers with the range {told!r} and not with the file's size", kept)
    return Body(start, end, total)


def _check_version(answer: requests.Response, archive: Archive, kept: Kept, total: int | None) -> None:
    """Refuse to go on with another version of the file than the bytes that are there."""
    if kept.size is not None and total is not None and total != kept.size:
        raise _unfit(f"has another file now, of {total} bytes in place of {kept.size}", kept)
    if not kept.validator:
        return
    names = _validators(answer.headers)
    # Without a digest silence is not enough: a server that ignores the condition would send any version's rest.
    if (names or not digest_known(archive)) and kept.validator not in names:
        found = " and ".join(names) or "no version"
        raise _unfit(f"has another file now: {found}, expected {kept.validator}", kept)


def _check_whole(answer: requests.Response, archive: Archive, kept: Kept) -> None:
    """Check that nothing is missing after the bytes that are there, when the server has no range behind them."""
    found = _SIZE.fullmatch(answer.headers.get("Content-Range", "").strip())
    told = int(found[1]) if found else kept.size
    whole = archive.exact_size if archive.exact_size is not None else told
    names = _validators(answer.headers)
    other = bool(kept.validator and names and kept.validator not in names)
    if whole != kept.arrived or other or (told is not None and told != kept.arrived):
        size = "an unknown number of" if told is None else str(told)
        more = f" and is another one now: {' and '.join(names)}" if other else ""
        raise _unfit(f"has no range behind {kept.arrived} bytes, and the file has {size} bytes{more}", kept)


def _unfit(reason: str, kept: Kept) -> Failed:
    """The error for an answer that does not go on with the bytes that are there: the next one begins from the start."""
    return Failed(reason, again=kept.own, stale=kept.own)


def _validators(headers: Mapping[str, str]) -> list[str]:
    """Everything in an answer that names a version of the file."""
    return [headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)]


def _check_encoding(answer: requests.Response, archive: Archive) -> None:
    """Refuse bytes that the server packed on the way, where no digest tells what they should be."""
    encoding = answer.headers.get("Content-Encoding", "").strip().casefold()
    if encoding in ("", "identity") or digest_known(archive):
        return
    if not archive.file.casefold().endswith(_COMPRESSED.get(encoding, ())):
        raise Failed(f"sends {archive.file} packed as {encoding}, which was not asked for")
