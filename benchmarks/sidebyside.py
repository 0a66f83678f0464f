"""Side-by-side timing: peers in one process, interleaved, one thread, CPU time, medians; equality is asserted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 15
"""Interleaved rounds; the median of their times is quoted."""


@dataclass(frozen=True)
class Row:
    """One comparison: ours against a peer's, CPU milliseconds per item, and the goal for their ratio."""

    what: str
    peer: str
    ours_ms: float
    peer_ms: float
    goal: float

    @property
    def ratio(self) -> float:
        """How many times faster than the peer."""
        return self.peer_ms / self.ours_ms


def compare(
    what: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    peer_name: str,
    items: int,
    goal: float,
    *,
    clock: Callable[[], float] = time.process_time,
    rounds: int = ROUNDS,
    prepare: Callable[[], object] = lambda: None,
) -> Row:
    """Time two functions in turn, each after `prepare`, which is not timed; the median counts."""
    for work in (ours, peer):
        prepare()
        work()
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds):
        for mine in (True, False) if turn % 2 else (False, True):
            prepare()
            started = clock()
            (ours if mine else peer)()
            times[mine].append(clock() - started)
    ours_ms, peer_ms = (1e3 * statistics.median(times[mine]) / items for mine in (True, False))
    return Row(what, peer_name, ours_ms, peer_ms, goal)


def table(rows: list[Row]) -> str:
    """The comparisons as a Markdown table."""
    lines = [
        f"| {row.what} | {row.ours_ms:.3f} | {row.peer} | {row.peer_ms:.3f} | **{row.ratio:.2f}x** | {row.goal:.2f}x |"
        for row in rows
    ]
    head = "| what | fcnbench, ms | peer | peer, ms | faster by | goal |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *lines])
