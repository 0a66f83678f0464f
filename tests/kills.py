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

PRELOADED = [
    "fcnbench.api.run", "fcnbench.api.sweep", "fcnbench.evaluation.run", "fcnbench.leaderboard.board",
    "fcnbench.models.fcn.zoo", "fcnbench.models.fcn.fast", "filelock", "hypothesis", "jsonschema", "pandas", "PIL.Image",
    "pyarrow.parquet", "pytest", "requests", "scipy.io", "torch", "torch._dynamo",
]  # fmt: skip
"""What every child would import: imported once, in the process that the children are forked from."""

CHANGES = {
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
}
"""Audit events of Python that change files, and how many of their arguments are paths; opened files come besides."""

WRITES = set("wax+")
"""Letters in the mode of a file that may be written."""


@dataclass(frozen=True)
class Killed:
    """A process that was killed.

    Attributes:
        folder: its folder, as it left it.
        event: what it was about to do, such as `rename .record.json.1-ab.tmp`.
    """

    folder: Path
    event: str


def kills_at_every_write(
    work: Work, start: Path, *arguments: Any, below: tuple[str, ...] = (".",), functions: tuple[str, ...] = ()
) -> Iterator[Killed]:
    """Kill one process after the other, each one event later, and yield what each left, until one finishes.

    Args:
        work: a function of a module, called as `work(folder, *arguments)`; the folder is its current one too.
        start: each process works in a copy of this folder, in which `home` is its `FCNBENCH_HOME`; it need not exist.
        arguments: further arguments of the function.
        below: count only what happens to these folders in the copy, and below them.
        functions: calls of these count too, as `module:name`: they write without Python's own files.

    Raises:
        AssertionError: no process was killed, or one failed.
    """
    for at in count(1):
        folder = start.with_name(f"{start.name}-{at}")
        if start.exists():
            shutil.copytree(start, folder)
        else:
            folder.mkdir()
        event = _run(work, folder, arguments, Countdown([folder / name for name in below], at), functions)
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
    assert _run(work, folder, arguments, Countdown([folder], at=0), ()) is None


def _run(
    work: Work, folder: Path, arguments: tuple[Any, ...], countdown: Countdown, functions: tuple[str, ...]
) -> str | None:
    """Run the work in a child, and return the event at which it was killed; None if it finished."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOADED)
    output = folder.with_name(f"{folder.name}.txt")
    environment = os.environ | {"FCNBENCH_HOME": str(folder / "home")}
    child = forks.Process(
        target=_work, args=(work, folder, arguments, countdown, functions, output, environment), daemon=True
    )
    child.start()
    child.join(300)
    code = child.exitcode
    child.kill()
    child.join()
    child.close()
    said = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    output.unlink(missing_ok=True)
    if code == -signal.SIGKILL:
        return said.rpartition(KILLED)[2].strip()
    assert code == 0, f"the child ended with {code}:\n{said}"
    return None


KILLED = "killed before: "


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

    def reach(self, event: str) -> None:
        """Count an event that is about to happen; die if it is the one."""
        with LOCK:
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
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self.holds(path):
                self.reach(f"open {_name(path)}")
        elif event in CHANGES and any(self.holds(path) for path in arguments[: CHANGES[event]]):
            self.reach(f"{event.removeprefix('os.')} {_name(arguments[0])}")

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


LOCK = threading.RLock()


class HalvedFile(io.FileIO):
    """A file whose writes arrive in two halves; each half is an event."""

    countdown: Countdown

    def write(self, content: Any) -> int:
        """Write both halves."""
        view = memoryview(content).cast("B")
        half = len(view) // 2
        for part, name in ((view[:half], "half of"), (view[half:], "rest of")):
            self.countdown.reach(f"write the {name} {len(view)} bytes to {_name(self.name)}")
            while part:
                part = part[super().write(part) :]
        return len(view)


@dataclass
class Opener:
    """Stands in for `open`: files that are written below the folders are `HalvedFile`s."""

    countdown: Countdown
    usual: Any = field(default=io.open)

    def __call__(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        """Open a file like `open` does."""
        if not WRITES & set(mode) or not self.countdown.holds(file):
            return self.usual(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = HalvedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.countdown = self.countdown
        if buffering == 0:
            return raw
        buffered: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline, line_buffering=buffering == 1)


def _work(
    work: Work, folder: Path, arguments: tuple[Any, ...], countdown: Countdown, functions: tuple[str, ...],
    output: Path, environment: dict[str, str],
) -> None:  # fmt: skip
    """Do the work as the child."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    for function in functions:
        countdown.wrap(function)
    builtins.open = io.open = Opener(countdown)  # type: ignore[assignment]
    sys.addaudithook(countdown.audit)
    try:
        work(folder, *arguments)
    except BaseException:
        traceback.print_exc()
        raise


def _name(path: Any) -> str:
    """Return the last part of a path."""
    return Path(os.fsdecode(path)).name
