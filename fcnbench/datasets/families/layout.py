"""The common layout of datasets: a folder of images and a folder of label maps, with one file per id in each.

    release/                  any folder or archive, at any depth below the path that the user passes to --from
      JPEGImages/<id>.jpg
      SegmentationClass/<id>.png

`FolderLayout` finds such a release and opens it as a source. A dataset of this kind states the two file patterns and a
function that decodes a label map; `fcnbench/datasets/families/sbd.py` is a short example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.file_source import DecodeLabel, FileSource
from fcnbench.datasets.archive.release import ReleaseFolder, close_trees, find_releases, open_trees, read_split
from fcnbench.datasets.archive.tree import Tree
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataMissing, FcnbenchError


@dataclass(frozen=True)
class FolderLayout:
    """File patterns of a release, with `{id}` for the image id.

    Attributes:
        images: pattern of the images, for example `JPEGImages/{id}.jpg`.
        labels: pattern of the label maps, for example `SegmentationClass/{id}.png`; a folder that contains this folder
            is a release.
        decode: decodes a label map: called with the content and the name of the file, returns canonical values, uint8
            [H, W]. `fcnbench.datasets.codec.images.decode_label` decodes PNG files of class indices.
        others: patterns of further kinds: `depth`, `hha`, `geo`.
        decode_geo: decodes a second label map.
        variants: names of folders that are the variant of a release, the preferred one first.
        fallback: variant of a release in a folder of another name.
    """

    images: str
    labels: str
    decode: DecodeLabel
    others: Mapping[str, str] = field(default_factory=dict)
    decode_geo: DecodeLabel | None = None
    variants: tuple[str, ...] = ()
    fallback: str = ""

    def open(self, spec: DatasetSpec, paths: Sequence[Path]) -> FileSource:
        """Open the release below some paths that holds most of a dataset; a value for `DatasetSpec.open_source`.

        Raises:
            DataMissing: `paths` is empty, or holds nothing of the dataset.
            DataCorrupt: an archive or an id list is not valid.
        """
        trees = open_trees(spec, paths, archive_files(spec.archives))
        try:
            return self.pick(spec, trees)
        except FcnbenchError:
            close_trees(trees)
            raise

    def pick(self, spec: DatasetSpec, trees: Sequence[Tree]) -> FileSource:
        """Return the most complete release in opened trees; of equally complete ones, the first in `variants`.

        Raises:
            DataMissing: the trees hold nothing of the dataset.
        """
        candidates = []
        without_list: DataMissing | None = None
        for release in find_releases(trees, self.labels.rpartition("/")[0]):
            try:
                candidates.append((release, read_split(release, spec)))
            except DataMissing as missing:
                without_list = missing
        # A release without its id list is an error only if there is no other release.
        if not candidates and without_list:
            raise without_list
        best = max(candidates, key=lambda pair: self._completeness(*pair), default=None)
        if best is None or not best[0].files(self.labels).among(best[1].ids):
            searched = ", ".join(str(tree.path) for tree in trees)
            raise DataMissing(f"{searched} holds no label map of {spec.name}", f"pass --from PATH with {spec.accepts}")
        release, split = best
        kinds = {"label": self.labels, "image": self.images, **self.others}
        return FileSource(
            spec=spec,
            split=split,
            variant=self._variant(release),
            location=(release.tree.path / release.path).as_posix(),
            kinds={kind: release.files(pattern) for kind, pattern in kinds.items()},
            decode=self.decode,
            decode_geo=self.decode_geo,
            trees=trees,
        )

    def _completeness(self, release: ReleaseFolder, split: Split) -> tuple[int, int, int]:
        labels, images = release.files(self.labels).among(split.ids), release.files(self.images).among(split.ids)
        variant = self._variant(release)
        rank = self.variants.index(variant) if variant in self.variants else len(self.variants)
        return len(labels & images), len(labels), -rank

    def _variant(self, release: ReleaseFolder) -> str:
        return next((name for name in self.variants if name.casefold() == release.name.casefold()), self.fallback)
