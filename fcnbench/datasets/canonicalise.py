"""From a source to a canonical store: decode, check, write Parquet, name it by its fingerprint.

The Parquet schema carries the feature description of Hugging Face `datasets`, so `load_dataset("parquet", ...)` gives
`Image` features without further ado; it is written as plain metadata, since pyarrow alone then suffices to build a
store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.manifest import Manifest, Row
from fcnbench.datasets.pictures import check_sizes, decode_image, encode_label
from fcnbench.datasets.spec import DatasetSpec, Source
from fcnbench.datasets.store import PARQUET_NAME, digest_label
from fcnbench.errors import DataMissing
from fcnbench.ground import files
from fcnbench.ground.console import Bar, listed, progress
from fcnbench.ground.digests import digest_bytes, short

_GROUP = 16
"""Samples per Parquet row group: what is in memory at a time, a few MB."""

_FEATURES = {
    "id": {"dtype": "string", "_type": "Value"},
    "image": {"_type": "Image"},
    "label": {"_type": "Image"},
    "height": {"dtype": "int32", "_type": "Value"},
    "width": {"dtype": "int32", "_type": "Value"},
}
"""Hugging Face's description of the columns."""


def canonicalise(spec: DatasetSpec, source: Source, folder: Path, allow_partial: bool) -> Path:
    """Build the store of a task below `folder`; returns the store's own folder.

    Args:
        spec: the task.
        source: where its samples come from.
        folder: the task's folder of stores; the caller holds its lock.
        allow_partial: build from what is there; a label map without its picture is kept, with a null picture.

    Raises:
        DataMissing: the source lacks samples, and `allow_partial` was not given.
        DataCorrupt: a picture or label map is not what it should be.
        OutputError: the store could not be written.
    """
    if not allow_partial:
        _refuse_gaps(spec, source)
    files.drop_leftovers(folder)
    ids = [sample_id for sample_id in spec.split.ids if sample_id in source.labels()]
    histogram = np.zeros(spec.label_space.ignore + 1, np.int64)
    rows: list[Row] = []
    with files.scratch_folder(folder) as scratch:
        with progress(len(ids), f"canonicalise {spec.name}") as bar:
            _write_parquet(scratch / PARQUET_NAME, _samples(spec, source, ids, rows, histogram, bar))
        manifest = Manifest(
            dataset=spec.name,
            variant=source.variant,
            origin=source.place,
            identity=source.identity(),
            split=spec.split.digest,
            total=len(spec.split.ids),
            label_space=spec.label_space.name,
            classes=spec.label_space.classes,
            ignore=spec.label_space.ignore,
            histogram=(*(int(count) for count in histogram[: spec.label_space.num_classes]), int(histogram[-1])),
            rows=tuple(rows),
        )
        manifest.save(scratch)
        target = folder / short(manifest.fingerprint, 16)
        files.publish_folder(scratch, target)
    return target


def _refuse_gaps(spec: DatasetSpec, source: Source) -> None:
    no_image = [sample_id for sample_id in spec.split.ids if sample_id not in source.images()]
    no_label = [sample_id for sample_id in spec.split.ids if sample_id not in source.labels()]
    if not no_image and not no_label:
        return
    total = len(spec.split.ids)
    gaps = [
        f"{len(ids)} of {total} {what} ({listed(ids)})"
        for ids, what in ((no_image, "pictures"), (no_label, "label maps"))
        if ids
    ]
    raise DataMissing(
        f"{source.place} is not the whole of {spec.name}: it lacks {' and '.join(gaps)}",
        "pass the complete release to --from, or add --allow-partial: the result is then marked as a part",
    )


def _samples(
    spec: DatasetSpec, source: Source, ids: list[str], rows: list[Row], histogram: NDArray[np.int64], bar: Bar
) -> Iterator[dict[str, Any]]:
    """Read and check samples one by one; their rows are added to `rows` and their labels to `histogram`."""
    for sample_id in ids:
        native = source.read(sample_id)
        height, width = native.label.shape
        if native.image is not None:
            what = f"{spec.name} {sample_id} in {source.place}"
            check_sizes(decode_image(native.image, f"the picture of {what}"), native.label, what)
        rows.append(
            Row(
                id=sample_id,
                height=height,
                width=width,
                image=digest_bytes(native.image) if native.image is not None else None,
                label=digest_label(native.label),
            )
        )
        histogram += np.bincount(native.label.reshape(-1), minlength=len(histogram))
        yield {
            "id": sample_id,
            "image": None if native.image is None else {"bytes": native.image, "path": None},
            "label": {"bytes": encode_label(native.label), "path": None},
            "height": height,
            "width": width,
        }
        bar.update()


def _write_parquet(path: Path, samples: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {"id": pa.string(), "image": picture, "label": picture, "height": pa.int32(), "width": pa.int32()}
    description = json.dumps({"info": {"features": _FEATURES}})
    schema = pa.schema(columns, metadata={"huggingface": description})
    # Pictures and PNGs are compressed already; snappy costs next to nothing on them and helps the raw PPMs.
    # Statistics and dictionaries of binary columns would repeat whole pictures in the page headers.
    options = {"compression": "snappy", "use_dictionary": False, "write_statistics": False}
    with parquet.ParquetWriter(path, schema, **options) as writer:
        while group := list(islice(samples, _GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
