"""What a dataset is: a named evaluation task, and the promise to produce its samples from a source.

Another package registers a `DatasetSpec` under the entry-point group `fcnbench.datasets`.
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
    """One sample as its source has it, labels already in canonical values.

    Attributes:
        image: the picture's file content, untouched; None where only the label is there.
        label: uint8 [H, W], 0..C-1 and 255.
        depth: file content of a 16-bit grey picture of depths in millimetres, if the source has one.
        hha: file content of the HHA picture (horizontal disparity, height above ground, angle with gravity), likewise.
        geo: second label map, uint8 [H, W], in the values of the task's `geo` label space.
    """

    image: bytes | None
    label: NDArray[np.uint8]
    depth: bytes | None = None
    hha: bytes | None = None
    geo: NDArray[np.uint8] | None = None


class Source(Protocol):
    """An opened archive, folder or generator that holds a task's samples."""

    @property
    def variant(self) -> str:
        """The release that the pixels come from, for example `VOC2012`; part of the protocol."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    @property
    def split(self) -> Split:
        """The task's ids in evaluation order: the specification's, or those that the source lists."""

    @property
    def archives(self) -> Sequence[Path]:
        """Files whose digests say what is read; none for a folder or a generator."""

    def identity(self) -> str:
        """A digest that changes whenever what would be read changes; cheap: names, sizes, times, samples of content."""

    def images(self) -> frozenset[str]:
        """Ids of the task whose picture is there."""

    def labels(self) -> frozenset[str]:
        """Ids of the task whose label map is there."""

    def read(self, sample_id: str) -> NativeSample:
        """Read one sample whose label is there; called from several threads at once.

        Raises:
            DataCorrupt: picture or label is not what it should be.
        """

    def close(self) -> None:
        """Let go of open files."""


@dataclass(frozen=True)
class DatasetSpec:
    """A named evaluation task: label space, split, modalities, and how its source is opened.

    Attributes:
        name: what `--dataset` takes.
        title: one line for lists.
        label_space: classes, palette and ignore value.
        split: the ids in evaluation order, or how they are found in the source.
        open_source: opens the source below some paths (none: no path was given).
            Raises DataMissing where nothing usable is there.
        modalities: what the pictures show; `rgb` always, `depth` and `hha` where sources may have them.
        geo: label space of a second label map that is scored in the same run; None where there is none.
        labellings: variants of the source whose label maps are known to differ; named in the short signature.
        devkit_set: name of the image set in the layout of the VOC devkit's results; empty where there is no devkit.
        fingerprint: what the whole store's fingerprint must be, where that is fixed once and for all.
        archives: alternatives, tried in order; each is the names in `ARCHIVES.toml` of the archives that it needs.
        accepts: what `--from` takes, for messages.
        citation: whom to cite.
        terms: under which terms the pictures may be used.
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
