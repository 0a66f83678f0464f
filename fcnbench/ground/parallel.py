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
"""Groups of items that each core may be ahead of whoever takes the results: memory does not grow with their number."""


def cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, together: int = 1
) -> Iterator[Result]:
    """The results of `work` in the order of the items, worked out by as many threads as there are cores.

    An error of `work` is raised in the place of its item's result. The items are taken in the caller's thread.

    Args:
        work: what is done to an item, in some thread.
        items: taken a few at a time.
        threads: how many work.
        together: items that a thread takes at once: more of them where the work on one is a fraction of a millisecond.
    """
    threads = threads or cores()
    waiting = iter(items)
    groups = iter(lambda: list(islice(waiting, together)), [])
    with ThreadPoolExecutor(threads, "fcnbench-work") as pool:

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
