"""Merges the counts of several processes into one evaluation; every image must have been counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from fcnbench.errors import RankLost
from fcnbench.evaluation.distributed import Ranks
from fcnbench.metrics.counts import GEO, LABELS, CountSpec
from fcnbench.records.evaluation import Counted, Evaluation, ImageCounts
from fcnbench.util.console import listed


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
    parts = ranks.all_gather({name: dict(image.digests) for name, image in own.items()})
    times = Counter(name for part in parts for name in part)
    if wrong := [name for name in ids if times[name] != 1]:
        raise RankLost(
            f"{len(wrong)} images were not scored exactly once: {listed(wrong)}", "run the same command again"
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
    images = {name: digests for part in parts for name, digests in part.items()}
    digests = {
        label_maps: tuple(images[name][label_maps] for name in ids)
        for label_maps in (LABELS, GEO)
        if all(label_maps in images[name] for name in ids)
    }
    return Evaluation(ids=tuple(ids), counts=counts, digests=digests)
