"""`fetch`: have a task's canonical store, downloading its archive if need be; and ask the mirrors how they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.plan import own_copy
from fcnbench.datasets.registry import DATASETS

if TYPE_CHECKING:
    from fcnbench.datasets.store.dataset import Dataset
    from fcnbench.util.mirrors import MirrorStatus


def fetch(
    task: str, *, from_: str | Path | None = None, allow_partial: bool = False, accept_terms: bool = False
) -> Dataset:
    """Have a task's canonical store; the same as `load_dataset`, under the command's name.

    Args:
        task: name of the task.
        from_: the user's own archive or extracted folder.
        allow_partial: accept an incomplete one.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UsageError: no task is called so.
        DataError: the data set is missing, incomplete or corrupt, or its archive's terms were not accepted.
    """
    DATASETS.find(task)
    if from_ is not None:
        own_copy(from_)
    from fcnbench.datasets.load import load_dataset

    return load_dataset(task, from_, allow_partial, accept_terms)


def check_urls(task: str | None = None) -> dict[str, list[MirrorStatus]]:
    """What every mirror answers today, by archive; of one task's archives, or of all.

    Raises:
        UsageError: no task is called so.
        DataMissing: the network is forbidden.
    """
    if task is not None:
        DATASETS.find(task)
    from fcnbench.datasets.archive import fetch
    from fcnbench.datasets.registry import find_dataset

    if task is None:
        return fetch.check_urls()
    return fetch.check_urls(tuple(name for names in find_dataset(task).archives for name in names))
