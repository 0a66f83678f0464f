"""Processes that are killed while they write: once before every write, and once in the middle of it.

A child process does some work and counts what it does to the files below its folder: folders made, files opened for
writing, written, renamed and removed. At the n-th of these events it kills itself. `kills_at_every_write` starts such a
child for n = 1, 2, 3, ... until one ends without having reached its event, so that no moment is left to chance.
"""

from __future__ import annotations

import builtins
import io
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

Work = Callable[..., object]

PARQUET_WRITES = ("pyarrow.parquet:ParquetWriter.write_table", "pyarrow.parquet:ParquetWriter.close")
"""Functions that write a Parquet file, which Python does not see."""

PRELOADED = [
    "fcnbench.api.run", "fcnbench.api.sweep", "fcnbench.evaluation.run", "fcnbench.leaderboard.board",
    "fcnbench.models.fcn.fast", "fcnbench.models.fcn.zoo", "filelock", "hypothesis", "jsonschema", "pandas",
    "PIL.Image", "pyarrow.parquet", "pytest", "requests", "scipy.io", "torch", "torch._dynamo",
]  # fmt: skip
"""What every child would import: imported once, in the process that the children are forked from."""

PATHS = {"mkdir": 1, "rmdir": 1, "remove": 1, "rename": 2, "link": 2, "symlink": 2, "truncate": 1}
"""Functions of `os` that change files, by their audit events, and how many of their arguments are paths."""

PATIENCE = 300
"""Seconds after which a child is taken to hang."""

KILLED = "killed before: "


@dataclass(frozen=True)
class Killed:
    """A process that was killed.

    Attributes:
        folder: its folder, as it left it.
        event: what it was about to do, such as `rename .record.json.1-ab.tmp`.
    """

    folder: Path
    event: str


@dataclass(frozen=True)
class Job:
    """What a child does.

    Attributes:
        work: a function of a module, called as `work(folder, *arguments)`.
        folder: the current folder of the child, in which `home` is its `FCNBENCH_HOME`.
        arguments: further arguments of the function.
        below: events are counted in these folders of the folder, and below them.
        functions: calls of these are events too, as `module:name`.
        at: number of the event at which the child kills itself, from 1; 0 for none.
    """

    work: Work
    folder: Path
    arguments: tuple[Any, ...]
    below: tuple[str, ...] = (".",)
    functions: tuple[str, ...] = ()
    at: int = 0


def kills_at_every_write(
    work: Work, start: Path, *arguments: Any, below: tuple[str, ...] = (".",), functions: tuple[str, ...] = ()
) -> Iterator[Killed]:
    """Kill one process after the other, each one event later, and yield what each left, until one finishes.

    Args:
        work: a function of a module, called as `work(folder, *arguments)`; the folder is its current one too.
        start: each process works in a copy of this folder, in which `home` is its `FCNBENCH_HOME`; it need not exist.
        arguments: further arguments of the function.
        below: count only what happens to these folders in the copy, and below them.
        functions: count calls of these too, as `module:name`: they write without Python's own files.

    Raises:
        AssertionError: no process was killed, or one failed.
    """
    for at in count(1):
        folder = start.with_name(f"{start.name}-{at}")
        if start.exists():
            shutil.copytree(start, folder)
        else:
            folder.mkdir()
        event = _run(Job(work, folder, arguments, below, functions, at))
        if event is not None:
            yield Killed(folder, event)
        shutil.rmtree(folder)
        if event is None:
            assert at > 1, "no write was reached, and so no process was killed"
            return


def finish(work: Work, folder: Path, *arguments: Any) -> None:
    """Do the same work in a process that is not killed.

    Raises:
        AssertionError: it failed.
    """
    assert _run(Job(work, folder, arguments)) is None


