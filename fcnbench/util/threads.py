"""Work on all cores, results in order; and work that trails behind its maker.

Threads, since what takes time here (decoding, hashing, counting) lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Groups of items that each core may be ahead of whoever takes the results: memory does not grow with their number."""

WORKERS = "fcnbench-work"
"""What threads that work ahead are called."""


def cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, together: int = 1
) -> Generator[Result, None, None]:
    """The results of `work` in the order of the items, worked out by as many threads as there are cores.

    An error of `work` is raised in the place of its item's result. The items are taken in the caller's thread. Closing
    the iterator ends the threads.

    Args:
        work: what is done to an item, in some thread.
        items: taken a few at a time.
        threads: how many work.
        together: items that a thread takes at once: more of them where the work on one is a fraction of a millisecond.
    """
    threads = threads or cores()
    waiting = iter(items)
    groups = iter(lambda: list(islice(waiting, together)), [])
    with ThreadPoolExecutor(threads, WORKERS) as pool:

        def submitted(count: int) -> Iterator[Future[list[Result]]]:
            return (pool.submit(lambda group: [work(each) for each in group], group) for group in islice(groups, count))

        running = deque(submitted(threads * _AHEAD))
        try:
            while running:
                results = running.popleft().result()
                running.extend(submitted(1))
                yield from results
        finally:
            for future in running:
                future.cancel()


class Behind(Generic[Item]):
    """A thread that works on what it is given, in order, behind the giver. What was given is finished, come what may.

    Args:
        work: what is done to an item.
        depth: items that may wait; the giver of one more waits itself.
    """

    def __init__(self, work: Callable[[Item], object], depth: int) -> None:
        self._work = work
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, "fcnbench-behind")
        self._running: deque[Future[object]] = deque()

    def give(self, item: Item) -> None:
        """Hand over one item.

        Raises:
            Exception: that of the work on an earlier one.
        """
        while self._running and (len(self._running) > self._depth or self._running[0].done()):
            self._running.popleft().result()
        self._running.append(self._pool.submit(self._work, item))

    def __enter__(self) -> Behind[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the rest; its first error is raised, unless another one is on its way."""
        self._pool.shutdown()
        if error is None:
            for future in self._running:
                future.result()
