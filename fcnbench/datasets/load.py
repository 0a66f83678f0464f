"""`load_dataset`: a task's samples, from its store, which is built from `--from` when it is not there yet."""

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
from fcnbench.errors import DataCorrupt, DataMissing, UsageError
from fcnbench.util import files, paths
from fcnbench.util.console import note


def load_dataset(
    dataset: str | DatasetSpec,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
) -> Dataset:
    """Load a dataset's samples as numpy arrays.

    Without `from_` the local store serves; when it is missing, `pocket` is drawn and the archives of other tasks are
    downloaded. With `from_` the store is made from that archive or folder, unless it was made from just that before.

    Args:
        dataset: name of the dataset, for example `voc2011val`, or its specification.
        from_: the user's own archive or extracted folder.
        allow_partial: accept a source or store that lacks pictures or label maps.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.

    Raises:
        UnknownName: no task is called so.
        UsageError: `from_` is empty.
        DataMissing: no store and nothing to make it from, terms that were not accepted, or an incomplete source.
        DataCorrupt: the source or the store holds something else than the task, or all its label maps are masks of
            0 and 255.
    """
    spec = find_dataset(dataset) if isinstance(dataset, str) else dataset
    data = _loaded(spec, from_, allow_partial, accept_terms)
    data.spec = spec
    check_masks(data.manifest)
    return data


def _loaded(spec: DatasetSpec, from_: str | Path | None, allow_partial: bool, accept_terms: bool) -> Dataset:
    if from_ is not None and not str(from_):
        raise UsageError("--from names no path", "pass an archive or a folder, or drop --from")
    folder = paths.stores() / spec.name
    origins: tuple[Path, ...] = (Path(from_).expanduser(),) if from_ is not None else ()
    if not origins and (store := stored(spec, allow_partial)):
        return store
    # One process builds; the others wait and then find the store.
    with files.locked(folder / ".lock"):
        if not origins:
            if store := stored(spec, allow_partial):
                return store
            origins = fetch_archives(spec, accept_terms)
        return _from_source(spec, folder, origins, allow_partial)


def stores_of(spec: DatasetSpec, folder: Path) -> list[Dataset]:
    """Every usable store of a task, the newest first; unusable ones are named on standard error."""
    found: list[tuple[int, Dataset]] = []
    for place in sorted(folder.glob("[!.]*/")):
        try:
            manifest = Manifest.load(place)
        except DataCorrupt as error:
            note(f"skipped: {error}")
            continue
        if _is_of(manifest, spec):
            found.append((place.stat().st_mtime_ns, Dataset(place, manifest, spec.label_space, spec.geo)))
    return [store for _, store in sorted(found, key=lambda pair: pair[0], reverse=True)]


def stored(spec: DatasetSpec, allow_partial: bool) -> Dataset | None:
    """Return the newest complete store of a dataset; without one the newest partial store, if partial is allowed.

    Raises:
        DataMissing: there is a partial store alone, and partial is not allowed.
    """
    stores = stores_of(spec, paths.stores() / spec.name)
    for store in stores:
        if store.manifest.complete:
            return store
    if stores and not allow_partial:
        best = stores[0].manifest
        raise DataMissing(
            f"the local store of {spec.name} is a part: {best.pictures} of {best.total} pictures, "
            f"{len(best.rows)} label maps",
            "add --allow-partial to take that part, pass the complete release to --from, or delete the folder "
            f"{paths.stores() / spec.name} to start over",
        )
    return stores[0] if stores else None


def _is_of(manifest: Manifest, spec: DatasetSpec) -> bool:
    """Whether a store is of just this task: its classes, and its split; of a listed split, its number of ids."""
    space = spec.label_space
    return (
        (manifest.dataset, manifest.classes, manifest.ignore) == (spec.name, space.classes, space.ignore)
        and manifest.geo_classes == (spec.geo.classes if spec.geo else ())
        and manifest.total == spec.split.images
        and (isinstance(spec.split, ListedSplit) or manifest.split == spec.split.digest)
    )


def _from_source(spec: DatasetSpec, folder: Path, origins: Sequence[Path], allow_partial: bool) -> Dataset:
    source = spec.open_source(spec, origins)
    try:
        identity = source.identity()
        for store in stores_of(spec, folder):
            if store.manifest.identity == identity and (allow_partial or store.manifest.complete):
                return store
        place = canonicalise(spec, source, folder, allow_partial)
        note(f"store   {place}")
    finally:
        source.close()
    return Dataset(place, Manifest.load(place), spec.label_space, spec.geo)