def _run(job: Job) -> str | None:
    """Run a job in a child, and return the event at which the child was killed; None if it finished."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOADED)
    output = job.folder.with_name(f"{job.folder.name}.txt")
    environment = os.environ | {"FCNBENCH_HOME": str(job.folder / "home")}
    child = forks.Process(target=_work, args=(job, output, environment), daemon=True)
    child.start()
    child.join(PATIENCE)
    code = child.exitcode
    child.kill()
    child.join()
    child.close()
    text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    output.unlink(missing_ok=True)
    assert code is not None, f"the child hung:\n{text}"
    if code == 0:
        return None
    assert code == -signal.SIGKILL, f"the child ended with {code}:\n{text}"
    assert KILLED in text, f"somebody else killed the child:\n{text}"
    return text.rpartition(KILLED)[2].strip()


# --- in the child ----------------------------------------------------------------------------------------------------


def _work(job: Job, output: Path, environment: dict[str, str]) -> None:
    """Do a job as the child; what it prints goes to a file."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(job.folder)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(printed, stream)
    countdown = Countdown([job.folder / name for name in job.below], job.at)
    for function in job.functions:
        countdown.wrap(function)
    builtins.open = io.open = Opener(countdown)  # type: ignore[assignment]
    sys.addaudithook(countdown.audit)
    try:
        job.work(job.folder, *job.arguments)
    except BaseException:
        traceback.print_exc()
        raise


@dataclass
class Countdown:
    """Counts events below some folders, and kills the process at one of them.

    Attributes:
        below: the folders.
        at: number of the event, from 1; 0 for none.
        reached: events so far.
    """

    below: list[Path]
    at: int
    reached: int = 0
    lock: Any = field(default_factory=threading.RLock)

    def reach(self, event: str) -> None:
        """Count an event that is about to happen; die if it is the one."""
        with self.lock:
            self.reached += 1
            if self.reached == self.at:
                os.write(2, f"\n{KILLED}{event}".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def holds(self, path: object) -> bool:
        """Return whether a path is one of the folders or below one."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        whole = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - links stay links
        return any(whole.is_relative_to(folder) for folder in self.below)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count an audit event of Python if it changes a file."""
        name = event.removeprefix("os.")
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self.holds(path):
                self.reach(f"open {_name(path)}")
        elif event != name and any(self.holds(path) for path in arguments[: PATHS.get(name, 0)]):
            self.reach(f"{name} {_name(arguments[0])}")

    def wrap(self, function: str) -> None:
        """Count the calls of a function, named as `module:name`."""
        module, _, name = function.partition(":")
        *outer, last = name.split(".")
        holder: Any = import_module(module)
        for each in outer:
            holder = getattr(holder, each)
        inner = getattr(holder, last)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.reach(f"call {name}")
            return inner(*arguments, **options)

        setattr(holder, last, counted)


class HalvedFile(io.FileIO):
    """A file whose writes arrive in two halves; each half is an event."""

    countdown: Countdown

    def write(self, content: Any) -> int:
        """Write one half, then the other."""
        view = memoryview(content).cast("B")
        half, size, name = len(view) // 2, len(view), _name(self.name)
        self.countdown.reach(f"write half of {size} bytes to {name}")
        self.write_all(view[:half])
        self.countdown.reach(f"write the other half of {size} bytes to {name}")
        self.write_all(view[half:])
        return size

    def write_all(self, view: memoryview) -> None:
        """Write all bytes, however many the system takes at once."""
        while view:
            view = view[super().write(view) :]


@dataclass
class Opener:
    """Stands in for `open`: files that are written below the folders are `HalvedFile`s."""

    countdown: Countdown
    usual: Any = field(default=io.open)

    def __call__(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, *more: Any, **options: Any,
    ) -> Any:  # fmt: skip
        """Open a file like `open` does."""
        if not set("wax+") & set(mode) or not self.countdown.holds(file):
            return self.usual(file, mode, buffering, encoding, errors, newline, *more, **options)
        raw = HalvedFile(file, mode.replace("b", "").replace("t", ""), *more, **options)
        raw.countdown = self.countdown
        if buffering == 0:
            return raw
        buffered: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline, line_buffering=buffering == 1)


def _name(path: Any) -> str:
    """Return the last part of a path."""
    return Path(os.fsdecode(path)).name
