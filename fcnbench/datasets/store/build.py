"""Building a canonical store from a source: decode and check each sample, write Parquet, compute the fingerprint.

Samples are decoded on all cores and written in order, a few at a time, so that memory does not grow with the dataset.
The Parquet schema carries the feature description of Hugging Face `datasets`, so that `load_dataset("parquet", ...)`
returns `Image` and `ClassLabel` features. The description is written as plain metadata: pyarrow suffices to build a
store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import recognise
from fcnbench.datasets.codec.images import encode_label, label_counts
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.splits import ListedSplit
from fcnbench.datasets.store.card import write_card
from fcnbench.datasets.store.columns import PARQUET_NAME, columns_of, digest_optional, digest_stored, feature
from fcnbench.datasets.store.dataset import digest_label
from fcnbench.datasets.store.manifest import Manifest, Row, rows_digest
from fcnbench.datasets.store.masks import check_masks
from fcnbench.datasets.store.source_checks import check_sample, read_sample
from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.util import files
from fcnbench.util.console import Bar, listed, progress, track
from fcnbench.util.digests import short
from fcnbench.util.threads import map_ordered

_GROUP_SIZE = 16
"""Samples per Parquet row group, which are in memory together: a few MB."""


@dataclass(eq=False)
class _Totals:
    """Rows and histograms of all samples so far."""

    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    geo_histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _EncodedSample:
    """One checked sample, ready to be written.

    Attributes:
        row: its entry in the manifest.
        columns: its row of the Parquet file.
        counts: pixels per value of the label map, int64 [256].
        geo_counts: the same for the second label map; zeros if there is none.
    """

    row: Row
    columns: dict[str, Any]
    counts: NDArray[np.int64]
    geo_counts: NDArray[np.int64]


def canonicalise(spec: DatasetSpec, source: Source, folder: Path, allow_partial: bool) -> Path:
    """Build the store of a dataset below `folder`, and return the folder of the store.

    Args:
        spec: the dataset.
        source: the opened source of its samples.
        folder: the folder of the dataset's stores; the caller holds its lock.
        allow_partial: build from an incomplete source; a label map without an image is kept, with a null image.

    Raises:
        DataMissing: the source lacks samples, and `allow_partial` is false.
        DataCorrupt: an image or a label map is not valid, or the source changed meanwhile.
        OutputError: the store can't be written.
    """
    _check_ids(spec, source)
    if not allow_partial:
        _check_complete(spec, source)
    files.remove_leftovers(folder)
    identity, labelled = source.identity(), source.labels()
    ids = [sample_id for sample_id in source.split.ids if sample_id in labelled]
    totals = _Totals()
    with files.scratch_folder(folder) as scratch:
        with progress(len(ids), f"canonicalise {spec.name}") as bar:
            _write_parquet(spec, scratch / PARQUET_NAME, _read_samples(spec, source, ids, totals, bar))
        manifest = _manifest(spec, source, totals, identity)
        if source.identity() != identity:
            raise DataCorrupt(
                f"{source.location} changed while it was read", "make sure that no program writes to it, and try again"
            )
        _check_fingerprint(spec, manifest)
        if manifest.complete:
            check_masks(manifest)
        manifest.save(scratch)
        write_card(spec, manifest, scratch)
        target = folder / short(manifest.fingerprint, 16)
        files.publish_folder(scratch, target)
    return target


def fingerprint(spec: DatasetSpec, source: Source) -> str:
    """Return the fingerprint of the store that a source gives, without writing the store.

    Raises:
        DataCorrupt: an image or a label map is not valid.
    """
    ids = track(source.split.ids, f"read {spec.name}", "image")
    samples = ((sample_id, read_sample(spec, source, sample_id)) for sample_id in ids)
    return rows_digest([_encode(spec, native, sample_id, source.location).row for sample_id, native in samples])


def _manifest(spec: DatasetSpec, source: Source, totals: _Totals, identity: str) -> Manifest:
    candidates = tuple(name for names in spec.archives for name in names)
    total = spec.split.images
    return Manifest(
        dataset=spec.name,
        variant=source.variant,
        origin=source.location,
        identity=identity,
        sources=tuple(recognise(path, candidates) for path in source.archives),
        pinned=spec.fingerprint is not None and len(totals.rows) == total,
        split=source.split.digest,
        total=total,
        label_space=spec.label_space.name,
        classes=spec.label_space.classes,
        ignore=spec.label_space.ignore,
        histogram=_class_counts(totals.histogram, spec.label_space.num_classes),
        geo_classes=spec.geo.classes if spec.geo else (),
        geo_histogram=_class_counts(totals.geo_histogram, spec.geo.num_classes) if spec.geo else (),
        rows=tuple(totals.rows),
    )


def _class_counts(histogram: NDArray[np.int64], num_classes: int) -> tuple[int, ...]:
    """Return the pixels per class, then the ignored pixels."""
    return (*(int(count) for count in histogram[:num_classes]), int(histogram[-1]))


def _check_ids(spec: DatasetSpec, source: Source) -> None:
    """Check that a source, which may be a plugin's, has the ids of the dataset in their order."""
    if isinstance(spec.split, ListedSplit):
        spec.split.check(source.split, f"of {source.location}")
    elif source.split.ids != spec.split.ids:
        raise DataCorrupt(
            f"{source.location} has {source.split.images} ids, and they are not the {spec.split.images} of the split "
            f"{spec.split.name} in its order",
            f"the source of {spec.name} must return the split of its specification",
        )


