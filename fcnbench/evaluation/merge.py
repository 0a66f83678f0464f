"""The results of several processes in one evaluation: integers are added up, and every image must be there once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import Dataset
from fcnbench.errors import RankLost
from fcnbench.evaluation.distributed import Ranks
from fcnbench.evaluation.journal import Scored
from fcnbench.records.evaluation import MARGINS, Evaluation
from fcnbench.util.console import listed

_NUMBERS = 4
"""64-bit numbers that a SHA-256 takes."""


def together(dataset: Dataset, wanted: Sequence[str], own: Mapping[str, Scored], world: Ranks) -> Evaluation:
    """The evaluation of all images `wanted`, of which this process has scored its `own`.

    Raises:
        RankLost: some image was scored by no process, or by several.
    """
    classes, geo_classes = dataset.label_space.num_classes, dataset.geo.num_classes if dataset.geo else 0
    places = {name: place for place, name in enumerate(wanted)}
    counts = np.zeros((3, len(wanted)), np.int64)
    matrices = np.zeros((len(wanted), classes, classes), np.int64)
    geo = np.zeros((len(wanted), geo_classes, geo_classes), np.int64)
    margins = np.zeros((len(wanted), len(MARGINS)), np.int64)
    digests = np.zeros((len(wanted), _NUMBERS), np.int64)
    for name, scored in own.items():
        place = places[name]
        matrices[place], digests[place] = scored.matrix, _numbers(scored.prediction)
        counts[:, place] = 1, scored.geo is not None, scored.margins is not None
        if scored.geo is not None:
            geo[place] = scored.geo
        if scored.margins is not None:
            margins[place] = scored.margins
    counts = world.all_reduce(counts)
    if wrong := np.flatnonzero(counts[0] != 1).tolist():
        names = [wanted[place] for place in wrong]
        raise RankLost(
            f"{len(names)} images were not scored exactly once: {listed(names)}", "run the same command again"
        )

    def if_all(row: int, found: NDArray[np.int64]) -> NDArray[np.int64] | None:
        return world.all_reduce(found) if counts[row].all() else None

    return Evaluation(
        ids=tuple(wanted),
        matrices=world.all_reduce(matrices),
        predictions=tuple(_digest(row) for row in world.all_reduce(digests)),
        geo=if_all(1, geo),
        margins=if_all(2, margins),
    )


def _numbers(digest: str) -> NDArray[np.int64]:
    """A digest as numbers, for processes that exchange nothing else: int64 [4]."""
    return np.frombuffer(bytes.fromhex(digest.removeprefix("sha256:")), "<i8").astype(np.int64)


def _digest(numbers: NDArray[np.int64]) -> str:
    return f"sha256:{numbers.astype('<i8').tobytes().hex()}"
