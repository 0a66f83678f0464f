"""The split guard: was a model trained on images that it is evaluated on?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fcnbench.datasets.catalogue import DATASETS, find_dataset
from fcnbench.datasets.splits import published_names, published_split


@dataclass(frozen=True)
class Leakage:
    """What a model declared of its training, and what of that it is evaluated on.

    Attributes:
        declared: names of the splits that it declares.
        listed: how many ids it lists itself, beside the splits.
        unknown: declared names that no split or data set has; these can't be checked.
        ids: evaluated images that it was trained on, in evaluation order.
    """

    declared: tuple[str, ...]
    listed: int
    unknown: tuple[str, ...]
    ids: tuple[str, ...]


def find_leakage(evaluated: Iterable[str], train_splits: str | Iterable[str], train_ids: Iterable[str] = ()) -> Leakage:
    """Compare the evaluated ids with everything that a model declares to be trained on.

    Args:
        evaluated: ids that are scored.
        train_splits: names of published lists (`seg11valid`) or of data sets (`voc2012val`, `pocket-train`).
        train_ids: ids of training images beyond these splits.
    """
    declared = (train_splits,) if isinstance(train_splits, str) else tuple(train_splits)
    own = frozenset(train_ids)
    trained, unknown = set(own), []
    for name in declared:
        if name in published_names():
            trained |= set(published_split(name).ids)
        elif name in DATASETS.entries():
            trained |= set(find_dataset(name).split.ids)
        else:
            unknown.append(name)
    return Leakage(
        declared=declared,
        listed=len(own),
        unknown=tuple(unknown),
        ids=tuple(sample_id for sample_id in evaluated if sample_id in trained),
    )
