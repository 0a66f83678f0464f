"""Work on all cores, results in order.

Threads, since what takes time here (decoding, hashing, counting) lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Items that each core may be ahead of whoever takes the results: memory does not grow with their number."""


def cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None) -> Iterator[Result]:
    """The results of `work` in the order of the items, worked out by as many threads as there are cores.

    An error of `work` is raised in the place of its item's result. The items are taken in the caller's thread.
    """
    threads = threads or cores()
    waiting = iter(items)
    with ThreadPoolExecutor(threads, "fcnbench-work") as pool:
        running: deque[Future[Result]] = deque(pool.submit(work, each) for each in islice(waiting, threads * _AHEAD))
        try:
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(work, each) for each in islice(waiting, 1))
                yield result
        finally:
            for future in running:
                future.cancel()
