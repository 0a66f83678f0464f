"""Side-by-side timing: both functions run alternately in one process, and medians are compared.

Callers use one thread, unless the name of the measurement says otherwise, and check before the timing that the results
of both functions agree.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 15
"""Number of rounds; the medians over the rounds are reported."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: the measured function.
        peer: name of the peer.
        ours_ms: milliseconds per item of fcnbench.
        peer_ms: milliseconds per item of the peer.
        goal: how many times as fast as the peer fcnbench shall be.
    """

    name: str
    peer: str
    ours_ms: float
    peer_ms: float
    goal: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the peer fcnbench is."""
        return self.peer_ms / self.ours_ms


def compare(
    name: str,
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
    """Time two functions alternately, after one run of each without timing.

    Args:
        name: the measured function, for the table.
        ours: fcnbench's function.
        peer: the function to compare with.
        peer_name: name of the peer, for the table.
        items: number of items that one call processes; times are divided by it.
        goal: how many times as fast as the peer fcnbench shall be.
        clock: returns seconds; CPU time of the process by default.
        rounds: timed calls of each function.
        prepare: called before every call of either function; not timed.
    """
    for function in (ours, peer):
        prepare()
        function()
    samples: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
    for number in range(rounds):
        for function in (ours, peer) if number % 2 else (peer, ours):
            prepare()
            started = clock()
            function()
            samples[function].append(clock() - started)
    ours_ms, peer_ms = (1e3 * statistics.median(samples[function]) / items for function in (ours, peer))
    return Row(name, peer_name, ours_ms, peer_ms, goal)


def table(rows: list[Row]) -> str:
    """Return the comparisons as a Markdown table."""
    lines = [
        f"| {row.name} | {row.ours_ms:.3f} | {row.peer} | {row.peer_ms:.3f} | **{row.ratio:.2f}x** | {row.goal:.2f}x |"
        for row in rows
    ]
    head = "| measurement | fcnbench, ms | peer | peer, ms | times as fast | goal |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *lines])
