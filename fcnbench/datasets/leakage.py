"""The leakage check: was a model trained on images that it is evaluated on?

The ids of a declared training split come from the published list, or from a complete local store if the list is part of
the archive. Without either, the check passes only if the two splits are disjoint by definition, or if their ids have
different forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fcnbench.datasets.load import find_stores
from fcnbench.datasets.registry import DATASETS, find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split, disjoint_by_definition, published_names, published_split
from fcnbench.util import paths


@dataclass(frozen=True)
class Leakage:
    """The training data that a model declares, and the evaluated images among them.

    Attributes:
        declared: names of the declared training splits.
        listed: number of declared training ids beyond the splits.
        unknown: declared names that are neither a split nor a dataset; they can't be checked.
        unlisted: declared datasets whose id lists are not on this machine, and which may hold evaluated images.
        ids: evaluated images that the model was trained on, in evaluation order.

    Raises:
        ValueError: `listed` is not a number of ids.
    """

    declared: tuple[str, ...]
    listed: int
    unknown: tuple[str, ...]
    unlisted: tuple[str, ...]
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.listed < 2**63:
            raise ValueError(f"{self.listed} is not a number of training ids")

    @property
    def clear(self) -> bool:
        """Whether the check passes, so that the run may enter a board."""
        return not self.ids and not self.unlisted


def find_leakage(
    evaluated: Iterable[str], train_splits: str | Iterable[str], train_ids: Iterable[str] = (), split: str = ""
) -> Leakage:
    """Compare the evaluated ids with the training data that a model declares.

    Args:
        evaluated: ids of the scored images.
        train_splits: names of published lists (`seg11valid`) or datasets (`voc2012val`, `pocket-train`).
        train_ids: ids of further training images.
        split: name of the split of the evaluated ids.

    >>> find_leakage(["2007_000033", "2007_000042"], "seg11valid").ids
    ('2007_000033', '2007_000042')
    """
    declared = (train_splits,) if isinstance(train_splits, str) else tuple(train_splits)
    scored, own = tuple(evaluated), frozenset(train_ids)
    trained, unknown, unlisted = set(own), [], []
    for name in declared:
        if name in published_names():
            trained |= set(published_split(name).ids)
        elif name not in DATASETS.entries():
            unknown.append(name)
        elif (ids := known_ids(spec := find_dataset(name))) is not None:
            trained |= ids
        elif name not in disjoint_by_definition(split) and _may_share(spec, scored):
            unlisted.append(name)
    return Leakage(
        declared=declared,
        listed=len(own),
        unknown=tuple(unknown),
        unlisted=tuple(unlisted),
        ids=tuple(sample_id for sample_id in scored if sample_id in trained),
    )


def known_ids(spec: DatasetSpec) -> frozenset[str] | None:
    """Return the ids of a split; None if the list is part of an archive and there is no complete local store."""
    if isinstance(spec.split, Split):
        return frozenset(spec.split.ids)
    for store in find_stores(spec, paths.stores() / spec.name):
        if store.manifest.complete:
            return frozenset(store.ids)
    return None


def _may_share(spec: DatasetSpec, ids: Iterable[str]) -> bool:
    """Return whether some ids have the form of the ids of a dataset whose list is unknown."""
    return not isinstance(spec.split, Split) and any(re.fullmatch(spec.split.pattern, sample_id) for sample_id in ids)
