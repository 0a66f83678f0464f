"""Agreement on a run id: only among the ranks of one attempt, whatever earlier ones left in the store."""

from __future__ import annotations

import threading
import time

import pytest
from torch import distributed

from fcnbench.errors import RankLost
from fcnbench.evaluation.rendezvous import agree_on_run_id


@pytest.mark.parametrize("late", [0, 1, 2])
def test_only_the_ranks_of_this_attempt_agree_on_its_id(late: int) -> None:
    store = distributed.HashStore()
    run_ids: dict[int, str] = {}

    def join(rank: int) -> None:
        run_ids[rank] = agree_on_run_id(store, rank, 3, 20)

    for attempt in range(3):
        before = dict(run_ids)
        ranks = [threading.Thread(target=join, args=(rank,)) for rank in range(3)]
        for rank in ranks:
            if rank is not ranks[late]:
                rank.start()
        time.sleep(0.1)
        assert run_ids == before or attempt == 0  # no rank accepts the id of an earlier attempt
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
