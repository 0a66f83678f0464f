"""The results of several ranks in one evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from fcnbench.errors import RankLost
from fcnbench.evaluation.distributed import SINGLE_PROCESS, Ranks
from fcnbench.evaluation.merge import merge
from tests.counts import counted, specs


class TwoRanks(Ranks):
    """Stands in for a run whose second rank scored the given images."""

    size = 2

    def __init__(self, other: dict[str, int]) -> None:
        self.other = other
        self.calls = 0

    def all_reduce(self, counts: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls == 1:
            counts = counts.copy()
            for place, times in self.other.items():
                counts[int(place)] += times
        return counts


@pytest.mark.parametrize(("other", "wrong"), [({}, "b"), ({"0": 1, "1": 1}, "a"), ({"1": 2}, "b")])
def test_images_that_no_rank_or_two_ranks_scored_are_named(other: dict[str, int], wrong: str) -> None:
    digest = "sha256:" + "ab" * 32
    own = {"a": counted("a", np.eye(8, dtype=np.int64), digest)}
    with pytest.raises(RankLost, match=rf"1 images were not scored exactly once: {wrong}"):
        merge(["a", "b"], own, specs(8), TwoRanks(other))
    found = merge(["a"], own, specs(8), SINGLE_PROCESS)
    assert found.predictions == (digest,)
