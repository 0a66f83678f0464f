"""The journal of an unfinished run: one line per scored image, so that the same command goes on after an interruption.

A journal belongs to one model with its source and weights, one data fingerprint, one device and one set of versions;
its file is named by the digest of those. What takes part only later is written into it, and must still be the same.
Every line carries its own check sum: what a kill tore off is scored again. Of several processes that share a run each
writes a journal of its own, and reads those of all on its machine.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import OutputError
from fcnbench.evaluation.identity import DependencyTracker
from fcnbench.metrics.counts import CountSpec
from fcnbench.records.evaluation import ImageCounts
from fcnbench.util import paths
from fcnbench.util.console import note
from fcnbench.util.digests import digest_lines, short

if TYPE_CHECKING:
    from filelock import FileLock

_ENDING = ".jsonl"


class Journal:
    """Keeps the scored images of a run on disk until the run is done.

    A second process with the same work finds the journal taken and works without one (`kept` is False).

    Args:
        work: everything that the result of an image depends on, by name.
        specs: what is counted on every image.
        rank: number of this process among those that share the run.
        witness: notes what takes part in the run; without one nothing is noted.
    """

    def __init__(
        self,
        work: Mapping[str, str],
        specs: Sequence[CountSpec],
        rank: int = 0,
        witness: DependencyTracker | None = None,
    ) -> None:
        self._key = short(digest_lines(f"{name}={work[name]}" for name in sorted(work)), 24)
        self._path = paths.journals() / f"{self._key}{f'.{rank}' if rank else ''}{_ENDING}"
        self._shapes = {spec.name: spec.shape for spec in specs}
        self._witness = witness
        self._stream: IO[bytes] | None = None
        self._lock: FileLock | None = None
        self.done: dict[str, ImageCounts] = {}

    @property
    def kept(self) -> bool:
        """True when this process writes the journal."""
        return self._stream is not None

    @property
    def name(self) -> str:
        """A name that only this work has: the same for the same command again, another for a process beside it."""
        return self._key if self.kept else f"{self._key}-{os.getpid()}"

    def __enter__(self) -> Journal:
        from filelock import FileLock, Timeout

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._path.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return self
            self._lock = lock
            for other in self._others():
                self._read(other)
            sound = self._read(self._path)
            self._stream = self._path.open("r+b" if self._path.exists() else "x+b")
            self._stream.truncate(sound)
            self._stream.seek(sound)
        except OSError as error:
            raise self._cannot_write(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._lock is not None:
            self._lock.release()

    def add(self, scored: ImageCounts) -> None:
        """Write down one scored image; it survives the end of the process.

        Raises:
            OutputError: it could not be written.
        """
        self.done[scored.id] = scored
        if self._stream is None:
            return
        content = {
            "id": scored.id,
            "counts": {name: _cells(values) for name, values in scored.counts.items()},
            "digests": dict(scored.digests),
        }
        if self._witness is not None and (facts := self._witness.update()):
            self._write({"facts": facts})
        self._write(content)

    def _write(self, content: dict[str, Any]) -> None:
        if self._stream is None:
            return
        text = json.dumps(content).encode()
        try:
            self._stream.write(b"%08x %s\n" % (zlib.crc32(text), text))
            self._stream.flush()
        except OSError as error:
            raise self._cannot_write(error) from error

    def forget(self) -> None:
        """Remove the journal, and those of processes that are gone: the run is done and saved."""
        from filelock import FileLock, Timeout

        if not self.kept:
            return
        self._path.unlink(missing_ok=True)
        for other in self._others():
            with suppress(Timeout), FileLock(other.with_suffix(".lock"), timeout=0):
                other.unlink(missing_ok=True)

    def _others(self) -> list[Path]:
        """The journals that other processes wrote of the same work on this machine."""
        found = self._path.parent.glob(f"{self._key}*{_ENDING}")
        return [path for path in sorted(found) if path != self._path]

    def _read(self, path: Path) -> int:
        """Read the sound lines of a journal; return how many bytes they take, 0 where the work is another by now."""
        sound, found = 0, dict[str, ImageCounts]()
        if not path.exists():
            return sound
        for line in path.read_bytes().splitlines(keepends=True):
            # A line with a right checksum may still be another program's, or another version's.
            try:
                content = _content(line)
                if content is None:
                    break
                facts = {str(name): str(value) for name, value in content.get("facts", {}).items()}
                if "facts" not in content:
                    found[content["id"]] = self._scored(content)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError):
                break
            if self._witness is not None and (departure := self._witness.difference(facts)):
                note(f"an interrupted run is not continued: {departure}")
                return 0
            sound += len(line)
        self.done |= found
        return sound

    def _scored(self, content: Mapping[str, Any]) -> ImageCounts:
        """Return the image of one line."""
        name, digests = content["id"], dict(content["digests"])
        if not all(isinstance(text, str) for text in (name, *digests, *digests.values())):
            raise TypeError("an id and a digest are text")
        counts = {count: _array(cells, self._shapes[count]) for count, cells in dict(content["counts"]).items()}
        return ImageCounts(name, counts, digests)

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot write the journal {self._path}: {error.strerror or error}",
            f"check permissions and space, or move the folder with {paths.HOME_VARIABLE}",
        )


def _content(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None for a torn or damaged one."""
    check, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or check != b"%08x" % zlib.crc32(text):
        return None
    content: dict[str, Any] = json.loads(text)
    return content


def _cells(values: NDArray[np.int64]) -> list[list[int]]:
    """Return the cells of an array that are not 0: their index, and the count behind it."""
    return [[*map(int, index), int(values[tuple(index)])] for index in np.argwhere(values)]


def _array(cells: list[list[int]], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the array of these cells, int64 `shape`."""
    values = np.zeros(shape, np.int64)
    for *index, count in cells:
        if len(index) != len(shape) or any(type(number) is not int or number < 0 for number in (*index, count)):
            raise ValueError("a cell is not an index and a count")
        values[tuple(index)] = count
    return values
