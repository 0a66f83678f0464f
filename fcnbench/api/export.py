"""`export`: a task's store, written for others."""

from __future__ import annotations

from pathlib import Path

from fcnbench.api.plan import own_copy
from fcnbench.datasets.registry import DATASETS


def export(
    task: str,
    to: str,
    output: str | Path,
    *,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
) -> Path:
    """Write a task's samples into a new folder, in a format that other tools read; returns the folder.

    Args:
        task: name of the task.
        to: `hf` (a folder for `datasets.load_dataset`), `voc` (JPEGImages, SegmentationClass with the VOC palette,
            ImageSets) or `croissant` (the first, with a Croissant 1.1 description).
        output: a folder that does not exist yet, or is empty.
        from_: the user's own archive or extracted folder.
        allow_partial: accept an incomplete one.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UsageError: no task or format is called so, or the folder is taken.
        DataError: the data set is missing, incomplete or corrupt.
        OutputError: the folder could not be written.
    """
    DATASETS.find(task)
    if from_ is not None:
        own_copy(from_)
    from fcnbench.datasets.load import load_dataset
    from fcnbench.datasets.store import export as writing

    target = Path(output).expanduser()
    writing.export(load_dataset(task, from_, allow_partial, accept_terms), to, target)
    return target
