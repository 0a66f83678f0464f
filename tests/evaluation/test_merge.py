"""The results of several ranks in one evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnbench.errors import RankLost
from fcnbench.evaluation.distributed import SINGLE_PROCESS, Ranks
from fcnbench.evaluation.merge import merge
from fcnbench.metrics.counts import LABELS
from fcnbench.records.evaluation import ImageCounts
from tests.counts import counted, specs


class SeveralRanks(Ranks):
    """Stands in for a run whose other ranks scored the given images."""

    def __init__(self, *others: str) -> None:
        self.others = others
        self.size = 1 + len(others)

    def all_gather(self, value: Any) -> list[Any]:
        return [value, *({name: {LABELS: f"digest of {name}"} for name in names} for names in self.others)]


def own() -> dict[str, ImageCounts]:
    return {"b": counted("b", np.eye(8, dtype=np.int64), "digest of b")}


@pytest.mark.parametrize(("others", "wrong"), [(("",), "a"), (("ab",), "b"), (("a", "a"), "a")])
def test_images_that_no_rank_or_two_ranks_scored_are_named(others: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(RankLost, match=f"1 images were not scored exactly once: {wrong}"):
        merge(["a", "b"], own(), specs(8), SeveralRanks(*others))


def test_the_digests_of_all_ranks_are_in_the_order_of_the_images() -> None:
    found = merge(["a", "b", "c"], own(), [], SeveralRanks("c", "a"))
    assert found.digests == {LABELS: ("digest of a", "digest of b", "digest of c")}


def test_one_process_merges_nothing() -> None:
    found = merge(["b"], own(), specs(8), SINGLE_PROCESS)
    assert found.predictions == ("digest of b",)
    assert found.matrices.tolist() == [np.eye(8).tolist()]