def _check_complete(spec: DatasetSpec, source: Source) -> None:
    ids, images, labels, total = source.split.ids, source.images(), source.labels(), spec.split.images
    without_image = [sample_id for sample_id in ids if sample_id not in images]
    without_label = [sample_id for sample_id in ids if sample_id not in labels]
    gaps = [
        f"{len(missing)} of {total} {kind} ({listed(missing)})"
        for missing, kind in ((without_image, "images"), (without_label, "label maps"))
        if missing
    ]
    if len(ids) < total:
        gaps.append(f"{total - len(ids)} of {total} ids in its list")
    if gaps:
        raise DataMissing(
            f"{source.location} is not all of {spec.name}: it lacks {' and '.join(gaps)}",
            "pass the complete release to --from, or add --allow-partial: the result is then marked as partial",
        )


def _check_fingerprint(spec: DatasetSpec, manifest: Manifest) -> None:
    if spec.fingerprint and manifest.complete and manifest.fingerprint != spec.fingerprint:
        raise DataCorrupt(
            f"{spec.name} has the fingerprint {short(manifest.fingerprint)}, expected {short(spec.fingerprint)}",
            "the generated data differ on this platform, which is a bug: please report it with the output of "
            "`fcnbench doctor`",
        )


def _read_samples(
    spec: DatasetSpec, source: Source, ids: list[str], totals: _Totals, bar: Bar
) -> Iterator[dict[str, Any]]:
    """Yield the columns of each sample in order, read and checked on all cores; update `totals`."""

    def read(sample_id: str) -> _EncodedSample:
        return _encode(spec, read_sample(spec, source, sample_id), sample_id, source.location)

    for sample in map_ordered(read, ids):
        totals.rows.append(sample.row)
        totals.histogram += sample.counts
        totals.geo_histogram += sample.geo_counts
        yield sample.columns
        bar.update()


def _encode(spec: DatasetSpec, native: NativeSample, sample_id: str, location: str) -> _EncodedSample:
    """Check the parts of a sample against each other, and encode its columns."""
    name = f"{spec.name} {sample_id} in {location}"
    check_sample(spec, native, name)
    counts = label_counts(native.label)
    encoded = {
        "image": native.image,
        "label": encode_label(native.label),
        "depth": native.depth,
        "hha": native.hha,
        "label_geo": encode_label(native.geo) if native.geo is not None else None,
    }
    height, width = native.label.shape
    row = Row(
        id=sample_id,
        height=height,
        width=width,
        image=digest_optional(native.image),
        label=digest_label(native.label),
        depth=digest_optional(native.depth),
        hha=digest_optional(native.hha),
        geo=digest_label(native.geo) if native.geo is not None else None,
        stored=digest_stored(encoded),
    )
    columns = {
        "id": sample_id,
        "classes": np.flatnonzero(counts[: spec.label_space.num_classes]).tolist(),
        "height": height,
        "width": width,
        **{column: None if file is None else {"bytes": file, "path": None} for column, file in encoded.items()},
    }
    geo_counts = label_counts(native.geo) if native.geo is not None else np.zeros_like(counts)
    return _EncodedSample(row, columns, counts, geo_counts)


def _write_parquet(spec: DatasetSpec, path: Path, samples: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    types = {"Image": image, "string": pa.string(), "int32": pa.int32(), "ClassLabel": pa.list_(pa.int64())}
    columns = columns_of(spec)
    features = {name: feature(kind, spec.label_space) for name, kind in columns.items()}
    schema = pa.schema(
        {name: types[kind] for name, kind in columns.items()},
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    # Images are compressed already. Statistics and dictionaries of binary columns would repeat whole images in the page
    # headers.
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with parquet.ParquetWriter(path, schema, **options) as writer:
        while group := list(islice(samples, _GROUP_SIZE)):
            writer.write_table(pa.Table.from_pylist(group, schema))
