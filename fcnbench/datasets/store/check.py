"""A close look at a task's store: counts, digests, sizes, classes, and what it shares with other splits.

Everything is read and recounted; nothing is repaired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import label_counts
from fcnbench.datasets.leakage import known_ids
from fcnbench.datasets.load import find_stores
from fcnbench.datasets.registry import DATASETS, find_dataset
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split, published_split
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.datasets.store.manifest import Manifest
from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.util import paths
from fcnbench.util.check_result import CheckResult
from fcnbench.util.console import listed, progress


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs.

    Attributes:
        index: class index; 255 for ignored pixels.
        name: class name.
        pixels: pixels over all label maps.
        share: their share of all pixels, 0..1.
        images: label maps that it occurs in.
    """

    index: int
    name: str
    pixels: int
    share: float
    images: int


@dataclass(frozen=True)
class StoreReport:
    """What was found in a task's store.

    Attributes:
        task: name of the task.
        findings: one line for each thing that was looked at.
        classes: how often each class occurs, then the ignored pixels.
    """

    task: str
    findings: tuple[CheckResult, ...]
    classes: tuple[ClassCount, ...]


def check_store(task: str) -> StoreReport:
    """Read a task's newest store, complete ones first, and look at everything in it.

    Raises:
        UnknownName: no task is called so.
        DataMissing: it has no store yet.
    """
    spec = find_dataset(task)
    stores = find_stores(spec, paths.stores() / spec.name)
    if not stores:
        raise DataMissing(f"{task} is not in the local store", f"`fcnbench fetch {task}` first, or with --from PATH")
    store = next((store for store in stores if store.manifest.complete), stores[0])
    counted = _Count(store)
    findings = [
        _extent(store.manifest),
        _provenance(store.manifest),
        counted.damage(),
        _sizes(store.manifest),
        counted.histogram_fits(),
        *_strays(spec, store.manifest),
        counted.absent(),
        _repeats(store.manifest),
        *_shared(spec, store),
        *_derivation(spec),
    ]
    return StoreReport(task, tuple(findings), counted.classes())


class _Count:
    """A store read from the first sample to the last."""

    def __init__(self, store: Dataset) -> None:
        self._store = store
        self._pixels: NDArray[np.int64] = np.zeros(256, np.int64)
        self._images: NDArray[np.int64] = np.zeros(256, np.int64)
        self._damaged: list[tuple[str, str]] = []
        with progress(len(store), f"read {store.manifest.dataset}") as bar:
            for place, row in enumerate(store.manifest.rows):
                try:
                    counts = label_counts(store.verify(place).label)
                except DataCorrupt as error:
                    self._damaged.append((row.id, error.message))
                else:
                    self._pixels += counts
                    self._images += counts > 0
                bar.update()

    def damage(self) -> CheckResult:
        total = len(self._store)
        if not self._damaged:
            return CheckResult(
                "digests", True, f"all {total} samples are what the manifest says, sizes of all parts agree"
            )
        ids = listed([sample_id for sample_id, _ in self._damaged])
        return CheckResult("digests", False, f"{len(self._damaged)} of {total} damaged ({ids}): {self._damaged[0][1]}")

    def histogram_fits(self) -> CheckResult:
        manifest = self._store.manifest
        found = (*(int(count) for count in self._pixels[: len(manifest.classes)]), int(self._pixels[-1]))
        share = f"{manifest.ignored:.2%} of the pixels are ignored"
        if self._damaged or found == manifest.histogram:
            return CheckResult("histogram", True, share)
        return CheckResult("histogram", False, f"the recount differs from the manifest's; {share}")

    def absent(self) -> CheckResult:
        names = [name for index, name in enumerate(self._store.manifest.classes) if not self._images[index]]
        if not names:
            return CheckResult("absent classes", True, "none: every class occurs")
        return CheckResult(
            "absent classes",
            True,
            f"{', '.join(names)}: out of the means under the policy `present`, in them under `reference` if predicted",
        )

    def classes(self) -> tuple[ClassCount, ...]:
        total = max(1, int(self._pixels.sum()))
        named = [*enumerate(self._store.manifest.classes), (self._store.manifest.ignore, "ignored")]
        return tuple(
            ClassCount(index, name, int(self._pixels[index]), self._pixels[index] / total, int(self._images[index]))
            for index, name in named
        )


def _extent(manifest: Manifest) -> CheckResult:
    more = {name: sum(getattr(row, name) is not None for row in manifest.rows) for name in ("depth", "hha", "geo")}
    extras = "".join(f", {count} {name}" for name, count in more.items() if count)
    text = f"{manifest.images} of {manifest.total} pictures, {len(manifest.rows)} label maps{extras}"
    return CheckResult("extent", True, text if manifest.complete else f"a part: {text}")


def _provenance(manifest: Manifest) -> CheckResult:
    text = {"unverified": "unverified: made from a folder, or from an archive that no published digest names"}
    said = text.get(manifest.provenance, manifest.provenance)
    return CheckResult("source", True, f"{manifest.variant}, {said}; {manifest.fingerprint}")


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


def _strays(spec: DatasetSpec, manifest: Manifest) -> Iterator[CheckResult]:
    """Ids that the split does not have."""
    if isinstance(spec.split, Split):
        known = set(spec.split.ids)
        stray = [row.id for row in manifest.rows if row.id not in known]
        yield CheckResult(
            "ids", not stray, f"not in the split: {listed(stray)}" if stray else "all in the split, in order"
        )


def _repeats(manifest: Manifest) -> CheckResult:
    """Pictures that occur under two ids."""
    ids: dict[str, list[str]] = {}
    for row in manifest.rows:
        if row.image:
            ids.setdefault(row.image, []).append(row.id)
    twice = [" = ".join(same) for same in ids.values() if len(same) > 1]
    text = f"the same file under two ids: {listed(twice)}" if twice else "no picture occurs twice"
    return CheckResult("duplicates", not twice, text)


def _shared(spec: DatasetSpec, store: Dataset) -> Iterator[CheckResult]:
    """What the store has in common with other splits: by id with every known one, by bytes with every local store."""
    mine, pictures = set(store.ids), {row.image for row in store.manifest.rows if row.image}
    for name, entry in DATASETS.entries().items():
        if name == spec.name or entry.provider != "fcnbench":
            continue
        other = find_dataset(name)
        ids = mine & (known_ids(other) or frozenset())
        # The same ids in the same split under two label spaces are no news.
        if other.split.name == spec.split.name or name.startswith("pocket"):
            continue
        if ids:
            yield CheckResult(f"shared with {name}", True, f"{len(ids)} ids ({listed(sorted(ids))})")
            continue
        for there in find_stores(other, paths.stores() / name)[:1]:
            same = [row.id for row in there.manifest.rows if row.image in pictures]
            if same:
                yield CheckResult(f"shared with {name}", False, f"the same pictures under other ids: {listed(same)}")


def _derivation(spec: DatasetSpec) -> Iterator[CheckResult]:
    """seg11valid is VOC2011 val without SBD train: worked out anew where both lists are here."""
    if spec.split.name != "seg11valid":
        return
    whole, trained = known_ids(find_dataset("voc2011val-full")), known_ids(find_dataset("sbdtrain"))
    if whole is None or trained is None:
        return
    same = whole - trained == set(published_split("seg11valid").ids)
    text = "VOC2011 val without SBD train gives just the published list"
    yield CheckResult("derivation", same, text if same else "VOC2011 val without SBD train is not the published list")
