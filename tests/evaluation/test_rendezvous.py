"""Agreement on a run id: only among the ranks of one attempt, whatever earlier ones left in the store."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from torch import distributed

from fcnbench.errors import RankLost
from fcnbench.evaluation.rendezvous import agree_on_run_id
from tests.waiting import wait_until


class CountingStore:
    """A store that counts how often each rank, the name of its thread, has looked for something."""

    def __init__(self) -> None:
        self.store = distributed.HashStore()
        self.looks: Counter[str] = Counter()

    def check(self, keys: list[str]) -> bool:
        self.looks[threading.current_thread().name] += 1
        return bool(self.store.check(keys))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_only_the_ranks_of_this_attempt_agree_on_its_id(late: int) -> None:
    store = CountingStore()
    run_ids: dict[int, str] = {}

    def join(rank: int) -> None:
        run_ids[rank] = agree_on_run_id(store, rank, 3, 20)

    for _ in range(3):
        before = dict(run_ids)
        store.looks.clear()
        ranks = [threading.Thread(target=join, args=(rank,), name=f"rank {rank}") for rank in range(3)]
        for rank in ranks:
            if rank is not ranks[late]:
                rank.start()
        # However often they look, no rank accepts the id of an earlier attempt.
        early = [rank for rank in ranks if rank is not ranks[late]]
        wait_until(lambda early=early: all(store.looks[rank.name] >= 9 or not rank.is_alive() for rank in early))
        assert all(rank.is_alive() for rank in early)
        assert run_ids == before
        ranks[late].start()
        for rank in ranks:
            rank.join()
        assert len(set(run_ids.values())) == 1
        assert run_ids != before


def test_a_rank_that_does_not_come_to_the_rendezvous_is_named() -> None:
    store = distributed.HashStore()
    with pytest.raises(RankLost, match="rank 1, 2 did not come to the rendezvous"):
        agree_on_run_id(store, 0, 3, 0.1)
    with pytest.raises(RankLost, match="rank 0 did not come to the rendezvous"):
        agree_on_run_id(store, 1, 3, 0.1)
