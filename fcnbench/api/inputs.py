"""What the public functions take: names and paths, and the objects that they stand for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fcnbench.datasets.registry import DATASETS
from fcnbench.errors import DataMissing, UsageError
from fcnbench.options import DataOptions
from fcnbench.records.location import RECORD_NAME, find
from fcnbench.util import paths

if TYPE_CHECKING:
    from torch import nn

    from fcnbench.datasets.spec import DatasetSpec
    from fcnbench.datasets.store.dataset import Dataset
    from fcnbench.leaderboard.filing import Filed
    from fcnbench.models.segmenter import Segmenter
    from fcnbench.records.model import Record

ModelLike: TypeAlias = "str | nn.Module | Segmenter | Callable[..., nn.Module | Segmenter]"
"""A model: its name, a network, an object with `prepare` and `logits`, or a factory of either."""

DatasetLike: TypeAlias = "str | DatasetSpec | Dataset"
"""A dataset: its name, its specification, or what `fcnbench.load_dataset` returned."""

RecordLike: TypeAlias = "str | Path | Filed | Record"
"""A record: its path or that of its folder, what `fcnbench.run` or `fcnbench.score` returned, or the record itself."""


@dataclass(frozen=True, eq=False)
class GivenDataset:
    """A dataset that a function was given.

    Attributes:
        spec: its specification.
        loaded: its samples, where it was given loaded.
    """

    spec: DatasetSpec
    loaded: Dataset | None = None

    def load(self, options: DataOptions) -> Dataset:
        """Return the samples.

        Raises:
            DataError: the dataset is missing, incomplete or corrupt.
        """
        if self.loaded is not None:
            return self.loaded
        from fcnbench.datasets.load import load_dataset

        return load_dataset(self.spec, options.source, options.allow_partial, options.accept_terms)


def dataset_name(dataset: DatasetLike) -> str:
    """Return the name of a dataset; a name is returned as it is.

    Raises:
        UsageError: an object is not a dataset.

    >>> dataset_name("pocket")
    'pocket'
    """
    if isinstance(dataset, str):
        return dataset
    from fcnbench.datasets.spec import DatasetSpec
    from fcnbench.datasets.store.dataset import Dataset

    if isinstance(dataset, Dataset):
        return dataset.manifest.dataset
    if isinstance(dataset, DatasetSpec):
        return dataset.name
    raise UsageError(
        f"the dataset is a {type(dataset).__name__}, expected a name, a DatasetSpec, or a loaded dataset",
        "pass one of these; `fcnbench.load_dataset` loads one",
    )


def given_dataset(dataset: DatasetLike, source: str | Path | None = None) -> GivenDataset:
    """Return a dataset's specification, once its name and the user's own copy are found.

    Args:
        dataset: name, specification, or loaded dataset.
        source: the user's own archive or extracted folder.

    Raises:
        UnknownName: no dataset has the name.
        UsageError: `source` is empty, or comes with a loaded dataset; or an object has the name of another dataset.
        DataMissing: `source` is not there.
    """
    name = dataset_name(dataset)
    if isinstance(dataset, str):
        DATASETS.find(name)
    if source is not None:
        own_copy(source)
    from fcnbench.datasets.registry import find_dataset
    from fcnbench.datasets.spec import DatasetSpec
    from fcnbench.datasets.store.dataset import Dataset

    registered = find_dataset(name) if name in DATASETS.entries() else None
    if isinstance(dataset, str):
        assert registered is not None
        return GivenDataset(registered)
    loaded = dataset if isinstance(dataset, Dataset) else None
    if loaded is not None and source is not None:
        raise UsageError(
            f"{name} is loaded, and from_ names a copy of it", "pass from_ to load_dataset, or the name here"
        )
    spec = dataset if isinstance(dataset, DatasetSpec) else (loaded.spec if loaded is not None else None) or registered
    if spec is None:
        raise UsageError(f"the specification of {name} is not known", "load it with `fcnbench.load_dataset(spec)`")
    if registered is not None and spec != registered:
        raise UsageError(f"{name} is a registered dataset, and this is another one", "give it another name")
    return GivenDataset(spec, loaded)


def own_copy(source: str | Path) -> Path:
    """Return the path of the user's own copy of a dataset.

    Raises:
        UsageError: it is empty.
        DataMissing: nothing is there.
    """
    if not str(source):
        raise UsageError("--from names no path", "pass an archive or a folder, or drop --from")
    path = paths.user_path(source, "--from")
    if not path.exists():
        raise DataMissing(f"--from {source}: nothing is there", "pass the path of an archive or of an extracted folder")
    return path


def check_record(record: RecordLike) -> None:
    """Check that a record is there, before anything heavy is imported.

    Raises:
        DataMissing: it is not.
        UsageError: an object is not a record.
    """
    if isinstance(record, str | Path):
        find(record)
    else:
        _record_in(record)


def load_record(record: RecordLike) -> Record:
    """Return the record that a path or an object stands for.

    Raises:
        DataMissing: it is not there.
        ResultsError: it can't be read.
        UsageError: an object is not a record.
    """
    if not isinstance(record, str | Path):
        return _record_in(record)
    from fcnbench.records.files import load

    return load(find(record))


@contextmanager
def record_file(record: RecordLike) -> Iterator[Path]:
    """Give the path of a record's file; a record that is not on disk is written into a temporary folder.

    Raises:
        DataMissing: it is not there.
        UsageError: an object is not a record.
    """
    path = record if isinstance(record, str | Path) else getattr(record, "path", None)
    if isinstance(record, str | Path) or (isinstance(path, Path) and path.is_file()):
        assert path is not None
        yield find(path)
        return
    from fcnbench.records.files import save

    with tempfile.TemporaryDirectory(prefix="fcnbench-record-") as scratch:
        yield save(_record_in(record), Path(scratch))


def _record_in(given: object) -> Record:
    """The record that an object is, or that a result of `run` holds."""
    from fcnbench.records.model import Record

    record = getattr(given, "record", given)
    if not isinstance(record, Record):
        raise UsageError(
            f"a {type(given).__name__} is not a record",
            f"pass the path of a {RECORD_NAME} or its folder, what fcnbench.run returned, or its record",
        )
    return record
