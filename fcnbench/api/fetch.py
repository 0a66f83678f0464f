"""`fetch`: download and build a dataset's canonical store; and check the mirrors of its archives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import DatasetLike, given_dataset
from fcnbench.datasets.registry import DATASETS
from fcnbench.options import FetchOptions

if TYPE_CHECKING:
    from fcnbench.datasets.store.dataset import Dataset
    from fcnbench.util.mirrors import MirrorStatus


def fetch(
    dataset: DatasetLike,
    *,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
) -> Dataset:
    """Load a dataset and build its store if necessary; the same as `load_dataset`, under the name of the command.

    Args:
        dataset: name of the dataset, its specification, or what `fcnbench.load_dataset` returned.
        from_: the user's own archive or extracted folder.
        allow_partial: accept an incomplete copy.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UsageError: no dataset has this name.
        DataError: the dataset is missing, incomplete or corrupt, or its archive's terms were not accepted.

    >>> import fcnbench
    >>> len(fcnbench.fetch("pocket"))
    64
    """
    options = FetchOptions.of(locals())
    return given_dataset(dataset, from_).load(options.data)


def check_urls(dataset: str | None = None) -> dict[str, list[MirrorStatus]]:
    """Return what every mirror answers today, by archive; of one dataset's archives, or of all.

    Raises:
        UsageError: no dataset has this name.
        DataMissing: the network is forbidden.
    """
    if dataset is not None:
        DATASETS.find(dataset)
    from fcnbench.datasets.archive import fetch
    from fcnbench.datasets.registry import find_dataset

    if dataset is None:
        return fetch.check_urls()
    return fetch.check_urls(tuple(name for names in find_dataset(dataset).archives for name in names))
