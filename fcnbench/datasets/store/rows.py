"""Reader of a store's Parquet file, with a small cache; pyarrow is imported on first use."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import DataCorrupt

if TYPE_CHECKING:
    import pyarrow.parquet

_CACHED_GROUPS = 4
"""Row groups that are kept in memory: several threads may read at different positions."""


class StoredRows:
    """The rows of a Parquet file, read in any order and from any thread.

    Args:
        path: the Parquet file; it is opened when the first row is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pyarrow.parquet.ParquetFile | None = None
        self._starts: list[int] = []
        self._groups: dict[int, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def read(self, index: int) -> dict[str, Any]:
        """Return the columns of one row.

        Raises:
            DataCorrupt: the file can't be read, or has no such row.
        """
        import pyarrow as pa

        try:
            with self._lock:
                file = self._opened()
                group = bisect_right(self._starts, index) - 1
                if group not in self._groups:
                    while len(self._groups) >= _CACHED_GROUPS:
                        del self._groups[next(iter(self._groups))]
                    self._groups[group] = file.read_row_group(group).to_pylist()
                return self._groups[group][index - self._starts[group]]
        except (OSError, pa.ArrowException, IndexError) as error:
            raise self._unreadable(error) from error

    def read_columns(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield some columns of all rows in order, without reading the other columns.

        Args:
            names: the columns; those that the file lacks are left out.

        Raises:
            DataCorrupt: the file can't be read.
        """
        import pyarrow as pa
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self._path, memory_map=True) as file:
                present = [name for name in names if name in file.schema_arrow.names]
                for batch in file.iter_batches(columns=present):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowException, ValueError) as error:
            if isinstance(error, DataCorrupt):
                raise
            raise self._unreadable(error) from error

    def _opened(self) -> pyarrow.parquet.ParquetFile:
        from pyarrow import parquet

        if self._file is None:
            self._file = parquet.ParquetFile(self._path, memory_map=True)
            groups = range(self._file.num_row_groups)
            sizes = [self._file.metadata.row_group(group).num_rows for group in groups]
            self._starts = list(accumulate(sizes, initial=0))[: len(sizes)]
        return self._file

    def _unreadable(self, error: Exception) -> DataCorrupt:
        return DataCorrupt(
            f"the store {self._path} can't be read: {error}", f"delete the folder {self._path.parent} and run again"
        )
