"""The canonical store: one Parquet file per task, readable by Hugging Face `datasets` as it is.

Columns are `id`, `image` (the picture's original bytes), `label` (8-bit grey PNG of class indices, 255 = ignore),
`height` and `width`. A store's folder is named by its fingerprint and appears whole or not at all. Reading checks
every picture and label map against the manifest.

pyarrow is imported on first use: listing and `--help` do without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.manifest import Manifest, Row
from fcnbench.datasets.pictures import check_label, check_sizes, decode_image, decode_label
from fcnbench.errors import DataCorrupt
from fcnbench.ground.digests import digest_bytes
from fcnbench.labelspace import LabelSpace

if TYPE_CHECKING:
    import datasets
    import pyarrow.parquet

PARQUET_NAME = "data.parquet"
"""The samples' file in a store's folder."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One decoded sample.

    Attributes:
        id: image id.
        image: uint8 [H, W, 3] RGB; None where the store has only the label map.
        label: uint8 [H, W], 0..C-1 and 255.
    """

    id: str
    image: NDArray[np.uint8] | None
    label: NDArray[np.uint8]


class Dataset(Sequence[Sample]):
    """A task's samples as numpy arrays, read from its store; index and iterate it like a list.

    Attributes:
        folder: the store's folder.
        manifest: what the store holds.
        label_space: classes, palette and ignore value.
    """

    def __init__(self, folder: Path, manifest: Manifest, label_space: LabelSpace) -> None:
        self.folder = folder
        self.manifest = manifest
        self.label_space = label_space
        self._file: pyarrow.parquet.ParquetFile | None = None
        self._group_starts: list[int] = []
        self._cached: tuple[int, list[dict[str, Any]]] = (-1, [])

    def __len__(self) -> int:
        return len(self.manifest.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """Image ids in the store's order."""
        return tuple(row.id for row in self.manifest.rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Decode a sample, or a list of them.

        Raises:
            DataCorrupt: the store's bytes are not the ones that its manifest names.
        """
        if isinstance(index, slice):
            return [self._read(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.manifest.dataset} has {len(self)} samples, none of index {index}")
        return self._read(index % len(self))

    def __iter__(self) -> Iterator[Sample]:
        return (self._read(place) for place in range(len(self)))

    def to_huggingface(self) -> datasets.Dataset:
        """The store as a Hugging Face `datasets.Dataset` (its features decode pictures with Pillow)."""
        from datasets import Dataset as HuggingFaceDataset

        return HuggingFaceDataset.from_parquet(str(self.folder / PARQUET_NAME))

    def _read(self, place: int) -> Sample:
        row, stored = self.manifest.rows[place], self._stored(place)
        what = f"{self.manifest.dataset} {row.id} in {self.folder}"
        label = decode_label(stored["label"]["bytes"], f"the label map of {what}")
        content = stored["image"] and stored["image"]["bytes"]
        self._verify(row, stored["id"], content, label, what)
        if content is None:
            return Sample(row.id, None, label)
        image = decode_image(content, f"the picture of {what}")
        check_sizes(image, label, what)
        return Sample(row.id, image, label)

    def _verify(self, row: Row, stored_id: str, content: bytes | None, label: NDArray[np.uint8], what: str) -> None:
        found = (stored_id, digest_bytes(content) if content is not None else None, digest_label(label))
        if found != (row.id, row.image, row.label):
            raise DataCorrupt(
                f"{what} is not what the store's manifest says", f"delete the folder {self.folder} and run again"
            )
        check_label(label, self.label_space, f"the label map of {what}")

    def _stored(self, place: int) -> dict[str, Any]:
        """The raw columns of one sample; the row group around it is kept, since reading mostly goes on from there."""
        import bisect

        import pyarrow as pa
        from pyarrow import parquet

        path = self.folder / PARQUET_NAME
        try:
            if self._file is None:
                self._file = parquet.ParquetFile(path, memory_map=True)
                sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
                self._group_starts = [sum(sizes[:group]) for group in range(len(sizes))]
            group = bisect.bisect_right(self._group_starts, place) - 1
            if self._cached[0] != group:
                self._cached = (group, self._file.read_row_group(group).to_pylist())
            return self._cached[1][place - self._group_starts[group]]
        except (OSError, pa.ArrowException, IndexError) as error:
            raise DataCorrupt(
                f"the store {path} can't be read: {error}", f"delete the folder {self.folder} and run again"
            ) from error


def digest_label(label: NDArray[np.uint8]) -> str:
    """Digest of a label map's indices, whatever file they are coded in."""
    return digest_bytes(np.ascontiguousarray(label).data)
