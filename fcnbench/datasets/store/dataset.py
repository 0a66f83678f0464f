"""The samples of a canonical store as numpy arrays, each checked against the manifest when it is read.

A store is one Parquet file, which Hugging Face `datasets` reads too. Its columns are `id`, `image` (the bytes of the
original image file), `label` (8-bit PNG of class indices, 255 = ignore), `classes` (the classes in the label map),
`height` and `width`; some datasets add `depth`, `hha` (image files) and `label_geo` (a second label map). The folder of
a store is named by its fingerprint, and is complete or absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import check_sizes, decode_depth, decode_hha, decode_image, decode_label
from fcnbench.datasets.store.columns import PARQUET_NAME, combine_digests, digest_optional, digest_stored, files_of
from fcnbench.datasets.store.manifest import Manifest, Row
from fcnbench.datasets.store.rows import StoredRows
from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import LabelSpace
from fcnbench.util.digests import digest_bytes

if TYPE_CHECKING:
    import datasets

    from fcnbench.datasets.spec import DatasetSpec


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """One decoded sample.

    Attributes:
        id: image id.
        image: uint8 [H, W, 3] RGB; None if the store holds only the label map.
        label: label map, uint8 [H, W], values 0..C-1 and 255.
        depth: uint16 [H, W], millimetres; None if the store has none.
        hha: uint8 [H, W, 3]: horizontal disparity, height above ground, angle with gravity; None if there is none.
        geo: second label map, uint8 [H, W]; None if there is none.
    """

    id: str
    image: NDArray[np.uint8] | None
    label: NDArray[np.uint8]
    depth: NDArray[np.uint16] | None = None
    hha: NDArray[np.uint8] | None = None
    geo: NDArray[np.uint8] | None = None

    def __repr__(self) -> str:
        height, width = self.label.shape
        held = [name for name in ("image", "depth", "hha", "geo") if getattr(self, name) is not None]
        return f"<Sample {self.id}, {width}x{height}: {', '.join(['label', *held])}>"

    def modality(self, name: str) -> NDArray[Any] | None:
        """Return the image of one modality, `rgb`, `depth` or `hha`; None if the sample has none."""
        images: dict[str, NDArray[Any] | None] = {"rgb": self.image, "depth": self.depth, "hha": self.hha}
        return images[name]


class Dataset(Sequence[Sample]):
    """The samples of one dataset; index and iterate it like a list, in any thread.

    Attributes:
        folder: folder of the store.
        manifest: content of the store.
        label_space: classes, palette and ignore value.
        geo: label space of the second label map; None if there is none.
        spec: the dataset's specification, where `load_dataset` opened the store.

    >>> import fcnbench
    >>> data = fcnbench.load_dataset("pocket")
    >>> len(data), data[0].id, data[0].image.shape
    (64, 'val-0000', (152, 241, 3))
    """

    def __init__(
        self, folder: Path, manifest: Manifest, label_space: LabelSpace, geo: LabelSpace | None = None
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.label_space = label_space
        self.geo = geo
        self.spec: DatasetSpec | None = None
        self._rows = StoredRows(folder / PARQUET_NAME)

    def __repr__(self) -> str:
        name, total, classes = self.manifest.dataset, self.manifest.total, self.label_space.num_classes
        return f"<Dataset {name}, {len(self)} of {total} images, {classes} classes>"

    def __len__(self) -> int:
        return len(self.manifest.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """Image ids in the order of the store."""
        return tuple(row.id for row in self.manifest.rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Decode one sample or several.

        Raises:
            IndexError: there is no such sample.
            DataCorrupt: the bytes in the store differ from the manifest.
        """
        if isinstance(index, slice):
            return [self._read(position) for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.manifest.dataset} has {len(self)} samples, none of index {index}")
        return self._read(index % len(self))

    def __iter__(self) -> Iterator[Sample]:
        return (self._read(index) for index in range(len(self)))

    def encoded_files(self, index: int) -> dict[str, bytes | None]:
        """Return the files of a sample by column: `image`, `label`, `depth`, `hha`, `label_geo`.

        Raises:
            DataCorrupt: the store can't be read.
        """
        return files_of(self._rows.read(index))

    def encoded_label_maps(self) -> Iterator[dict[str, bytes | None]]:
        """Yield the encoded label maps of each sample in order, `label` and `label_geo`, without reading images.

        Raises:
            DataCorrupt: the store can't be read, or its ids differ from the manifest.
        """
        stored = self._rows.read_columns(("id", "label", "label_geo"))
        for row, columns in zip_longest(self.manifest.rows, stored):
            if row is None or columns is None:
                raise DataCorrupt(
                    f"{self.folder / PARQUET_NAME} and the manifest beside it have different numbers of rows",
                    f"delete the folder {self.folder} and run again",
                )
            if columns["id"] != row.id:
                raise self.mismatch(row)
            files = files_of(columns)
            yield {name: files[name] for name in ("label", "label_geo")}

    def decode_label_maps(self, index: int, encoded: Mapping[str, bytes | None]) -> Sample:
        """Return a sample without its images, from its item of `encoded_label_maps`; thread-safe.

        Raises:
            DataCorrupt: the bytes differ from the manifest.
        """
        row, name, geo = self.manifest.rows[index], self.describe(self.manifest.rows[index]), encoded["label_geo"]
        digests = {column: digest_optional(content) for column, content in encoded.items()}
        if combine_digests({"image": row.image, "depth": row.depth, "hha": row.hha, **digests}) != row.stored:
            raise self.mismatch(row)
        return Sample(
            id=row.id,
            image=None,
            label=decode_label(encoded["label"] or b"", f"the label map of {name}"),
            geo=decode_label(geo, f"the second label map of {name}") if geo else None,
        )

    def to_huggingface(self) -> datasets.Dataset:
        """Return the store as a Hugging Face `datasets.Dataset`; needs the extra `huggingface-datasets`.

        Raises:
            DataError: the package `datasets` is not installed.
        """
        from fcnbench.datasets.store.export import to_huggingface

        return to_huggingface(self)

    def describe(self, row: Row) -> str:
        """Return the name of a sample for messages."""
        return f"{self.manifest.dataset} {row.id} in {self.folder}"

    def mismatch(self, row: Row) -> DataCorrupt:
        """Return the error for a sample whose content differs from the manifest."""
        return DataCorrupt(
            f"{self.describe(row)} differs from the store's manifest", f"delete the folder {self.folder} and run again"
        )

    def _read(self, index: int) -> Sample:
        row, columns = self.manifest.rows[index], self._rows.read(index)
        files = files_of(columns)
        # Equal bytes were checked when the store was built; their pixels need no second check.
        if columns["id"] != row.id or digest_stored(files) != row.stored:
            raise self.mismatch(row)
        name, image, depth, hha, geo = (
            self.describe(row), files["image"], files["depth"], files["hha"], files["label_geo"]
        )  # fmt: skip
        label = decode_label(files["label"] or b"", f"the label map of {name}")
        pixels = decode_image(image, f"the image of {name}") if image else None
        if pixels is not None:
            check_sizes(pixels, label, name)
        return Sample(
            id=row.id,
            image=pixels,
            label=label,
            depth=decode_depth(depth, f"the depth map of {name}") if depth else None,
            hha=decode_hha(hha, f"the HHA image of {name}") if hha else None,
            geo=decode_label(geo, f"the second label map of {name}") if geo else None,
        )


def digest_label(label: NDArray[np.uint8]) -> str:
    """Return the digest of the class indices of a label map, independent of how it is encoded.

    Args:
        label: uint8 [H, W].
    """
    return digest_bytes(np.ascontiguousarray(label).data)
