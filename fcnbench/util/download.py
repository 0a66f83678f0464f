"""Download of one archive: mirrors in order, resume across processes, digests computed while streaming.

Received bytes are kept in `<file>.part`, and their origin in `<file>.part.json`. The next attempt requests the rest, or
starts over if the server can't send it or the file has changed. The part file gets the name of the archive only if all
digests agree. requests is imported on first use.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.errors import DataMissing, OutputError
from fcnbench.util import files
from fcnbench.util.archive import Archive
from fcnbench.util.console import note, progress
from fcnbench.util.http_response import (
    BodyRange,
    MirrorError,
    PartialDownload,
    check_response,
    digest_known,
    validator,
)
from fcnbench.util.mirrors import TIMEOUT, describe_failure, open_session
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import hashlib

    import requests

OFFLINE_VARIABLE = "FCNBENCH_OFFLINE"
"""Environment variable that forbids network access if it is set to anything but 0."""

_CHUNK = 1 << 18
"""Bytes per read from the connection."""

_ATTEMPTS = 3
"""Connections to one mirror in a row; each continues where the last one broke off."""

Hashers = dict[str, "hashlib._Hash"]
"""Hash objects by algorithm, one per known digest."""


def offline() -> bool:
    """Return whether the user forbids network access."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def download(archive: Archive, folder: Path, option: str = "--from") -> Path:
    """Download an archive into a folder, unless it is there already, and return its path.

    Mirrors are tried in order. Processes that need the same archive wait for each other.

    Args:
        archive: the archive.
        folder: the folder to save it in.
        option: the command-line option that takes a local copy, for messages.

    Raises:
        DataMissing: no mirror sent the archive (the message lists all failures), or the network is forbidden.
        OutputError: the folder is not writable, or the disk is too small.
    """
    target = folder / archive.file
    if target.is_file() and not _origin_file(target).exists():
        return target
    if offline() and not target.is_file():
        raise DataMissing(
            f"{archive.file} is not in {folder}, and {OFFLINE_VARIABLE} forbids to download it",
            f"pass your own copy with {option}, or unset {OFFLINE_VARIABLE}",
        )
    with files.locked(folder / f"{archive.file}.lock"):
        files.remove_leftovers(folder, archive.file)
        if target.is_file():  # another process downloaded it meanwhile, or was killed in its last step
            _origin_file(target).unlink(missing_ok=True)
            return target
        _check_space(archive, target)
        failures = []
        for url in archive.urls:
            try:
                _fetch_from(archive, url, target)
            except MirrorError as failure:
                failures.append(f"  {url}: {failure}")
                note(f"{archive.file}: {url} failed: {failure}")
            else:
                return target
    raise DataMissing(
        f"no mirror sent {archive.file}:\n" + "\n".join(failures),
        f"try again later (received bytes are kept), or get the file elsewhere and pass it with {option}",
    )


