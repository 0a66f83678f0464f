"""What a data set is: a named evaluation task, and the promise to produce its samples from a source.

Another package registers a `DatasetSpec` under the entry-point group `fcnbench.datasets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.splits import Split
from fcnbench.labelspace import LabelSpace


@dataclass(frozen=True, eq=False)
class NativeSample:
    """One sample as its source has it, labels already in canonical values.

    Attributes:
        image: the picture's file content, untouched; None where only the label is there.
        label: uint8 [H, W], 0..C-1 and 255.
    """

    image: bytes | None
    label: NDArray[np.uint8]


class Source(Protocol):
    """An opened archive, folder or generator that holds a task's samples."""

    @property
    def variant(self) -> str:
        """The release that the pixels come from, for example `VOC2012`; part of the protocol."""

    @property
    def place(self) -> str:
        """Where it is, for messages."""

    def identity(self) -> str:
        """A digest that changes whenever what would be read changes; cheap: names, sizes, times."""

    def images(self) -> frozenset[str]:
        """Ids of the task whose picture is there."""

    def labels(self) -> frozenset[str]:
        """Ids of the task whose label map is there."""

    def read(self, sample_id: str) -> NativeSample:
        """Read one sample whose label is there.

        Raises:
            DataCorrupt: picture or label is not what it should be.
        """

    def close(self) -> None:
        """Let go of open files."""


@dataclass(frozen=True)
class DatasetSpec:
    """A named evaluation task: label space, split, modality, and how its source is opened.

    Attributes:
        name: what `--dataset` takes.
        title: one line for lists.
        label_space: classes, palette and ignore value.
        split: the ids in evaluation order.
        open_source: opens the source below a path (None: no path was given).
            Raises DataMissing where nothing usable is there.
        modality: what the pictures show: `rgb`.
        archives: names in `SOURCES.toml` of archives that hold the task, in the order they are tried.
        accepts: what `--from` takes, for messages.
        citation: whom to cite.
        terms: under which terms the pictures may be used.
    """

    name: str
    title: str
    label_space: LabelSpace
    split: Split
    open_source: Callable[[DatasetSpec, Path | None], Source]
    modality: str = "rgb"
    archives: tuple[str, ...] = ()
    accepts: str = "an archive or a folder of the data set"
    citation: str = ""
    terms: str = ""
