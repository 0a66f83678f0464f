"""Export of a store to other formats: Hugging Face `datasets`, the PASCAL VOC layout, Croissant.

The target folder appears when it is complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.datasets.codec.images import encode_label, image_extension
from fcnbench.datasets.extras import import_extra
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.card import write_card
from fcnbench.datasets.store.columns import PARQUET_NAME
from fcnbench.datasets.store.croissant import write_croissant
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.errors import OutputError, UsageError
from fcnbench.labelspace import VOC_PALETTE
from fcnbench.util import files
from fcnbench.util.console import progress

if TYPE_CHECKING:
    import datasets

_VOC_ROOT = "VOCdevkit/VOC2012"
"""Root folder of the VOC layout, where readers of VOC look for it."""

_VOC_FOLDERS = {"image": "JPEGImages", "depth": "Depth", "hha": "HHA"}
"""Folder of the VOC layout by column of the store."""

_CHUNK = 1 << 22
"""Bytes per read and write."""


def export(data: Dataset, kind: str, target: Path) -> None:
    """Write a store into a new folder.

    Args:
        data: the dataset.
        kind: a key of `KINDS`: `hf`, `voc` or `croissant`.
        target: a folder that does not exist or is empty.

    Raises:
        UsageError: `kind` is unknown, or `target` is not empty.
        DataCorrupt: the store is damaged.
        OutputError: the folder can't be written.

    >>> import fcnbench
    >>> folder = getfixture("tmp_path") / "pocket"
    >>> export(fcnbench.load_dataset("pocket"), "hf", folder)
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'data.parquet', 'manifest.json']
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not an export format", f"choose one of {', '.join(KINDS)}")
    try:
        files.check_target_free(target)
        files.check_writable(target.parent)
        with files.scratch_folder(target.parent) as scratch:
            KINDS[kind](data, scratch)
            files.publish_new(scratch, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}", "check permissions and free disk space"
        ) from error


def to_huggingface(data: Dataset) -> datasets.Dataset:
    """Return a store as a Hugging Face `datasets.Dataset`; its `Image` features decode images with Pillow.

    Raises:
        DataError: the package `datasets` is not installed (extra `huggingface-datasets`).
    """
    package = import_extra("datasets", "huggingface-datasets", "Dataset.to_huggingface()")
    table: datasets.Dataset = package.Dataset.from_parquet(str(data.folder / PARQUET_NAME))
    return table


def _spec_of(data: Dataset) -> DatasetSpec:
    """Return the specification of a dataset, which need not be registered."""
    return data.spec or find_dataset(data.manifest.dataset)


def _export_huggingface(data: Dataset, folder: Path) -> None:
    """Write Parquet file, manifest and data card, a folder for `datasets.load_dataset`."""
    _copy(data.folder / PARQUET_NAME, folder / PARQUET_NAME, f"export {data.manifest.dataset}")
    data.manifest.save(folder)
    write_card(_spec_of(data), data.manifest, folder)


def _export_croissant(data: Dataset, folder: Path) -> None:
    """Write the same files and `croissant.json`."""
    _export_huggingface(data, folder)
    write_croissant(_spec_of(data), data.manifest, folder)


def _export_voc(data: Dataset, folder: Path) -> None:
    """Write original images, label maps as PNGs with the VOC palette, the id list, and a folder per further map."""
    root = folder / _VOC_ROOT
    with progress(len(data), f"export {data.manifest.dataset}") as bar:
        for index, sample in enumerate(data):
            for column, content in data.encoded_files(index).items():
                if content is not None and column in _VOC_FOLDERS:
                    _write(root / _VOC_FOLDERS[column] / f"{sample.id}{image_extension(content)}", content)
            _write(root / "SegmentationClass" / f"{sample.id}.png", encode_label(sample.label, VOC_PALETTE))
            if sample.geo is not None:
                _write(root / "SegmentationGeo" / f"{sample.id}.png", encode_label(sample.geo, VOC_PALETTE))
            bar.update()
    id_list = "".join(f"{sample_id}\n" for sample_id in data.ids)
    _write(root / "ImageSets/Segmentation" / f"{data.manifest.dataset}.txt", id_list.encode())
    write_card(_spec_of(data), data.manifest, folder)


KINDS: dict[str, Callable[[Dataset, Path], None]] = {
    "hf": _export_huggingface,
    "voc": _export_voc,
    "croissant": _export_croissant,
}
"""Function by export format."""


def _copy(source: Path, target: Path, title: str) -> None:
    """Copy a large file with progress."""
    size = source.stat().st_size
    with source.open("rb") as reader, target.open("wb") as writer, progress(size, title, "byte") as bar:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            bar.update(len(chunk))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