def _fetch_from(archive: Archive, url: str, target: Path) -> None:
    """Download from one mirror, over several connections if they break."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch_once(archive, url, target)
        except MirrorError as failure:
            if not failure.retry or attempt == _ATTEMPTS:
                raise
        else:
            return


def _fetch_once(archive: Archive, url: str, target: Path) -> None:
    """Download the missing bytes over one connection; on success the file has the name of the archive."""
    import requests

    part, origin = _part_file(target), _origin_file(target)
    kept = _resumable(archive, url, part, origin)
    try:
        with (
            open_session() as session,
            session.get(url, headers=kept.headers, stream=True, timeout=TIMEOUT) as response,
        ):
            body = check_response(response, archive, kept)
            hashers = archive.hashers()
            with _output_errors(part):
                _hash_part_file(part, kept.arrived if body is None else body.start, hashers)
                if body is not None:
                    files.write_json(origin, {"url": url, "validator": validator(response), "size": body.total})
                    _stream(archive, response, part, body, hashers)
    except requests.RequestException as error:
        raise MirrorError(describe_failure(error), retry=True) from error
    except MirrorError as failure:
        if failure.stale:
            _discard(part, origin)
        raise
    _publish(archive, hashers, part, origin, target)


def _resumable(archive: Archive, url: str, part: Path, origin: Path) -> PartialDownload:
    """Return the state of an earlier attempt, as far as this mirror can continue it.

    If size and digest are published, bytes from any mirror can be continued. Otherwise only the same address can
    continue, and only if it names a version of the file.
    """
    nothing = PartialDownload()
    try:
        arrived = part.stat().st_size
        known = json.loads(read_text(origin))
        same = known["url"] == url and isinstance(known["validator"], str)
        size = known.get("size")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return nothing
    if not arrived or (archive.exact_size is not None and arrived > archive.exact_size):
        return nothing
    if same and known["validator"]:
        return PartialDownload(arrived, known["validator"], size if type(size) is int else None, same_mirror=True)
    checkable = archive.exact_size is not None and digest_known(archive)
    return PartialDownload(arrived, same_mirror=same) if checkable else nothing


def _stream(archive: Archive, response: requests.Response, part: Path, body: BodyRange, hashers: Hashers) -> None:
    """Append the raw body (a content encoding is not decoded) to the part file, and update the hashes."""
    import urllib3

    arrived, total = body.start, body.total
    end = total if body.end is None else body.end
    known = f" of {total} bytes" if total is not None else " bytes"
    with part.open("r+b" if arrived else "wb") as stream, progress(total, archive.file, "byte", arrived) as bar:
        stream.seek(arrived)
        stream.truncate()
        try:
            while chunk := response.raw.read(_CHUNK, decode_content=False):
                arrived += len(chunk)
                if end is not None and arrived > end:
                    raise MirrorError(f"sends more than the {end} bytes expected", stale=not digest_known(archive))
                stream.write(chunk)
                for hasher in hashers.values():
                    hasher.update(chunk)
                bar.update(len(chunk))
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise MirrorError(f"stopped sending after {arrived}{known}", retry=True) from error
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise MirrorError(f"broke off after {arrived}{known}", retry=True) from error
    if total is not None and arrived < total:
        raise MirrorError(f"broke off after {arrived}{known}", retry=True)


def _publish(archive: Archive, hashers: Hashers, part: Path, origin: Path, target: Path) -> None:
    """Rename the part file to the archive if the digests agree and it is not an HTML page; delete it otherwise."""
    with part.open("rb") as stream:
        head = stream.read(256).removeprefix(BOM_UTF8).lstrip()
    # Neither archives nor weights begin with a tag.
    page = re.match(rb"<[!?a-zA-Z]", head) is not None
    if (wrong := archive.mismatch(hashers)) or (page and not digest_known(archive)):
        _discard(part, origin)
        raise MirrorError("sent " + ": ".join(["an HTML page instead of the archive"] * page + [wrong] * bool(wrong)))
    with _output_errors(target):
        part.replace(target)
    origin.unlink(missing_ok=True)


def _discard(part: Path, origin: Path) -> None:
    """Delete the received bytes: they can't be continued."""
    part.unlink(missing_ok=True)
    origin.unlink(missing_ok=True)


def _hash_part_file(part: Path, size: int, hashers: Hashers) -> None:
    """Update the hashes with the first `size` bytes of the part file."""
    if not size:
        return
    with part.open("rb") as stream, progress(size, f"check {part.name}", "byte") as bar:
        while size and (chunk := stream.read(min(size, _CHUNK * 4))):
            for hasher in hashers.values():
                hasher.update(chunk)
            size -= len(chunk)
            bar.update(len(chunk))


def _part_file(target: Path) -> Path:
    """Return the path of the incomplete file of an archive."""
    return target.with_name(f"{target.name}.part")


def _origin_file(target: Path) -> Path:
    """Return the path of the file that holds the origin of the incomplete file."""
    return target.with_name(f"{target.name}.part.json")


def _check_space(archive: Archive, target: Path) -> None:
    folder, part = target.parent, _part_file(target)
    missing = (archive.likely_size or 0) - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(folder).free
    if free < missing:
        raise OutputError(
            f"{folder} has {free / 1e9:.1f} GB free, and {archive.file} needs about {missing / 1e9:.1f} GB more",
            "make room, or move the folder with FCNBENCH_HOME",
        )


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    """Raise OutputError for a failed write to `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}", "check permissions and free disk space, then try again"
        ) from error
