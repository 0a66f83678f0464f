"""Agreement of the ranks on a run id that only the processes of this attempt know.

A rendezvous store may outlive the processes that wrote into it, and the agents of several machines need not have
restarted their processes equally often, so values in the store may be stale. Rank 0 proposes a fresh random id, every
other rank acknowledges it with a fresh random number, and rank 0 confirms by repeating all acknowledgements. A rank
accepts an id only if its own number is confirmed.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fcnbench.errors import RankLost

_POLL_SECONDS = 0.02

_PROPOSAL = "fcnbench/proposed"
"""Key of the id that rank 0 proposes."""

_ACKNOWLEDGEMENT = "fcnbench/acknowledged/{run}/{rank}"
"""Key of a rank's random number for a proposed id."""

_CONFIRMATION = "fcnbench/confirmed/{run}"
"""Key of all acknowledgements that rank 0 has read, separated by spaces."""


def agree_on_run_id(store: Any, rank: int, size: int, timeout: float) -> str:
    """Return an id that all ranks of this attempt agree on, and no earlier attempt.

    Args:
        store: a store of `torch.distributed`.
        rank: rank of this process.
        size: number of ranks.
        timeout: seconds to wait for the other ranks.

    Raises:
        RankLost: some rank did not come in time.

    >>> from torch.distributed import HashStore
    >>> len(agree_on_run_id(HashStore(), rank=0, size=1, timeout=1))
    16
    """
    deadline = time.monotonic() + timeout
    if rank == 0:
        return _propose(store, size, deadline)
    return _acknowledge(store, rank, deadline)


def _propose(store: Any, size: int, deadline: float) -> str:
    """Propose a run id as rank 0, wait for all acknowledgements, and confirm them."""
    run = secrets.token_hex(8)
    store.set(_PROPOSAL, run)
    missing = list(range(1, size))
    while missing := [rank for rank in missing if not store.check([_ACKNOWLEDGEMENT.format(run=run, rank=rank)])]:
        if time.monotonic() > deadline:
            raise _not_there(f"rank {', '.join(map(str, missing))}")
        time.sleep(_POLL_SECONDS)
    numbers = [store.get(_ACKNOWLEDGEMENT.format(run=run, rank=rank)).decode() for rank in range(1, size)]
    store.set(_CONFIRMATION.format(run=run), " ".join(numbers))
    return run


def _acknowledge(store: Any, rank: int, deadline: float) -> str:
    """Acknowledge every proposal as another rank, until rank 0 confirms one."""
    number, acknowledged = secrets.token_hex(8), ""
    while time.monotonic() < deadline:
        run = store.get(_PROPOSAL).decode() if store.check([_PROPOSAL]) else ""
        if run != acknowledged:
            store.set(_ACKNOWLEDGEMENT.format(run=run, rank=rank), number)
            acknowledged = run
        confirmation = _CONFIRMATION.format(run=run)
        # The confirmation of an earlier attempt does not hold this process's number.
        if run and store.check([confirmation]) and number in store.get(confirmation).decode().split():
            return run
        time.sleep(_POLL_SECONDS)
    raise _not_there("rank 0")


def _not_there(ranks: str) -> RankLost:
    return RankLost(
        f"{ranks} did not come to the rendezvous", "check that all ranks were started, and what they printed"
    )
