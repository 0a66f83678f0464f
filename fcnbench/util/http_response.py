"""Checks of a server's response to a request for a file, or for the rest of a partly downloaded file.

If no digest of the file is known, only the headers show whether the bytes are complete and belong to one version of the
file. Then the headers must state it, and agree with each other and with the request.
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
"""HTTP status codes: the whole file, the requested range, no such range."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SIZE = re.compile(r"bytes \*/(\d+)")

_COMPRESSED = {"gzip": (".gz", ".tgz"), "x-gzip": (".gz", ".tgz")}
"""Content encodings that servers declare for files which are themselves compressed, with the endings of their names."""


class MirrorError(Exception):
    """Failure of one mirror.

    Args:
        reason: description of the failure, for the user.
        retry: whether another connection may succeed.
        stale: whether the bytes of earlier attempts can't be continued.
    """

    def __init__(self, reason: str, retry: bool = False, stale: bool = False) -> None:
        super().__init__(reason)
        self.retry = retry
        self.stale = stale


@dataclass(frozen=True)
class PartialDownload:
    """The bytes that earlier connections received.

    Attributes:
        arrived: bytes in the part file that can be continued; 0 for a download from the start.
        validator: ETag or date of the version of the file; empty if the server sent none, or if the bytes come from
            another mirror.
        size: bytes of the whole file according to the earlier response; None if unknown.
        same_mirror: whether the bytes come from the address that is requested now. Bytes from another mirror are not
            discarded when this one fails.
    """

    arrived: int = 0
    validator: str = ""
    size: int | None = None
    same_mirror: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the request for the rest of the file."""
        if not self.arrived:
            return {}
        condition = {"If-Range": self.validator} if self.validator else {}
        return {"Range": f"bytes={self.arrived}-", **condition}


@dataclass(frozen=True)
class BodyRange:
    """The range of the file that the body of a response holds.

    Attributes:
        start: offset of the first byte in the file.
        end: offset after the last byte; None if the server does not state it.
        total: bytes of the whole file; None if unknown.
    """

    start: int
    end: int | None
    total: int | None


def digest_known(archive: Archive) -> bool:
    """Return whether a digest of the file is known, so that the content can be checked after the download."""
    return bool(archive.digests or archive.also)


def check_response(response: requests.Response, archive: Archive, kept: PartialDownload) -> BodyRange | None:
    """Return the range that the body of a response holds; None if all bytes had been received before.

    Raises:
        MirrorError: the body is not the file, or not the requested part of it.
    """
    if response.status_code == RANGE_REFUSED and kept.arrived:
        _check_whole(response, archive, kept)
        return None
    if response.status_code not in (OK, PARTIAL):
        raise MirrorError(f"HTTP {response.status_code} {response.reason}")
    if "html" in response.headers.get("Content-Type", "").casefold():
        raise MirrorError("sends an HTML page instead of the archive")
    _check_encoding(response, archive)
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    body = _range_of(response, archive, kept, size) if response.status_code == PARTIAL else BodyRange(0, size, size)
    if archive.exact_size is not None and body.total not in (None, archive.exact_size):
        raise MirrorError(f"offers {body.total} bytes, expected {archive.exact_size}")
    total = body.total if body.total is not None else archive.exact_size
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").casefold()
    if total is None and not chunked and not digest_known(archive):
        raise MirrorError("does not say how many bytes the file has, and nobody published a digest of it")
    return BodyRange(body.start, body.end, total)


def validator(response: requests.Response) -> str:
    """Return the version of the file: a strong ETag, or the date; empty if the server sent neither."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(response.headers.get("Last-Modified", ""))


def _range_of(response: requests.Response, archive: Archive, kept: PartialDownload, size: int | None) -> BodyRange:
    """Return the range of a response with status 206."""
    header = response.headers.get("Content-Range", "")
    match = _RANGE.fullmatch(header.strip())
    if not match or not kept.arrived or int(match[1]) != kept.arrived:
        requested = f"{kept.arrived}-" if kept.arrived else "the whole file"
        raise _unfit(f"sends the range {header!r}, requested {requested}", kept)
    start, end, total = int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3])
    if end <= start or (total is not None and end > total) or size not in (None, end - start):
        raise _unfit(
            f"contradicts itself: the range {header!r} in a body of {'any' if size is None else size} bytes", kept
        )
    _check_version(response, archive, kept, total)
    if total is None and archive.exact_size is None and not digest_known(archive):
        raise _unfit(f"sends the range {header!r} without the size of the file", kept)
    return BodyRange(start, end, total)


def _check_version(response: requests.Response, archive: Archive, kept: PartialDownload, total: int | None) -> None:
    """Check that the response is of the same version of the file as the received bytes."""
    if kept.size is not None and total is not None and total != kept.size:
        raise _unfit(f"has another file now, of {total} bytes instead of {kept.size}", kept)
    if not kept.validator:
        return
    names = _validators(response.headers)
    # Without a digest, a version is required: a server that ignores If-Range would send the rest of any version.
    if (names or not digest_known(archive)) and kept.validator not in names:
        version = " and ".join(names) or "no version"
        raise _unfit(f"has another file now: {version}, expected {kept.validator}", kept)


def _check_whole(response: requests.Response, archive: Archive, kept: PartialDownload) -> None:
    """Check that the received bytes are the whole file, if the server has no range after them."""
    match = _SIZE.fullmatch(response.headers.get("Content-Range", "").strip())
    stated = int(match[1]) if match else kept.size
    whole = archive.exact_size if archive.exact_size is not None else stated
    names = _validators(response.headers)
    other = bool(kept.validator and names and kept.validator not in names)
    if whole != kept.arrived or other or (stated is not None and stated != kept.arrived):
        size = "an unknown number of" if stated is None else str(stated)
        more = f" and is another one now: {' and '.join(names)}" if other else ""
        raise _unfit(f"has no range after {kept.arrived} bytes, and the file has {size} bytes{more}", kept)


def _unfit(reason: str, kept: PartialDownload) -> MirrorError:
    """Return the error for a response that does not continue the received bytes: the next attempt starts over."""
    return MirrorError(reason, retry=kept.same_mirror, stale=kept.same_mirror)


def _validators(headers: Mapping[str, str]) -> list[str]:
    """Return all headers of a response that name a version of the file."""
    return [headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)]


def _check_encoding(response: requests.Response, archive: Archive) -> None:
    """Check that the server did not compress the file for the transfer, if no digest is known."""
    encoding = response.headers.get("Content-Encoding", "").strip().casefold()
    if encoding in ("", "identity") or digest_known(archive):
        return
    if not archive.file.casefold().endswith(_COMPRESSED.get(encoding, ())):
        raise MirrorError(f"sends {archive.file} compressed as {encoding}, which was not requested")
