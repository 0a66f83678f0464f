"""From a source to a canonical store: decode, check, write Parquet, name it by its fingerprint.

Samples are decoded on all cores and written in order, a few at a time, so memory does not grow with the dataset. The
Parquet schema carries the feature description of Hugging Face `datasets`, so `load_dataset("parquet", ...)` gives
`Image` and `ClassLabel` features without further ado; it is written as plain metadata, since pyarrow alone then
suffices to build a store.
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
from fcnbench.datasets.codec.images import (
    check_sizes,
    decode_depth,
    decode_hha,
    decode_image,
    encode_label,
    label_counts,
)
from fcnbench.datasets.spec import DatasetSpec, Source
from fcnbench.datasets.splits import ListedSplit
from fcnbench.datasets.store.card import write_card
from fcnbench.datasets.store.dataset import (
    PARQUET_NAME,
    columns_of,
    digest_file_of,
    digest_label,
    digest_stored,
    feature,
)
from fcnbench.datasets.store.manifest import Manifest, Row, rows_digest
from fcnbench.datasets.store.masks import check_masks
from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.util import files
from fcnbench.util.console import Bar, listed, progress, track
from fcnbench.util.digests import short
from fcnbench.util.threads import map_ordered

_GROUP = 16
"""Samples per Parquet row group: what is in memory at a time, a few MB."""


@dataclass(eq=False)
class _Tally:
    """What adds up over the samples."""

    histogram: NDArray[np.int64]
    geo_histogram: NDArray[np.int64]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Done:
    """One sample, ready to be written."""

    row: Row
    columns: dict[str, Any]
    counts: NDArray[np.int64]
    geo_counts: NDArray[np.int64]


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
    _refuse_other_ids(spec, source)
    total = spec.split.images
    if not allow_partial:
        _refuse_gaps(spec, source, total)
    files.remove_leftovers(folder)
    identity, labelled = source.identity(), source.labels()
    ids = [sample_id for sample_id in source.split.ids if sample_id in labelled]
    tally = _Tally(np.zeros(256, np.int64), np.zeros(256, np.int64))
    with files.scratch_folder(folder) as scratch:
        with progress(len(ids), f"canonicalise {spec.name}") as bar:
            _write_parquet(spec, scratch / PARQUET_NAME, _samples(spec, source, ids, tally, bar))
        manifest = _manifest(spec, source, total, tally, identity)
        if source.identity() != identity:
            raise DataCorrupt(f"{source.place} changed while it was read", "let nothing write to it, and try again")
        if spec.fingerprint and manifest.complete and manifest.fingerprint != spec.fingerprint:
            raise DataCorrupt(
                f"{spec.name} came out with the fingerprint {short(manifest.fingerprint)}, expected "
                f"{short(spec.fingerprint)}",
                "this platform makes it differently, which must not happen: please report it with `fcnbench doctor`",
            )
        if manifest.complete:
            check_masks(manifest)
        manifest.save(scratch)
        write_card(spec, manifest, scratch)
        target = folder / short(manifest.fingerprint, 16)
        files.publish_folder(scratch, target)
    return target


def fingerprint(spec: DatasetSpec, source: Source) -> str:
    """The fingerprint that a source's store would have, without writing one.

    Raises:
        DataCorrupt: a picture or label map is not what it should be.
    """
    return rows_digest(
        [_read(spec, source, each).row for each in track(source.split.ids, f"read {spec.name}", "image")]
    )


def _manifest(spec: DatasetSpec, source: Source, total: int, tally: _Tally, identity: str) -> Manifest:
    candidates = tuple(name for names in spec.archives for name in names)
    return Manifest(
        dataset=spec.name,
        variant=source.variant,
        origin=source.place,
        identity=identity,
        sources=tuple(recognise(path, candidates) for path in source.archives),
        pinned=spec.fingerprint is not None and len(tally.rows) == total,
        split=source.split.digest,
        total=total,
        label_space=spec.label_space.name,
        classes=spec.label_space.classes,
        ignore=spec.label_space.ignore,
        histogram=_counts(tally.histogram, spec.label_space.num_classes),
        geo_classes=spec.geo.classes if spec.geo else (),
        geo_histogram=_counts(tally.geo_histogram, spec.geo.num_classes) if spec.geo else (),
        rows=tuple(tally.rows),
    )


def _counts(histogram: NDArray[np.int64], num_classes: int) -> tuple[int, ...]:
    """Pixels per class, then the ignored ones."""
    return (*(int(count) for count in histogram[:num_classes]), int(histogram[-1]))


def _refuse_other_ids(spec: DatasetSpec, source: Source) -> None:
    """Refuse a source whose ids are not the task's, whoever wrote the source."""
    if isinstance(spec.split, ListedSplit):
        spec.split.check(source.split, f"of {source.place}")
    elif source.split.ids != spec.split.ids:
        raise DataCorrupt(
            f"{source.place} has {source.split.images} ids, and they are not the {spec.split.images} of the split "
            f"{spec.split.name} in its order",
            f"let the source of {spec.name} give its specification's split",
        )


