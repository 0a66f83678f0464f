"""`export`: a dataset's store, written in a format of other tools."""

from __future__ import annotations

from pathlib import Path

from fcnbench.api.inputs import DatasetLike, given_dataset
from fcnbench.options import ExportOptions


def export(
    dataset: DatasetLike,
    to: str,
    output: str | Path | None = None,
    *,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
) -> Path:
    """Write a dataset's samples into a new folder, in a format that other tools read; return the folder.

    Args:
        dataset: name of the dataset, its specification, or what `fcnbench.load_dataset` returned.
        to: `hf` (a folder for `datasets.load_dataset`), `voc` (JPEGImages, SegmentationClass with the VOC palette,
            ImageSets) or `croissant` (as `hf`, with a Croissant 1.1 description).
        output: a folder that does not exist yet, or is empty; `<dataset>-<to>` in the working directory by default.
        from_: the user's own archive or extracted folder.
        allow_partial: accept an incomplete copy.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UsageError: no dataset or format has this name, or the folder is taken.
        DataError: the dataset is missing, incomplete or corrupt.
        OutputError: the folder could not be written.

    >>> import fcnbench
    >>> sorted(path.name for path in fcnbench.export("pocket", "voc", "exported").iterdir())
    ['README.md', 'VOCdevkit']
    """
    options = ExportOptions.of(locals())
    given = given_dataset(dataset, from_)
    from fcnbench.datasets.store import export as writing

    target = Path(f"{given.spec.name}-{to}" if output is None else output).expanduser()
    writing.export(given.load(options.data), to, target)
    return target
