"""Check of a store from end to end: counts, digests, sizes, classes, and images shared with other splits.

All samples are decoded and counted again; nothing is repaired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import check_label, check_sizes, label_counts
from fcnbench.datasets.leakage import known_ids
from fcnbench.datasets.load import find_stores
from fcnbench.datasets.registry import DATASETS, find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split, published_split
from fcnbench.datasets.store.columns import digest_optional, digest_stored
from fcnbench.datasets.store.dataset import Dataset, Sample, digest_label
from fcnbench.datasets.store.manifest import Manifest, Row
from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.util import paths
from fcnbench.util.check_result import CheckResult
from fcnbench.util.console import listed, progress


@dataclass(frozen=True)
class ClassCount:
    """Frequency of a class.

    Attributes:
        index: class index; 255 for ignored pixels.
        name: class name.
        pixels: pixels over all label maps.
        share: share of all pixels, 0..1.
        images: number of label maps with the class.
    """

    index: int
    name: str
    pixels: int
    share: float
    images: int


@dataclass(frozen=True)
class StoreReport:
    """Results of the check of a store.

    Attributes:
        dataset: name of the dataset.
        findings: one result per checked subject.
        classes: frequency of each class, then of ignored pixels.
    """

    dataset: str
    findings: tuple[CheckResult, ...]
    classes: tuple[ClassCount, ...]


def check_store(spec: DatasetSpec) -> StoreReport:
    """Check the newest store of a dataset, a complete one if there is one.

    Args:
        spec: the dataset.

    Raises:
        DataMissing: the dataset has no store yet.

    >>> import fcnbench
    >>> _ = fcnbench.load_dataset("pocket")
    >>> check_store(find_dataset("pocket")).findings[0].text
    '64 of 64 images, 64 label maps'
    """
    stores = find_stores(spec, paths.stores() / spec.name)
    if not stores:
        raise DataMissing(
            f"{spec.name} is not in the local store", f"run `fcnbench fetch {spec.name}` first, or with --from PATH"
        )
    store = next((store for store in stores if store.manifest.complete), stores[0])
    recount = _Recount(store)
    results = [
        _extent(store.manifest),
        _provenance(store.manifest),
        recount.digests(),
        _sizes(store.manifest),
        recount.histogram(),
        *_unknown_ids(spec, store.manifest),
        recount.absent_classes(),
        _duplicates(store.manifest),
        *_shared(spec, store),
        *_derivation(spec),
    ]
    return StoreReport(spec.name, tuple(results), recount.classes())


def verify_sample(data: Dataset, index: int) -> Sample:
    """Decode a sample and check everything that the manifest states about it; reading checks its files only.

    Raises:
        DataCorrupt: the sample differs from the manifest, or is not a valid sample of the dataset.
    """
    row, files, sample = data.manifest.rows[index], data.encoded_files(index), data[index]
    recomputed = Row(
        id=sample.id,
        height=sample.label.shape[0],
        width=sample.label.shape[1],
        image=digest_optional(files["image"]),
        label=digest_label(sample.label),
        depth=digest_optional(files["depth"]),
        hha=digest_optional(files["hha"]),
        geo=digest_label(sample.geo) if sample.geo is not None else None,
        stored=digest_stored(files),
    )
    if recomputed != row:
        raise data.mismatch(row)
    name = data.describe(row)
    check_label(sample.label, data.label_space, f"the label map of {name}")
    maps = {"depth map": sample.depth, "HHA image": sample.hha, "second label map": sample.geo}
    for kind, values in maps.items():
        if values is not None:
            check_sizes(values, sample.label, name, kind)
    return sample


class _Recount:
    """Counts over all samples of a store, and the samples that failed."""

    def __init__(self, store: Dataset) -> None:
        self._manifest = store.manifest
        self._pixels: NDArray[np.int64] = np.zeros(256, np.int64)
        self._images: NDArray[np.int64] = np.zeros(256, np.int64)
        self._damaged: list[tuple[str, str]] = []
        with progress(len(store), f"read {store.manifest.dataset}") as bar:
            for index, row in enumerate(store.manifest.rows):
                try:
                    counts = label_counts(verify_sample(store, index).label)
                except DataCorrupt as error:
                    self._damaged.append((row.id, error.message))
                else:
                    self._pixels += counts
                    self._images += counts > 0
                bar.update()

    def digests(self) -> CheckResult:
        total = len(self._manifest.rows)
        if not self._damaged:
            text = f"all {total} samples agree with the manifest, and their parts have equal sizes"
            return CheckResult("digests", True, text)
        ids = listed([sample_id for sample_id, _ in self._damaged])
        return CheckResult("digests", False, f"{len(self._damaged)} of {total} damaged ({ids}): {self._damaged[0][1]}")

    def histogram(self) -> CheckResult:
        manifest = self._manifest
        counts = (*(int(count) for count in self._pixels[: len(manifest.classes)]), int(self._pixels[-1]))
        share = f"{manifest.ignored:.2%} of the pixels are ignored"
        if self._damaged or counts == manifest.histogram:
            return CheckResult("histogram", True, share)
        return CheckResult("histogram", False, f"the recount differs from the manifest; {share}")

    def absent_classes(self) -> CheckResult:
        names = [name for index, name in enumerate(self._manifest.classes) if not self._images[index]]
        if not names:
            return CheckResult("absent classes", True, "none: every class occurs")
        return CheckResult(
            "absent classes",
            True,
            f"{', '.join(names)}: not in the mean over `gt`; in that over `union` if predicted",
        )

    def classes(self) -> tuple[ClassCount, ...]:
        total = max(1, int(self._pixels.sum()))
        named = [*enumerate(self._manifest.classes), (self._manifest.ignore, "ignored")]
        return tuple(
            ClassCount(index, name, int(self._pixels[index]), self._pixels[index] / total, int(self._images[index]))
            for index, name in named
        )


def _extent(manifest: Manifest) -> CheckResult:
    more = {name: sum(getattr(row, name) is not None for row in manifest.rows) for name in ("depth", "hha", "geo")}
    extras = "".join(f", {count} {name}" for name, count in more.items() if count)
    text = f"{manifest.images} of {manifest.total} images, {len(manifest.rows)} label maps{extras}"
    return CheckResult("extent", True, text if manifest.complete else f"partial: {text}")


def _provenance(manifest: Manifest) -> CheckResult:
    explained = {"unverified": "unverified: built from a folder, or from an archive without a published digest"}
    provenance = explained.get(manifest.provenance, manifest.provenance)
    return CheckResult("source", True, f"{manifest.variant}, {provenance}; {manifest.fingerprint}")


def _sizes(manifest: Manifest) -> CheckResult:
    sizes = Counter((row.height, row.width) for row in manifest.rows)
    (height, width), most = sizes.most_common(1)[0]
    smallest, largest = min(sizes, key=lambda size: size[0] * size[1]), max(sizes, key=lambda size: size[0] * size[1])
    return CheckResult(
        "sizes",
        True,
        f"{len(sizes)} different, from {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]} (height x width); "
        f"{most} images are {height}x{width}",
    )


def _unknown_ids(spec: DatasetSpec, manifest: Manifest) -> Iterator[CheckResult]:
    """Yield a result about ids that are not in the split, if its list is known."""
    if isinstance(spec.split, Split):
        known = set(spec.split.ids)
        unknown = [row.id for row in manifest.rows if row.id not in known]
        text = f"not in the split: {listed(unknown)}" if unknown else "all in the split, in order"
        yield CheckResult("ids", not unknown, text)


def _duplicates(manifest: Manifest) -> CheckResult:
    """Check that no image has two ids."""
    ids: dict[str, list[str]] = {}
    for row in manifest.rows:
        if row.image:
            ids.setdefault(row.image, []).append(row.id)
    duplicates = [" = ".join(same) for same in ids.values() if len(same) > 1]
    text = f"the same file under two ids: {listed(duplicates)}" if duplicates else "no image occurs twice"
    return CheckResult("duplicates", not duplicates, text)


def _shared(spec: DatasetSpec, store: Dataset) -> Iterator[CheckResult]:
    """Yield a result per dataset that shares images: by id with every known split, by bytes with every local store."""
    own_ids, own_images = set(store.ids), {row.image for row in store.manifest.rows if row.image}
    for name, entry in DATASETS.entries().items():
        if name == spec.name or entry.provider != "fcnbench":
            continue
        other = find_dataset(name)
        ids = own_ids & (known_ids(other) or frozenset())
        # Datasets with the same split in two label spaces share all images; pocket shares none.
        if other.split.name == spec.split.name or name.startswith("pocket"):
            continue
        if ids:
            yield CheckResult(f"shared with {name}", True, f"{len(ids)} ids ({listed(sorted(ids))})")
            continue
        for other_store in find_stores(other, paths.stores() / name)[:1]:
            same = [row.id for row in other_store.manifest.rows if row.image in own_images]
            if same:
                yield CheckResult(f"shared with {name}", False, f"the same images under other ids: {listed(same)}")


def _derivation(spec: DatasetSpec) -> Iterator[CheckResult]:
    """Yield whether seg11valid is VOC2011 val without SBD train, if both lists are known."""
    if spec.split.name != "seg11valid":
        return
    whole, trained = known_ids(find_dataset("voc2011val-full")), known_ids(find_dataset("sbdtrain"))
    if whole is None or trained is None:
        return
    same = whole - trained == set(published_split("seg11valid").ids)
    text = "VOC2011 val without SBD train is the published list"
    yield CheckResult("derivation", same, text if same else "VOC2011 val without SBD train is not the published list")