def _refuse_gaps(spec: DatasetSpec, source: Source, total: int) -> None:
    ids, images, labels = source.split.ids, source.images(), source.labels()
    no_image = [sample_id for sample_id in ids if sample_id not in images]
    no_label = [sample_id for sample_id in ids if sample_id not in labels]
    gaps = [
        f"{len(missing)} of {total} {what} ({listed(missing)})"
        for missing, what in ((no_image, "pictures"), (no_label, "label maps"))
        if missing
    ]
    if len(ids) < total:
        gaps.append(f"{total - len(ids)} of {total} ids in its list")
    if gaps:
        raise DataMissing(
            f"{source.place} is not the whole of {spec.name}: it lacks {' and '.join(gaps)}",
            "pass the complete release to --from, or add --allow-partial: the result is then marked as a part",
        )


def _samples(spec: DatasetSpec, source: Source, ids: list[str], tally: _Tally, bar: Bar) -> Iterator[dict[str, Any]]:
    """Read and check samples on all cores; they come out in order, and their sums go into `tally`."""
    for done in map_ordered(lambda sample_id: _read(spec, source, sample_id), ids):
        tally.rows.append(done.row)
        tally.histogram += done.counts
        tally.geo_histogram += done.geo_counts
        yield done.columns
        bar.update()


def _read(spec: DatasetSpec, source: Source, sample_id: str) -> _Done:
    """Read a sample, check its parts against each other, and encode its columns."""
    native = source.read(sample_id)
    what = f"{spec.name} {sample_id} in {source.place}"
    height, width = native.label.shape
    for kind, content, decode in (("picture", native.image, decode_image), ("HHA picture", native.hha, decode_hha)):
        if content is not None:
            check_sizes(decode(content, f"the {kind} of {what}"), native.label, what, kind)
    if native.depth is not None:
        check_sizes(decode_depth(native.depth, f"the depth map of {what}"), native.label, what, "depth map")
    if native.geo is not None:
        check_sizes(native.geo, native.label, what, "second label map")
    counts = label_counts(native.label)
    files = {
        "image": native.image,
        "label": encode_label(native.label),
        "depth": native.depth,
        "hha": native.hha,
        "label_geo": encode_label(native.geo) if native.geo is not None else None,
    }
    row = Row(
        id=sample_id,
        height=height,
        width=width,
        image=digest_file_of(native.image),
        label=digest_label(native.label),
        depth=digest_file_of(native.depth),
        hha=digest_file_of(native.hha),
        geo=digest_label(native.geo) if native.geo is not None else None,
        stored=digest_stored(files),
    )
    columns = {
        "id": sample_id,
        "classes": np.flatnonzero(counts[: spec.label_space.num_classes]).tolist(),
        "height": height,
        "width": width,
        **{name: None if content is None else {"bytes": content, "path": None} for name, content in files.items()},
    }
    geo_counts = label_counts(native.geo) if native.geo is not None else np.zeros_like(counts)
    return _Done(row, columns, counts, geo_counts)


def _write_parquet(spec: DatasetSpec, path: Path, samples: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    picture = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    types = {"Image": picture, "string": pa.string(), "int32": pa.int32(), "ClassLabel": pa.list_(pa.int64())}
    columns = columns_of(spec)
    features = {name: feature(kind, spec.label_space) for name, kind in columns.items()}
    schema = pa.schema(
        {name: types[kind] for name, kind in columns.items()},
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    # Pictures are compressed already. Statistics and dictionaries of binary columns would repeat whole pictures in the
    # page headers.
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with parquet.ParquetWriter(path, schema, **options) as writer:
        while group := list(islice(samples, _GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
