"""Downloading one archive: mirrors in order, resume across processes, digests while streaming, nothing half-kept.

What has arrived is kept as `<file>.part` with a note of where it came from; the next attempt asks for the rest, and
starts over where the server can't give it or the file has changed. Only bytes whose digests agree get the archive's
name. requests is imported on first use.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.errors import DataMissing, OutputError
from fcnbench.util import files
from fcnbench.util.archive import Archive
from fcnbench.util.console import note, progress
from fcnbench.util.http_response import OK, Body, Failed, Kept, body_of, digest_known, validator
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import hashlib

    import requests

OFFLINE_VARIABLE = "FCNBENCH_OFFLINE"
"""Environment variable that forbids any use of the network when it is set to something but 0."""

_CHUNK = 1 << 18
"""Bytes taken from the connection at a time."""

_TIMEOUT = (15.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes on it."""

_ATTEMPTS = 3
"""Connections to one mirror in a row, each going on from where the last broke off."""

Hashers = dict[str, "hashlib._Hash"]
"""A running hash for each digest that is known."""


@dataclass(frozen=True)
class Mirror:
    """What a mirror answered when it was asked for an archive's head."""

    url: str
    sound: bool
    answer: str


def offline() -> bool:
    """True when the user forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def download(archive: Archive, folder: Path, option: str = "--from") -> Path:
    """Have an archive in a folder: it is there already, or comes from the first mirror that gives the right bytes.

    Processes that want the same archive wait for each other.

    Args:
        archive: the archive.
        folder: where it shall lie.
        option: takes the user's own copy, for messages.

    Raises:
        DataMissing: no mirror gave it, or the network is forbidden; every mirror's failure is named.
        OutputError: the folder is not writable or the disk too small.
    """
    target = folder / archive.file
    if target.is_file() and not _origin(target).exists():
        return target
    if offline() and not target.is_file():
        raise DataMissing(
            f"{archive.file} is not in {folder}, and {OFFLINE_VARIABLE} forbids to fetch it",
            f"pass your own copy with {option}, or unset {OFFLINE_VARIABLE}",
        )
    with files.locked(folder / f"{archive.file}.lock"):
        files.drop_leftovers(folder, archive.file)
        if target.is_file():  # another process fetched it while this one waited, or was killed with its last step
            _origin(target).unlink(missing_ok=True)
            return target
        _check_space(archive, target)
        failures = []
        for url in archive.urls:
            try:
                _from_mirror(archive, url, target)
            except Failed as failure:
                failures.append(f"  {url}: {failure}")
                note(f"{archive.file}: {url} failed: {failure}")
            else:
                return target
    raise DataMissing(
        f"no mirror gave {archive.file}:\n" + "\n".join(failures),
        f"try again later (what arrived is kept and goes on), or get it elsewhere and pass it with {option}",
    )


def check_mirror(url: str, archive: Archive) -> Mirror:
    """Ask a mirror for an archive's head, without fetching it."""
    import requests

    try:
        with _session() as session:
            answer = session.head(url, allow_redirects=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        return Mirror(url, False, _reason(error))
    if answer.status_code != OK:
        return Mirror(url, False, f"HTTP {answer.status_code}")
    kind, size = answer.headers.get("Content-Type", ""), answer.headers.get("Content-Length", "")
    if "html" in kind:
        return Mirror(url, False, "answers with an HTML page")
    if archive.exact_size is not None and size.isdecimal() and int(size) != archive.exact_size:
        return Mirror(url, False, f"{size} bytes, expected {archive.exact_size}")
    return Mirror(url, True, f"{size or 'unknown'} bytes, {kind or 'no type'}")


def _from_mirror(archive: Archive, url: str, target: Path) -> None:
    """Fetch from one mirror, in several connections if they break."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _one_connection(archive, url, target)
        except Failed as failure:
            if not failure.again or attempt == _ATTEMPTS:
                raise
        else:
            return


def _one_connection(archive: Archive, url: str, target: Path) -> None:
    """Fetch what is missing over one connection; on success the archive has its name."""
    import requests

    part, origin = _part(target), _origin(target)
    kept = _resumable(archive, url, part, origin)
    try:
        with (
            _session() as session,
            session.get(url, headers=kept.headers, stream=True, timeout=_TIMEOUT) as answer,
        ):
            body = body_of(answer, archive, kept)
            hashers = archive.hashers()
            with _writable(part):
                _hash_kept(part, kept.arrived if body is None else body.start, hashers)
                if body is not None:
                    files.write_json(origin, {"url": url, "validator": validator(answer), "size": body.total})
                    _stream(archive, answer, part, body, hashers)
    except requests.RequestException as error:
        raise Failed(_reason(error), again=True) from error
    except Failed as failure:
        if failure.stale:
            _drop(part, origin)
        raise
    _finish(archive, hashers, part, origin, target)


def _resumable(archive: Archive, url: str, part: Path, origin: Path) -> Kept:
    """What of an earlier attempt can be gone on with.

    Where a digest decides in the end and the size is published, the bytes of any mirror will do. Else only the same
    address can go on, and only while it names the same version of the file.
    """
    try:
        arrived = part.stat().st_size
        known = json.loads(read_text(origin))
        same = known["url"] == url and isinstance(known["validator"], str)
        size = known.get("size")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Kept()
    if not arrived or (archive.exact_size is not None and arrived > archive.exact_size):
        return Kept()
    if same and known["validator"]:
        return Kept(arrived, known["validator"], size if type(size) is int else None, own=True)
    return Kept(arrived, own=same) if archive.exact_size is not None and digest_known(archive) else Kept()


def _stream(archive: Archive, answer: requests.Response, part: Path, body: Body, hashers: Hashers) -> None:
    """Append the answer's body to the part file and the hashes, raw: a server's own compression is not undone."""
    import urllib3

    arrived, total = body.start, body.total
    end = total if body.end is None else body.end
    known = f" of {total} bytes" if total is not None else " bytes"
    with part.open("r+b" if arrived else "wb") as stream, progress(total, archive.file, "byte", arrived) as bar:
        stream.seek(arrived)
        stream.truncate()
        try:
            while chunk := answer.raw.read(_CHUNK, decode_content=False):
                arrived += len(chunk)
                if end is not None and arrived > end:
                    raise Failed(f"sends more than the {end} bytes expected", stale=not digest_known(archive))
                stream.write(chunk)
                for hasher in hashers.values():
                    hasher.update(chunk)
                bar.update(len(chunk))
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise Failed(f"stopped sending after {arrived}{known}", again=True) from error
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise Failed(f"broke off after {arrived}{known}", again=True) from error
    if total is not None and arrived < total:
        raise Failed(f"broke off after {arrived}{known}", again=True)


def _finish(archive: Archive, hashers: Hashers, part: Path, origin: Path, target: Path) -> None:
    """Check the digests of what arrived, or that it is not a page; give it the archive's name, or drop it."""
    with part.open("rb") as stream:
        head = stream.read(256).removeprefix(BOM_UTF8).lstrip()
    # No archive and no file of weights begins like that.
    page = re.match(rb"<[!?a-zA-Z]", head) is not None
    if (wrong := archive.mismatch(hashers)) or (page and not digest_known(archive)):
        _drop(part, origin)
        raise Failed("gave " + ": ".join(["an HTML page in place of the archive"] * page + [wrong] * bool(wrong)))
    with _writable(target):
        part.replace(target)
    origin.unlink(missing_ok=True)


def _drop(part: Path, origin: Path) -> None:
    """Forget what arrived: it can't be gone on with."""
    part.unlink(missing_ok=True)
    origin.unlink(missing_ok=True)


def _hash_kept(part: Path, size: int, hashers: Hashers) -> None:
    """Bring the hashes up to the bytes that an earlier attempt left."""
    if not size:
        return
    with part.open("rb") as stream, progress(size, f"check {part.name}", "byte") as bar:
        while size and (chunk := stream.read(min(size, _CHUNK * 4))):
            for hasher in hashers.values():
                hasher.update(chunk)
            size -= len(chunk)
            bar.update(len(chunk))


def _part(target: Path) -> Path:
    """Where an archive's bytes gather until they are all there."""
    return target.with_name(f"{target.name}.part")


def _origin(target: Path) -> Path:
    """The note of where the gathered bytes came from."""
    return target.with_name(f"{target.name}.part.json")


def _check_space(archive: Archive, target: Path) -> None:
    folder, part = target.parent, _part(target)
    missing = (archive.likely_size or 0) - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(folder).free
    if free < missing:
        raise OutputError(
            f"{folder} has {free / 1e9:.1f} GB free, and {archive.file} needs about {missing / 1e9:.1f} GB more",
            "make room, or move the folder with FCNBENCH_HOME",
        )


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Turn a failed write into our error; a broken connection is no failed write."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}", "check permissions and free disk space, then try again"
        ) from error


def _session() -> requests.Session:
    import requests

    session = requests.Session()
    # The archive's own bytes are wanted: no compression on the way.
    session.headers["Accept-Encoding"] = "identity"
    session.max_redirects = 10
    return session


def _reason(error: Exception) -> str:
    """A network error in a few words."""
    import requests

    kinds = {
        requests.TooManyRedirects: "redirects in a circle",
        requests.ConnectTimeout: "does not answer",
        requests.ReadTimeout: "stopped sending",
        requests.ConnectionError: "can't be reached",
    }
    words = next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
    return f"{words} ({error})" if words == type(error).__name__ else words
