"""Loading of datasets: from the local store, which is built from a source first if it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fcnbench.datasets.archive.fetch import fetch_archives
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import ListedSplit
from fcnbench.datasets.store.build import canonicalise
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.datasets.store.manifest import Manifest
from fcnbench.datasets.store.masks import check_masks
from fcnbench.datasets.store.source_checks import check_source
from fcnbench.errors import DataCorrupt, DataMissing, UsageError
from fcnbench.util import files, paths
from fcnbench.util.console import note


def load_dataset(
    dataset: str | DatasetSpec,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
) -> Dataset:
    """Load the samples of a dataset as numpy arrays.

    Without `from_`, the local store is read. If there is none, `pocket` is generated, and the archives of other
    datasets are downloaded. With `from_`, the store is built from that archive or folder, unless this was done
    before.

    Args:
        dataset: name of the dataset, for example `voc2011val`, or its specification.
        from_: the user's own archive or extracted folder.
        allow_partial: accept a source or store that lacks images or label maps.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UnknownName: there is no such dataset.
        UsageError: `from_` is an empty string, or an argument is of another type.
        DataMissing: there is no store and no source, the terms are not accepted, or the source is incomplete.
        DataCorrupt: the source or the store is not this dataset, or all its label maps are masks of 0 and 255.

    >>> data = load_dataset("pocket")
    >>> data[0].id, data[0].label.shape
    ('val-0000', (152, 241))
    """
    spec = find_dataset(dataset) if isinstance(dataset, str) else dataset
    if not isinstance(spec, DatasetSpec):
        raise UsageError(f"the dataset is a {type(spec).__name__}, expected a name or a DatasetSpec", "pass one")
    data = _loaded(spec, from_, allow_partial, accept_terms)
    data.spec = spec
    check_masks(data.manifest)
    return data


def _loaded(spec: DatasetSpec, from_: str | Path | None, allow_partial: bool, accept_terms: bool) -> Dataset:
    if from_ is not None and not str(from_):
        raise UsageError("--from names no path", "pass an archive or a folder, or drop --from")
    folder = paths.stores() / spec.name
    origins: tuple[Path, ...] = (paths.user_path(from_, "--from"),) if from_ is not None else ()
    if not origins and (store := find_store(spec, allow_partial)):
        return store
    # One process builds the store; others wait for the lock, and then find the store.
    with files.locked(folder / ".lock"):
        if not origins:
            if store := find_store(spec, allow_partial):
                return store
            origins = fetch_archives(spec, accept_terms)
        return _from_source(spec, folder, origins, allow_partial)


def find_stores(spec: DatasetSpec, folder: Path) -> list[Dataset]:
    """Return the usable stores of a dataset, the newest first; print a note about the others."""
    stores: list[tuple[int, Dataset]] = []
    for path in sorted(folder.glob("[!.]*/")):
        try:
            manifest = Manifest.load(path)
        except DataCorrupt as error:
            note(f"skipped: {error}")
            continue
        if _is_of(manifest, spec):
            stores.append((path.stat().st_mtime_ns, Dataset(path, manifest, spec.label_space, spec.geo)))
    return [store for _, store in sorted(stores, key=lambda pair: pair[0], reverse=True)]


def find_store(spec: DatasetSpec, allow_partial: bool) -> Dataset | None:
    """Return the newest complete store of a dataset, or else the newest partial one; None if there is no store.

    Raises:
        DataMissing: there is only a partial store, and `allow_partial` is false.
    """
    stores = find_stores(spec, paths.stores() / spec.name)
    for store in stores:
        if store.manifest.complete:
            return store
    if stores and not allow_partial:
        best = stores[0].manifest
        raise DataMissing(
            f"the local store of {spec.name} is partial: {best.images} of {best.total} images, "
            f"{len(best.rows)} label maps",
            "add --allow-partial to use it, pass the complete release to --from, or delete the folder "
            f"{paths.stores() / spec.name} to start over",
        )
    return stores[0] if stores else None


def _is_of(manifest: Manifest, spec: DatasetSpec) -> bool:
    """Return whether a store has the classes and the split of a dataset; of a listed split, its number of ids."""
    space = spec.label_space
    return (
        (manifest.dataset, manifest.classes, manifest.ignore) == (spec.name, space.classes, space.ignore)
        and manifest.geo_classes == (spec.geo.classes if spec.geo else ())
        and manifest.total == spec.split.images
        and (isinstance(spec.split, ListedSplit) or manifest.split == spec.split.digest)
    )


def _from_source(spec: DatasetSpec, folder: Path, origins: Sequence[Path], allow_partial: bool) -> Dataset:
    source = spec.open_source(spec, origins)
    check_source(spec, source)
    try:
        identity = source.identity()
        for store in find_stores(spec, folder):
            if store.manifest.identity == identity and (allow_partial or store.manifest.complete):
                return store
        path = canonicalise(spec, source, folder, allow_partial)
        note(f"store   {path}")
    finally:
        source.close()
    return Dataset(path, Manifest.load(path), spec.label_space, spec.geo)
