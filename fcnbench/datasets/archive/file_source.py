"""A source whose images and label maps are files in folders, one file per id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.release import SampleFiles, close_trees
from fcnbench.datasets.archive.tree import Tree
from fcnbench.datasets.codec.images import check_label
from fcnbench.datasets.spec import DatasetSpec, NativeSample
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataCorrupt
from fcnbench.labelspace import LabelSpace
from fcnbench.util.digests import digest_lines

DecodeLabel = Callable[[bytes, str], NDArray[np.uint8]]
"""Decodes the content of a label-map file to canonical values, uint8 [H, W]; also takes its name, for messages."""


@dataclass(frozen=True, eq=False)
class FileSource:
    """Files in folders as a `Source`.

    Attributes:
        spec: the dataset.
        split: its ids.
        variant: the release.
        location: path of the release, for messages.
        kinds: the files by kind: `label` and `image`, and `depth`, `hha` and `geo` if the dataset has them.
        decode: decodes a label map.
        decode_geo: decodes a second label map; None if there is none.
        trees: all opened trees.
    """

    spec: DatasetSpec
    split: Split
    variant: str
    location: str
    kinds: Mapping[str, SampleFiles]
    decode: DecodeLabel
    decode_geo: DecodeLabel | None
    trees: Sequence[Tree]

    def __post_init__(self) -> None:
        for tree in self._used_trees():
            tree.expect(self._paths(tree))

    @property
    def archives(self) -> tuple[Path, ...]:
        """The archives that are read."""
        return tuple(tree.path for tree in self._used_trees() if tree.path.is_file())

    def identity(self) -> str:
        """Return a digest of the ids and of the files that are read."""
        return digest_lines([self.split.digest, *(tree.identity(self._paths(tree)) for tree in self._used_trees())])

    def images(self) -> frozenset[str]:
        """Return the ids whose image exists."""
        return self.kinds["image"].among(self.split.ids)

    def labels(self) -> frozenset[str]:
        """Return the ids whose label map exists, and the second one too if the dataset has two."""
        labelled = self.kinds["label"].among(self.split.ids)
        return self.kinds["geo"].among(labelled) if "geo" in self.kinds else labelled

    def read(self, sample_id: str) -> NativeSample:
        """Read the files of one id, and decode its label maps."""
        label = self._read_label("label", self.decode, self.spec.label_space, sample_id)
        if label is None:
            raise DataCorrupt(f"{self.location} has no label map of {sample_id}", "pass the complete release")
        geo = None
        if self.spec.geo and self.decode_geo:
            geo = self._read_label("geo", self.decode_geo, self.spec.geo, sample_id)
        depth_and_hha = {name: self.kinds[name].read(sample_id) for name in ("depth", "hha") if name in self.kinds}
        return NativeSample(self.kinds["image"].read(sample_id), label, geo=geo, **depth_and_hha)

    def close(self) -> None:
        """Close all trees."""
        close_trees(self.trees)

    def _read_label(
        self, kind: str, decode: DecodeLabel, space: LabelSpace, sample_id: str
    ) -> NDArray[np.uint8] | None:
        files = self.kinds[kind]
        content = files.read(sample_id)
        if content is None:
            return None
        name = f"the label map {files.location(sample_id)}"
        label = decode(content, name)
        check_label(label, space, name)
        return label

    def _used_trees(self) -> list[Tree]:
        """Return the trees that files are read from, without repetition."""
        return list({id(files.tree): files.tree for files in self.kinds.values()}.values())

    def _paths(self, tree: Tree) -> list[str]:
        """Return the paths of the files that are read from a tree: those of the ids whose label map exists."""
        paths = [
            files.path(sample_id)
            for files in self.kinds.values()
            if files.tree is tree
            for sample_id in self.split.ids
            if self.kinds["label"].path(sample_id)
        ]
        return [path for path in paths if path]
