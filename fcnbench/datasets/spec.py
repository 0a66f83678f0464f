"""Specification of a dataset: label space, split, and how its source is opened and read.

Other packages add datasets: they register a `DatasetSpec`, under its own name, in the entry-point group
`fcnbench.datasets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.splits import ListedSplit, Split
from fcnbench.labelspace import LabelSpace


@dataclass(frozen=True, eq=False)
class NativeSample:
    """One sample: images as encoded files, label maps in canonical values.

    Attributes:
        image: bytes of the image file, unchanged; None if the source has only the label map.
        label: label map, uint8 [H, W], values 0..C-1 and 255.
        depth: bytes of a 16-bit grey image file, depths in millimetres; None if there is none.
        hha: bytes of the HHA image file (horizontal disparity, height above ground, angle with gravity); None if there
            is none.
        geo: second label map, uint8 [H, W], values of the label space `DatasetSpec.geo` and 255; None if there is none.
    """

    image: bytes | None
    label: NDArray[np.uint8]
    depth: bytes | None = None
    hha: bytes | None = None
    geo: NDArray[np.uint8] | None = None


class Source(Protocol):
    """An opened archive, folder or generator of a dataset's samples."""

    @property
    def variant(self) -> str:
        """The release that the images come from, for example `VOC2012`; part of the protocol."""

    @property
    def location(self) -> str:
        """Path or description of the source, for messages and the manifest."""

    @property
    def split(self) -> Split:
        """The ids in evaluation order: the split of the specification, or the list in the source."""

    @property
    def archives(self) -> Sequence[Path]:
        """The archives that are read, whose digests are recorded; empty for a folder or a generator."""

    def identity(self) -> str:
        """Return a text that changes with the content, such as a digest of names, sizes, times and samples of content.

        A store is reused while its source has the same identity.
        """

    def images(self) -> frozenset[str]:
        """Return the ids of the split whose image exists."""

    def labels(self) -> frozenset[str]:
        """Return the ids of the split whose label map exists."""

    def read(self, sample_id: str) -> NativeSample:
        """Read one sample whose label map exists; called from several threads at once.

        Raises:
            DataCorrupt: the image or the label map is not valid.
        """

    def close(self) -> None:
        """Close open files."""


@dataclass(frozen=True, repr=False)
class DatasetSpec:
    """A dataset by name: one split of images with label maps, and how to read them.

    Attributes:
        name: name for `--dataset`.
        title: one line for lists.
        label_space: classes, palette and ignore value.
        split: the ids in evaluation order, or the path of their list in the source.
        open_source: called with the specification and the paths that the user gave (empty if none); returns the opened
            source, or raises DataMissing if the paths hold nothing usable.
        modalities: `rgb`, and `depth` and `hha` if sources may have them.
        geo: label space of a second label map, which is scored in the same run; None if there is none.
        labellings: variants of the source with different label maps; part of the short signature.
        devkit_set: name of the image set in the results layout of the VOC devkit; empty if there is no devkit.
        fingerprint: required fingerprint of the complete store; None if it is not fixed.
        archives: alternatives, tried in order; each lists the names in `ARCHIVES.toml` of the archives it needs.
        accepts: description of the paths that `--from` takes, for messages.
        citation: the publication to cite.
        terms: terms of use of the images.
    """

    name: str
    title: str
    label_space: LabelSpace
    split: Split | ListedSplit
    open_source: Callable[[DatasetSpec, Sequence[Path]], Source]
    modalities: tuple[str, ...] = ("rgb",)
    geo: LabelSpace | None = None
    labellings: tuple[str, ...] = ()
    devkit_set: str = ""
    fingerprint: str | None = None
    archives: tuple[tuple[str, ...], ...] = ()
    accepts: str = "an archive or a folder of the dataset"
    citation: str = ""
    terms: str = ""

    def __repr__(self) -> str:
        return f"<DatasetSpec {self.name}: {self.split.images} images, {self.label_space.num_classes} classes>"
