"""Writing files so that a reader sees the old content or the new one, never a part.

Everything is written to a temporary name in the target's own folder, flushed to disk and renamed. A failed save is
an `OutputError`, and leaves neither the target changed nor a temporary file behind.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO

from fcnbench.errors import OutputError, UsageError

TEMPORARY_SUFFIX = ".tmp"
"""Ending of what is not finished; after a kill such a name may stay behind and means nothing."""


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot write {path}: {reason}",
        "check the folder's permissions and the free disk space, or choose another folder",
    )


def _explained(error: OSError, temporary: Path, path: Path) -> OSError | OutputError:
    """The error for a failed write; an error about somebody else's file is passed on as it is."""
    about = error.filename
    if about is None or Path(os.fsdecode(about)).is_relative_to(temporary) or Path(os.fsdecode(about)) == path.parent:
        return _cannot_write(path, error)
    return error


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the platform lets a folder be flushed."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that becomes `path` when the block ends well, and vanishes when it does not.

    A link stays one: the file that it leads to is replaced.

    Raises:
        OutputError: the folder or the file could not be written, or something else than a file has the name.
    """
    check_replaceable(path)
    path = path.resolve() if path.is_symlink() else path
    temporary = _temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise _explained(error, temporary, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_replaceable(path: Path) -> None:
    """Check that a file of this name can be written: nothing has it, or a regular file.

    Raises:
        OutputError: a folder, a device or the like has the name, or there is no name.
    """
    if not path.name:
        raise OutputError(f"{str(path)!r} names no file", "name a file")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is there, and is not a regular file", "name another file")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented UTF-8 JSON to `path`, whole or not at all. NaN and infinity are refused."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder inside `parent`, which vanishes after the block unless `publish_folder` moved it.

    Raises:
        OutputError: the folder, or something that the block wrote, could not be written.
    """
    scratch = _temporary_beside(parent / "scratch")
    try:
        scratch.mkdir(parents=True)
        yield scratch
    except OSError as error:
        raise _explained(error, scratch, parent) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def publish_folder(scratch: Path, target: Path) -> None:
    """Move a finished folder to its name, which says its content: where it is taken already, the files are renewed.

    Files of one name in the two folders must be interchangeable, since they are replaced one after the other; then a
    kill at any moment leaves a whole folder.

    Raises:
        OutputError: it could not be moved.
    """
    try:
        if target.is_dir():
            for path in sorted(scratch.iterdir()):
                path.replace(target / path.name)
            _flush_folder(target)
        else:
            scratch.rename(target)
            _flush_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from error


def refuse_taken(target: Path) -> None:
    """Make sure that a new folder can become `target`: nothing is there, or an empty folder.

    Raises:
        UsageError: something is there.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already, and not empty", "name a new folder")


def publish_new(scratch: Path, target: Path) -> None:
    """Move a finished folder to a name that nothing has, or an empty folder.

    Raises:
        UsageError: something is there by now.
        OutputError: it could not be moved.
    """
    refuse_taken(target)
    try:
        if target.is_dir():
            target.rmdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from error


def drop_leftovers(folder: Path, of: str = "") -> None:
    """Remove what killed processes left unfinished in a folder; the caller holds the lock.

    Args:
        folder: where to look.
        of: only what was to become a file whose name begins so, where the lock covers no more than that.
    """
    for leftover in folder.glob(f".{escape(of)}*{TEMPORARY_SUFFIX}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for other processes that hold it.

    Raises:
        OutputError: the lock file could not be made.
    """
    from filelock import FileLock

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def check_writable(folder: Path) -> None:
    """Find out before a long job whether its result could be written into a folder; leaves nothing behind.

    Raises:
        OutputError: it could not.
    """
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    probe = _temporary_beside(nearest / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error
