"""The roll call of the processes of a run: they agree on a name for this attempt, and all of them are alive.

A rendezvous store may outlive the processes that wrote into it, and no two agents need have started theirs equally
often. So nobody believes what it finds there. The first process proposes a name of its own making; the others answer
with one of theirs; and they go on when the first has repeated it.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fcnbench.errors import RankLost

_POLL = 0.02

_PROPOSED, _ANSWER, _SETTLED = "fcnbench/proposed", "fcnbench/answer/{}/{}", "fcnbench/settled/{}"
"""Names in the store: the first process's proposal; who answered to it with what; the answers that it has seen."""


def call_the_roll(store: Any, rank: int, size: int, patience: float) -> str:
    """A name that only the processes of this attempt know.

    Args:
        store: a store of `torch.distributed`.
        rank: of this process.
        size: how many there are.
        patience: seconds to wait for the others.

    Raises:
        RankLost: not all of them came.
    """
    until = time.monotonic() + patience
    return _first(store, size, until) if rank == 0 else _other(store, rank, until)


def _first(store: Any, size: int, until: float) -> str:
    name = secrets.token_hex(8)
    store.set(_PROPOSED, name)
    missing = list(range(1, size))
    while missing := [rank for rank in missing if not store.check([_ANSWER.format(name, rank)])]:
        if time.monotonic() > until:
            raise _nobody(f"rank {', '.join(map(str, missing))}")
        time.sleep(_POLL)
    answers = [store.get(_ANSWER.format(name, rank)).decode() for rank in range(1, size)]
    store.set(_SETTLED.format(name), " ".join(answers))
    return name


def _other(store: Any, rank: int, until: float) -> str:
    own, answered = secrets.token_hex(8), ""
    while time.monotonic() < until:
        name = store.get(_PROPOSED).decode() if store.check([_PROPOSED]) else ""
        if name != answered:
            store.set(_ANSWER.format(name, rank), own)
            answered = name
        settled = _SETTLED.format(name)
        # What an earlier attempt settled does not hold this process's answer.
        if name and store.check([settled]) and own in store.get(settled).decode().split():
            return name
        time.sleep(_POLL)
    raise _nobody("rank 0")


def _nobody(who: str) -> RankLost:
    return RankLost(f"{who} did not come to the roll call", "see that all ranks were started, and what they said")
