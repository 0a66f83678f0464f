"""The split guard: was a model trained on images that it is evaluated on?

The ids of a declared split are the published list's, or those of a complete local store where the list comes with the
archive. Where neither is there, a run is not cleared unless the two splits are disjoint by definition or by the look
of their ids.
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
    """What a model declared of its training, and what of that it is evaluated on.

    Attributes:
        declared: names of the splits that it declares.
        listed: how many ids it lists itself, beside the splits.
        unknown: declared names that no split or dataset has; these can't be checked.
        unlisted: declared datasets whose id lists are not on this machine, and which may hold evaluated images.
        ids: evaluated images that it was trained on, in evaluation order.
    """

    declared: tuple[str, ...]
    listed: int
    unknown: tuple[str, ...]
    unlisted: tuple[str, ...]
    ids: tuple[str, ...]

    @property
    def clear(self) -> bool:
        """True when nothing that was declared stands in the way of a board."""
        return not self.ids and not self.unlisted


def find_leakage(
    evaluated: Iterable[str], train_splits: str | Iterable[str], train_ids: Iterable[str] = (), split: str = ""
) -> Leakage:
    """Compare the evaluated ids with everything that a model declares to be trained on.

    Args:
        evaluated: ids that are scored.
        train_splits: names of published lists (`seg11valid`) or of datasets (`voc2012val`, `pocket-train`).
        train_ids: ids of training images beyond these splits.
        split: name of the split that the evaluated ids are from.
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
    """Ids of a task's split; None where its list comes with an archive, and no complete store of it is here."""
    if isinstance(spec.split, Split):
        return frozenset(spec.split.ids)
    for store in find_stores(spec, paths.stores() / spec.name):
        if store.manifest.complete:
            return frozenset(store.ids)
    return None


def _may_share(spec: DatasetSpec, ids: Iterable[str]) -> bool:
    """Whether some of these ids look like those of a task's own list."""
    return not isinstance(spec.split, Split) and any(re.fullmatch(spec.split.pattern, each) for each in ids)
