"""Merges the counts of several processes into one evaluation; every image must have been counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fcnbench.errors import RankLost
from fcnbench.evaluation.distributed import Ranks
from fcnbench.metrics.counts import GEO, LABELS, CountSpec
from fcnbench.records.evaluation import Counted, Evaluation, ImageCounts
from fcnbench.util.console import listed

_DIGEST_NUMBERS = 4
"""64-bit integers that hold a SHA-256."""


def merge(ids: Sequence[str], own: Mapping[str, ImageCounts], specs: Sequence[CountSpec], ranks: Ranks) -> Evaluation:
    """Return the evaluation of all images, of which this process has counted its own.

    A count that some image lacks is left out.

    Args:
        ids: all images, in order.
        own: what this process counted, by image id.
        specs: what may have been counted.
        ranks: the processes that share the work.

    Raises:
        RankLost: some image was counted by no process, or by several.
    """
    index = {name: position for position, name in enumerate(ids)}
    times = np.zeros(len(ids), np.int64)
    times[[index[name] for name in own]] = 1
    times = ranks.all_reduce(times)
    if wrong := np.flatnonzero(times != 1).tolist():
        names = [ids[position] for position in wrong]
        raise RankLost(
            f"{len(names)} images were not scored exactly once: {listed(names)}", "run the same command again"
        )
    counts = {}
    for spec in specs:
        values, there = np.zeros(spec.stored_shape(len(ids)), np.int64), np.zeros(1, np.int64)
        for name, image in own.items():
            if (found := image.counts.get(spec.name)) is not None:
                values[index[name] if spec.per_image else ...] += found
                there += 1
        if int(ranks.all_reduce(there)[0]) == len(ids):
            counts[spec.name] = Counted(spec, ranks.all_reduce(values))
    digests = {}
    for label_maps in (LABELS, GEO):
        numbers, there = np.zeros((len(ids), _DIGEST_NUMBERS), np.int64), np.zeros(1, np.int64)
        for name, image in own.items():
            if label_maps in image.digests:
                numbers[index[name]] = _numbers(image.digests[label_maps])
                there += 1
        if int(ranks.all_reduce(there)[0]) == len(ids):
            digests[label_maps] = tuple(_digest(row) for row in ranks.all_reduce(numbers))
    return Evaluation(ids=tuple(ids), counts=counts, digests=digests)


def _numbers(digest: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return a digest as integers, for processes that exchange nothing else: int64 [4]."""
    return np.frombuffer(bytes.fromhex(digest.removeprefix("sha256:")), "<i8").astype(np.int64)


def _digest(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    return f"sha256:{numbers.astype('<i8').tobytes().hex()}"
