"""Atomic files and folders: a reader sees the old content or the new one, never a part.

Content is written to a temporary name in the folder of the target, flushed to disk and renamed. A failed write raises
`OutputError`; the target is unchanged and the temporary file removed.
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
"""Suffix of unfinished files and folders; a killed process may leave them behind, and they are ignored."""


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot write {path}: {reason}",
        "check the folder's permissions and the free disk space, or choose another folder",
    )


def _explained(error: OSError, temporary: Path, path: Path) -> OSError | OutputError:
    """Return the error to raise for a failed write; an error about an unrelated file is returned as it is."""
    failed = None if error.filename is None else Path(os.fsdecode(error.filename))
    if failed is None or failed.is_relative_to(temporary) or failed == path.parent:
        return _cannot_write(path, error)
    return error


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, if the platform supports flushing a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary binary file that replaces `path` at the end of the block; it is removed if the block raises.

    A symbolic link is kept: the file it points to is replaced.

    Raises:
        OutputError: the folder or the file can't be written, or `path` is not a regular file.

    >>> folder = getfixture("tmp_path")
    >>> with atomic_file(folder / "new.txt") as stream:
    ...     _ = stream.write(b"whole")
    >>> (folder / "new.txt").read_text()
    'whole'
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
    """Check that `path` does not exist or is a regular file.

    Raises:
        OutputError: it is a folder, a device or the like, or the path has no file name.
    """
    if not path.name:
        raise OutputError(f"{str(path)!r} names no file", "name a file")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} exists, and is not a regular file", "name another file")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to a file atomically."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_json(path: Path, content: Any) -> None:
    """Write indented UTF-8 JSON to a file atomically.

    Raises:
        ValueError: the content holds NaN or infinity.
        OutputError: the file can't be written.
    """
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Create an empty temporary folder inside `parent`; it is removed after the block unless it was published.

    Raises:
        OutputError: the folder, or a file that the block writes, can't be written.
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
    """Move a finished folder to `target`; if that exists, replace its files one by one.

    The name of `target` must be derived from the content, so that files of one name in the two folders are
    interchangeable; then a kill at any moment leaves a complete folder.

    Raises:
        OutputError: the folder can't be moved.
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


def check_target_free(target: Path) -> None:
    """Check that `target` does not exist or is an empty folder.

    Raises:
        UsageError: it exists and is not an empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} already exists and is not empty", "name a new folder")


def publish_new(scratch: Path, target: Path) -> None:
    """Move a finished folder to `target`, which must not exist or be an empty folder.

    Raises:
        UsageError: `target` exists and is not an empty folder.
        OutputError: the folder can't be moved.
    """
    check_target_free(target)
    try:
        if target.is_dir():
            target.rmdir()
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise _cannot_write(target, error) from error


def remove_leftovers(folder: Path, prefix: str = "") -> None:
    """Remove unfinished files and folders of killed processes; the caller must hold the lock of the folder.

    Args:
        folder: the folder to clean.
        prefix: clean up only after targets whose name begins so, if the lock covers only those.
    """
    for leftover in folder.glob(f".{escape(prefix)}*{TEMPORARY_SUFFIX}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file inside the block; waits for other processes that hold it.

    Raises:
        OutputError: the lock file can't be created.
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
    """Check before a long job that its result can be written into a folder; leaves no files behind.

    Raises:
        OutputError: the folder is not writable.
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
