"""Reading ahead: a thread decodes the next samples while the network works on this one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fcnbench.datasets.store import Dataset, Sample

AHEAD = 4
"""Samples decoded ahead: enough to smooth over a slow one, a few MB."""

_POLL = 0.1
"""Seconds between looks at whether the consumer has gone."""


@dataclass(frozen=True, eq=False)
class Read:
    """A sample and the seconds it took to read and decode."""

    place: int
    sample: Sample
    seconds: float


@contextmanager
def prefetched(dataset: Dataset, places: Sequence[int]) -> Iterator[Iterator[Read]]:
    """Decode `dataset[place]` for all places in order, in a thread, a few ahead of the consumer.

    An error of the thread is raised in the consumer, at the place where it happened. Leaving the block, for whatever
    reason, ends the thread.
    """
    ready: queue.Queue[Read | BaseException | None] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: Read | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=_POLL)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for place in places:
                started = time.perf_counter()
                sample = dataset[place]
                put(Read(place, sample, time.perf_counter() - started))
                if stop.is_set():
                    return
        # Whatever goes wrong in the thread belongs to the consumer.
        except BaseException as error:  # noqa: BLE001
            put(error)
        else:
            put(None)

    def consume() -> Iterator[Read]:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=work, name="fcnbench-prefetch", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stop.set()
        thread.join()
