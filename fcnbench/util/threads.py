"""Two helpers over thread pools: a map with ordered results, and a worker that runs jobs in the background.

Threads suffice, because decoding, hashing and counting release Python's global lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Groups of items per thread that may be ahead of the consumer: bounds the memory."""

_POOL_NAME = "fcnbench-work"
"""Prefix of the names of the threads of `map_ordered`."""


def cores() -> int:
    """Return the number of logical cores that this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ordered(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, group_size: int = 1
) -> Generator[Result, None, None]:
    """Yield `work(item)` for each item, in the order of the items, computed by several threads.

    Items are taken in the caller's thread, a few ahead of the results. An exception of `work` is raised where the
    result would have been yielded. Closing the generator ends the threads.

    Args:
        work: called with one item, in any of the threads.
        items: the items, possibly more than fit into memory.
        threads: number of threads; by default one per core.
        group_size: items per job of a thread; use more than 1 if one item takes less than a millisecond.

    >>> list(map_ordered(abs, [-3, 1, -2]))
    [3, 1, 2]
    """
    threads = threads or cores()
    remaining = iter(items)

    def run_group(group: list[Item]) -> list[Result]:
        return [work(item) for item in group]

    with ThreadPoolExecutor(threads, _POOL_NAME) as pool:
        running: deque[Future[list[Result]]] = deque()

        def submit_groups(count: int) -> None:
            for _ in range(count):
                if group := list(islice(remaining, group_size)):
                    running.append(pool.submit(run_group, group))

        submit_groups(threads * _AHEAD)
        try:
            while running:
                results = running.popleft().result()
                submit_groups(1)
                yield from results
        finally:
            for future in running:
                future.cancel()


class BackgroundWorker(Generic[Item]):
    """Runs jobs in the order of their submission, on one background thread; a context manager.

    All submitted jobs finish before the `with` block is left, also if it is left by an exception.

    Args:
        work: called with each submitted item.
        depth: number of items that may wait; `submit` blocks while more do.

    >>> squares = []
    >>> with BackgroundWorker(lambda number: squares.append(number**2), depth=2) as worker:
    ...     worker.submit(2)
    ...     worker.submit(3)
    >>> squares
    [4, 9]
    """

    def __init__(self, work: Callable[[Item], object], depth: int) -> None:
        self._work = work
        self._depth = depth
        self._pool = ThreadPoolExecutor(1, "fcnbench-background")
        self._running: deque[Future[object]] = deque()

    def submit(self, item: Item) -> None:
        """Submit one item.

        Raises:
            Exception: the first exception of `work` for an earlier item.
        """
        while self._running and (len(self._running) > self._depth or self._running[0].done()):
            self._running.popleft().result()
        self._running.append(self._pool.submit(self._work, item))

    def __enter__(self) -> BackgroundWorker[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all jobs; raise the first exception of `work`, unless the block raised one itself."""
        self._pool.shutdown()
        if error is None:
            for future in self._running:
                future.result()
