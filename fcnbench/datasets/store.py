"""The canonical store: one Parquet file per task, readable by Hugging Face `datasets` as it is.

Columns are `id`, `image` (the picture's original bytes), `label` (8-bit grey PNG of class indices, 255 = ignore),
`classes` (those that occur in it), `height` and `width`; where the task has them `depth` and `hha` (picture files) and
`label_geo` (a second label map). A store's folder is named by its fingerprint and appears whole or not at all. Reading
checks every picture and label map against the manifest.

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
from fcnbench.datasets.pictures import check_label, check_sizes, decode_depth, decode_image, decode_label
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.errors import DataCorrupt
from fcnbench.ground.digests import digest_bytes
from fcnbench.labelspace import LabelSpace

if TYPE_CHECKING:
    import datasets
    import pyarrow.parquet

PARQUET_NAME = "data.parquet"
"""The samples' file in a store's folder."""


_COLUMNS = {
    "id": "string",
    "image": "Image",
    "label": "Image",
    "classes": "ClassLabel",
    "height": "int32",
    "width": "int32",
}
"""Columns that every store has, and their types in Hugging Face's words."""

_PICTURES = ("image", "label", "depth", "hha", "label_geo")
"""Columns that hold picture files."""


def columns_of(spec: DatasetSpec) -> dict[str, str]:
    """The columns of a task's store, and their types."""
    more = [name for name in ("depth", "hha") if name in spec.modalities] + (["label_geo"] if spec.geo else [])
    return _COLUMNS | dict.fromkeys(more, "Image")


def feature(kind: str, space: LabelSpace) -> dict[str, Any]:
    """Hugging Face's description of a column of this type."""
    if kind == "Image":
        return {"_type": "Image"}
    if kind == "ClassLabel":
        return {"feature": {"names": list(space.classes), "_type": "ClassLabel"}, "_type": "Sequence"}
    return {"dtype": kind, "_type": "Value"}


@dataclass(frozen=True, eq=False)
class Sample:
    """One decoded sample.

    Attributes:
        id: image id.
        image: uint8 [H, W, 3] RGB; None where the store has only the label map.
        label: uint8 [H, W], 0..C-1 and 255.
        depth: uint16 [H, W], millimetres; None where the store has none.
        hha: uint8 [H, W, 3]: horizontal disparity, height above ground, angle with gravity; None where there is none.
        geo: second label map, uint8 [H, W]; None where there is none.
    """

    id: str
    image: NDArray[np.uint8] | None
    label: NDArray[np.uint8]
    depth: NDArray[np.uint16] | None = None
    hha: NDArray[np.uint8] | None = None
    geo: NDArray[np.uint8] | None = None

    def modality(self, name: str) -> NDArray[Any] | None:
        """The picture of one modality: `rgb`, `depth` or `hha`."""
        pictures: dict[str, NDArray[Any] | None] = {"rgb": self.image, "depth": self.depth, "hha": self.hha}
        return pictures[name]


class Dataset(Sequence[Sample]):
    """A task's samples as numpy arrays, read from its store; index and iterate it like a list.

    Attributes:
        folder: the store's folder.
        manifest: what the store holds.
        label_space: classes, palette and ignore value.
        geo: label space of the second label map; None where there is none.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, label_space: LabelSpace, geo: LabelSpace | None = None
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.label_space = label_space
        self.geo = geo
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

    def files(self, place: int) -> dict[str, bytes | None]:
        """The stored picture files of a sample by column: `image`, `label`, `depth`, `hha`, `label_geo`.

        Raises:
            DataCorrupt: the store can't be read.
        """
        stored = self._stored(place)
        return {name: (stored.get(name) or {}).get("bytes") for name in _PICTURES}

    def to_huggingface(self) -> datasets.Dataset:
        """The store as a Hugging Face `datasets.Dataset` (its features decode pictures with Pillow)."""
        from datasets import Dataset as HuggingFaceDataset

        return HuggingFaceDataset.from_parquet(str(self.folder / PARQUET_NAME))

    def _read(self, place: int) -> Sample:
        row, files = self.manifest.rows[place], self.files(place)
        what = f"{self.manifest.dataset} {row.id} in {self.folder}"
        label = decode_label(files["label"] or b"", f"the label map of {what}")
        geo = decode_label(files["label_geo"], f"the second label map of {what}") if files["label_geo"] else None
        found = Row(
            id=self._stored(place)["id"],
            height=label.shape[0],
            width=label.shape[1],
            image=_digest(files["image"]),
            label=digest_label(label),
            depth=_digest(files["depth"]),
            hha=_digest(files["hha"]),
            geo=digest_label(geo) if geo is not None else None,
        )
        if found != row:
            raise DataCorrupt(
                f"{what} is not what the store's manifest says", f"delete the folder {self.folder} and run again"
            )
        check_label(label, self.label_space, f"the label map of {what}")
        image = decode_image(files["image"], f"the picture of {what}") if files["image"] else None
        if image is not None:
            check_sizes(image, label, what)
        return Sample(
            id=row.id,
            image=image,
            label=label,
            depth=decode_depth(files["depth"], f"the depth map of {what}") if files["depth"] else None,
            hha=decode_image(files["hha"], f"the HHA picture of {what}") if files["hha"] else None,
            geo=geo,
        )

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


def _digest(content: bytes | None) -> str | None:
    return digest_bytes(content) if content else None


def digest_label(label: NDArray[np.uint8]) -> str:
    """Digest of a label map's indices, whatever file they are coded in."""
    return digest_bytes(np.ascontiguousarray(label).data)
