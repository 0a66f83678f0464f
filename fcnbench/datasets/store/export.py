"""Writing a store for others: Hugging Face `datasets`, the PASCAL VOC layout, Croissant.

A target folder appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fcnbench.datasets.codec.images import encode_label, picture_ending
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.card import write_card
from fcnbench.datasets.store.croissant import write_croissant
from fcnbench.datasets.store.dataset import PARQUET_NAME, Dataset
from fcnbench.errors import OutputError, UsageError
from fcnbench.labelspace import VOC_PALETTE
from fcnbench.util import files
from fcnbench.util.console import progress

_VOC_ROOT = "VOCdevkit/VOC2012"
"""Where readers of VOC look, whatever the data set."""

_CHUNK = 1 << 22
"""Bytes copied at a time."""


def export(data: Dataset, kind: str, target: Path) -> None:
    """Write a store into a new folder.

    Args:
        data: the store.
        kind: one of `KINDS`.
        target: a folder that does not exist yet, or is empty.

    Raises:
        UsageError: an unknown kind, or a target that is taken.
        DataCorrupt: the store is damaged.
        OutputError: the folder could not be written.
    """
    if kind not in KINDS:
        raise UsageError(f"nothing exports to {kind!r}", f"choose one of {', '.join(KINDS)}")
    try:
        files.refuse_taken(target)
        files.check_writable(target.parent)
        with files.scratch_folder(target.parent) as scratch:
            KINDS[kind](data, scratch)
            files.publish_new(scratch, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}", "check permissions and free disk space"
        ) from error


def _spec_of(data: Dataset) -> DatasetSpec:
    """Return the specification of a dataset, which need not be registered."""
    return data.spec or find_dataset(data.manifest.dataset)


def _huggingface(data: Dataset, folder: Path) -> None:
    """The Parquet file with its card: `load_dataset(folder)` reads it."""
    _copy(data.folder / PARQUET_NAME, folder / PARQUET_NAME, f"export {data.manifest.dataset}")
    data.manifest.save(folder)
    write_card(_spec_of(data), data.manifest, folder)


def _croissant(data: Dataset, folder: Path) -> None:
    """The same, and `croissant.json`, which describes it to any Croissant reader."""
    _huggingface(data, folder)
    write_croissant(_spec_of(data), data.manifest, folder)


def _voc(data: Dataset, folder: Path) -> None:
    """Pictures as they are, label maps as PNGs with the VOC palette, and the id list; further maps in own folders."""
    root = folder / _VOC_ROOT
    ids: list[str] = []
    with progress(len(data), f"export {data.manifest.dataset}") as bar:
        for place, sample in enumerate(data):
            for name, content in data.files(place).items():
                if content is not None and name in _VOC_FOLDERS:
                    _write(root / _VOC_FOLDERS[name] / f"{sample.id}{picture_ending(content)}", content)
            _write(root / "SegmentationClass" / f"{sample.id}.png", encode_label(sample.label, VOC_PALETTE))
            if sample.geo is not None:
                _write(root / "SegmentationGeo" / f"{sample.id}.png", encode_label(sample.geo, VOC_PALETTE))
            ids.append(sample.id)
            bar.update()
    _write(root / "ImageSets/Segmentation" / f"{data.manifest.dataset}.txt", "".join(f"{i}\n" for i in ids).encode())
    write_card(_spec_of(data), data.manifest, folder)


_VOC_FOLDERS = {"image": "JPEGImages", "depth": "Depth", "hha": "HHA"}
"""Folders of a store's picture columns."""

KINDS: dict[str, Callable[[Dataset, Path], None]] = {"hf": _huggingface, "voc": _voc, "croissant": _croissant}
"""What a store can be exported to."""


def _copy(source: Path, target: Path, what: str) -> None:
    """Copy a file that may have gigabytes."""
    size = source.stat().st_size
    with source.open("rb") as given, target.open("wb") as taken, progress(size, what, "byte") as bar:
        while chunk := given.read(_CHUNK):
            taken.write(chunk)
            bar.update(len(chunk))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
