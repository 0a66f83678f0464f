"""The canonical store: one Parquet file per task, readable by Hugging Face `datasets` as it is.

Columns are `id`, `image` (the picture's original bytes), `label` (8-bit PNG of class indices, 255 = ignore),
`classes` (those that occur in it), `height` and `width`; where the task has them `depth` and `hha` (picture files) and
`label_geo` (a second label map). A store's folder is named by its fingerprint and appears whole or not at all. Reading
checks every picture and label map against the manifest.

pyarrow is imported on first use: listing and `--help` do without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import (
    check_label,
    check_sizes,
    decode_depth,
    decode_hha,
    decode_image,
    decode_label,
)
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.manifest import Manifest, Row
from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import LabelSpace
from fcnbench.util.digests import digest_bytes, digest_lines

if TYPE_CHECKING:
    import datasets
    import pyarrow.parquet

PARQUET_NAME = "data.parquet"
"""The samples' file in a store's folder."""

_GROUPS = 4
"""Row groups that a data set keeps in memory: its readers need not all be at the same place."""

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
    """A task's samples as numpy arrays, read from its store; index and iterate it like a list, in any thread.

    Attributes:
        folder: the store's folder.
        manifest: what the store holds.
        label_space: classes, palette and ignore value.
        geo: label space of the second label map; None where there is none.
        spec: the dataset's specification, where `load_dataset` opened the store.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, label_space: LabelSpace, geo: LabelSpace | None = None
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.label_space = label_space
        self.geo = geo
        self.spec: DatasetSpec | None = None
        self._file: pyarrow.parquet.ParquetFile | None = None
        self._group_starts: list[int] = []
        self._groups: dict[int, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

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

    def packed_truths(self) -> Iterator[dict[str, bytes | None]]:
        """The stored label maps of every sample in order, `label` and `label_geo`, without reading a picture.

        Raises:
            DataCorrupt: the store can't be read.
        """
        import pyarrow as pa
        from pyarrow import parquet

        path = self.folder / PARQUET_NAME
        try:
            with parquet.ParquetFile(path, memory_map=True) as file:
                names = [name for name in ("id", "label", "label_geo") if name in file.schema_arrow.names]
                found = (row for batch in file.iter_batches(columns=names) for row in batch.to_pylist())
                for row, stored in zip(self.manifest.rows, found, strict=True):
                    if stored["id"] != row.id:
                        raise self._changed(row)
                    yield {name: (stored.get(name) or {}).get("bytes") for name in ("label", "label_geo")}
        except (OSError, pa.ArrowException, ValueError) as error:
            if isinstance(error, DataCorrupt):
                raise
            raise self._unreadable(error) from error

    def truth(self, place: int, packed: Mapping[str, bytes | None]) -> Sample:
        """The sample at a place without its pictures, of what `packed_truths` gave for it; for several threads at once.

        Raises:
            DataCorrupt: the store's bytes are not the ones that its manifest names.
        """
        row, what = self.manifest.rows[place], self._what(self.manifest.rows[place])
        digests = {"image": row.image, "depth": row.depth, "hha": row.hha}
        if _combined(digests | {name: digest_file_of(content) for name, content in packed.items()}) != row.stored:
            raise self._changed(row)
        geo = packed["label_geo"]
        return Sample(
            id=row.id,
            image=None,
            label=decode_label(packed["label"] or b"", f"the label map of {what}"),
            geo=decode_label(geo, f"the second label map of {what}") if geo else None,
        )

    def verify(self, place: int) -> Sample:
        """Decode a sample and check everything about it anew, down to the indices: more than reading does.

        Raises:
            DataCorrupt: something is not what the manifest says, or not what a sample of the task should be.
        """
        row, files, sample = self.manifest.rows[place], self.files(place), self._read(place)
        found = Row(
            id=sample.id,
            height=sample.label.shape[0],
            width=sample.label.shape[1],
            image=digest_file_of(files["image"]),
            label=digest_label(sample.label),
            depth=digest_file_of(files["depth"]),
            hha=digest_file_of(files["hha"]),
            geo=digest_label(sample.geo) if sample.geo is not None else None,
            stored=digest_stored(files),
        )
        what = self._what(row)
        if found != row:
            raise self._changed(row)
        check_label(sample.label, self.label_space, f"the label map of {what}")
        for kind, picture in (
            ("depth map", sample.depth),
            ("HHA picture", sample.hha),
            ("second label map", sample.geo),
        ):
            if picture is not None:
                check_sizes(picture, sample.label, what, kind)
        return sample

    def _read(self, place: int) -> Sample:
        row, files = self.manifest.rows[place], self.files(place)
        # The files are just those that were checked when the store was built, so their pixels need no second look.
        if self._stored(place)["id"] != row.id or digest_stored(files) != row.stored:
            raise self._changed(row)
        what, image, depth, hha, geo = self._what(row), files["image"], files["depth"], files["hha"], files["label_geo"]
        label = decode_label(files["label"] or b"", f"the label map of {what}")
        pixels = decode_image(image, f"the picture of {what}") if image else None
        if pixels is not None:
            check_sizes(pixels, label, what)
        return Sample(
            id=row.id,
            image=pixels,
            label=label,
            depth=decode_depth(depth, f"the depth map of {what}") if depth else None,
            hha=decode_hha(hha, f"the HHA picture of {what}") if hha else None,
            geo=decode_label(geo, f"the second label map of {what}") if geo else None,
        )

    def _what(self, row: Row) -> str:
        return f"{self.manifest.dataset} {row.id} in {self.folder}"

    def _changed(self, row: Row) -> DataCorrupt:
        return DataCorrupt(
            f"{self._what(row)} is not what the store's manifest says", f"delete the folder {self.folder} and run again"
        )

    def _stored(self, place: int) -> dict[str, Any]:
        """The raw columns of one sample; row groups are kept a while, since reading mostly goes on from there."""
        import bisect

        import pyarrow as pa
        from pyarrow import parquet

        path = self.folder / PARQUET_NAME
        try:
            with self._lock:
                if self._file is None:
                    self._file = parquet.ParquetFile(path, memory_map=True)
                    sizes = [self._file.metadata.row_group(each).num_rows for each in range(self._file.num_row_groups)]
                    self._group_starts = [sum(sizes[:group]) for group in range(len(sizes))]
                group = bisect.bisect_right(self._group_starts, place) - 1
                if group not in self._groups:
                    while len(self._groups) >= _GROUPS:
                        del self._groups[next(iter(self._groups))]
                    self._groups[group] = self._file.read_row_group(group).to_pylist()
                return self._groups[group][place - self._group_starts[group]]
        except (OSError, pa.ArrowException, IndexError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataCorrupt:
        return DataCorrupt(
            f"the store {self.folder / PARQUET_NAME} can't be read: {error}",
            f"delete the folder {self.folder} and run again",
        )


def digest_file_of(content: bytes | None) -> str | None:
    """Digest of a picture file; None where there is none."""
    return digest_bytes(content) if content is not None else None


def digest_stored(files: Mapping[str, bytes | None]) -> str:
    """Digest of a sample's files as the store holds them: of their digests, so that each can be checked alone."""
    return _combined({name: digest_file_of(files[name]) for name in _PICTURES})


def _combined(digests: Mapping[str, str | None]) -> str:
    return digest_lines(digests[name] or "-" for name in _PICTURES)


def digest_label(label: NDArray[np.uint8]) -> str:
    """Digest of a label map's indices, whatever file they are coded in."""
    return digest_bytes(np.ascontiguousarray(label).data)
