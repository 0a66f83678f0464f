"""How most families lie on disk: one folder for the pictures, one for the label maps, one file per id in each.

`find_roots` looks for a release's folder at any place in folders and archives, names compared without case;
`FileSource` reads its samples. A family adds where its folders are and how a label map is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.tree import Tree, open_tree
from fcnbench.datasets.codec.images import check_label
from fcnbench.datasets.spec import DatasetSpec, NativeSample
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataCorrupt, DataMissing, FcnbenchError
from fcnbench.labelspace import LabelSpace
from fcnbench.util.digests import digest_lines

DecodeLabel = Callable[[bytes, str], NDArray[np.uint8]]
"""From a label map's file content and its name, for messages, to canonical values."""


@dataclass(frozen=True)
class Files:
    """The files of one kind, one per id, in one folder.

    Attributes:
        tree: where the folder lies.
        folder: its path.
        pattern: file name with `{id}` for the id, for example `img_{id}.png`.
    """

    tree: Tree
    folder: str
    pattern: str
    _names: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", {name.casefold(): name for name in self.tree.files(self.folder)})

    def path(self, sample_id: str) -> str | None:
        """Path of an id's file in the tree; None where there is none."""
        name = self._names.get(self.pattern.format(id=sample_id).casefold())
        return None if name is None else _below(self.folder, name)

    def among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids whose file is there."""
        return frozenset(sample_id for sample_id in ids if self.path(sample_id))

    def read(self, sample_id: str) -> bytes | None:
        """Content of an id's file; None where there is none."""
        path = self.path(sample_id)
        return None if path is None else self.tree.read(path)

    def where(self, sample_id: str) -> str:
        """Where an id's file is, for messages."""
        return str(self.tree.place / (self.path(sample_id) or self.folder))


@dataclass(frozen=True)
class Root:
    """The folder of a release inside a tree."""

    tree: Tree
    path: str
    folders: Mapping[str, str]
    """Every folder of the tree by its name without case."""

    @property
    def name(self) -> str:
        """The folder's name; the archive's or the given folder's where it is the top."""
        return PurePosixPath(self.path).name or self.tree.place.name

    def files(self, pattern: str) -> Files:
        """The files of a kind: `JPEGImages/{id}.jpg` below this folder."""
        folder, _, name = pattern.rpartition("/")
        wanted = _below(self.path, folder) if folder else self.path
        return Files(self.tree, self.folders.get(wanted.casefold(), wanted), name)

    def read(self, path: str) -> bytes | None:
        """Content of a single file below this folder; None where there is none."""
        files = self.files(path)
        return files.read("")


def open_trees(spec: DatasetSpec, origins: Sequence[Path], archive_names: Iterable[str] = ()) -> list[Tree]:
    """Open everything that was given: archives, folders, and in a folder the archives that are known by their names.

    Raises:
        DataMissing: nothing was given, or it does not exist.
        DataCorrupt: an archive is none, or damaged.
    """
    if not origins:
        raise DataMissing(f"{spec.name} is not in the local store", f"pass --from PATH with {spec.accepts}")
    known = {name.casefold() for name in archive_names}
    trees: list[Tree] = []
    try:
        for origin in origins:
            trees.append(open_tree(origin))
            if origin.is_dir():
                trees += [open_tree(path) for path in sorted(origin.iterdir()) if path.name.casefold() in known]
    except FcnbenchError:
        close_trees(trees)
        raise
    return trees


def close_trees(trees: Iterable[Tree]) -> None:
    """Let go of all trees."""
    for tree in trees:
        tree.close()


def find_roots(trees: Iterable[Tree], folder: str) -> list[Root]:
    """Every place that has this folder below it, in a fixed order: `SegmentationClass` finds each VOC release."""
    wanted = folder.casefold()
    roots = []
    for tree in trees:
        folders = {path.casefold(): path for path in tree.folders()}
        for lower, path in folders.items():
            if lower == wanted or lower.endswith(f"/{wanted}"):
                roots.append(Root(tree, path[: len(path) - len(folder)].rstrip("/"), folders))
    return roots


def split_at(root: Root, spec: DatasetSpec) -> Split:
    """The task's split: the specification's, or the one that the release lists.

    Raises:
        DataMissing: the release has no such list.
        DataCorrupt: its list is not what it should be.
    """
    if isinstance(spec.split, Split):
        return spec.split
    content = root.read(spec.split.path)
    place = str(root.tree.place / _below(root.path, spec.split.path))
    if content is None:
        raise DataMissing(
            f"{spec.name} takes its ids from {place}, and there is no such file",
            f"pass --from PATH with {spec.accepts}, complete with its id lists",
        )
    split = spec.split.read(content, place)
    for path in spec.split.apart:
        if (other := root.read(path)) is not None:
            spec.split.check_apart(split, other, place, str(root.tree.place / _below(root.path, path)))
    return split


@dataclass(frozen=True, eq=False)
class FileSource:
    """A source whose samples are files in folders.

    Attributes:
        spec: the task.
        split: its ids.
        variant: the release.
        place: where the release is, for messages.
        kinds: the files by column: `label` and `image`, and where the family has them `depth`, `hha`, `geo`.
        decode: how a label map is decoded.
        decode_geo: how a second label map is decoded.
        trees: everything that was opened.
    """

    spec: DatasetSpec
    split: Split
    variant: str
    place: str
    kinds: Mapping[str, Files]
    decode: DecodeLabel
    decode_geo: DecodeLabel | None
    trees: Sequence[Tree]

    def __post_init__(self) -> None:
        for tree in self._used():
            tree.expect(self._paths(tree))

    @property
    def archives(self) -> tuple[Path, ...]:
        """The archives that are read."""
        return tuple(tree.place for tree in self._used() if tree.place.is_file())

    def identity(self) -> str:
        """Return a digest over the ids and the files that would be read."""
        return digest_lines([self.split.digest, *(tree.identity(self._paths(tree)) for tree in self._used())])

    def images(self) -> frozenset[str]:
        """Ids of the task whose picture is there."""
        return self.kinds["image"].among(self.split.ids)

    def labels(self) -> frozenset[str]:
        """Ids of the task whose label map is there, the second one too where the family has two."""
        found = self.kinds["label"].among(self.split.ids)
        return self.kinds["geo"].among(found) if "geo" in self.kinds else found

    def read(self, sample_id: str) -> NativeSample:
        """Read the files of one id, and decode its label maps."""
        label = self._label("label", self.decode, self.spec.label_space, sample_id)
        if label is None:
            raise DataCorrupt(f"{self.place} has no label map of {sample_id}", "pass the complete release")
        geo = None
        if self.spec.geo and self.decode_geo:
            geo = self._label("geo", self.decode_geo, self.spec.geo, sample_id)
        extra = {name: self.kinds[name].read(sample_id) for name in ("depth", "hha") if name in self.kinds}
        return NativeSample(self.kinds["image"].read(sample_id), label, geo=geo, **extra)

    def close(self) -> None:
        """Close the archives."""
        close_trees(self.trees)

    def _label(self, kind: str, decode: DecodeLabel, space: LabelSpace, sample_id: str) -> NDArray[np.uint8] | None:
        files = self.kinds[kind]
        content = files.read(sample_id)
        if content is None:
            return None
        what = f"the label map {files.where(sample_id)}"
        label = decode(content, what)
        check_label(label, space, what)
        return label

    def _used(self) -> list[Tree]:
        """The trees that are read, each once."""
        return list({id(files.tree): files.tree for files in self.kinds.values()}.values())

    def _paths(self, tree: Tree) -> list[str]:
        """What is read of a tree: the files of the samples whose label is there."""
        found = [
            files.path(sample_id)
            for files in self.kinds.values()
            if files.tree is tree
            for sample_id in self.split.ids
            if self.kinds["label"].path(sample_id)
        ]
        return [path for path in found if path]


@dataclass(frozen=True)
class Family:
    """Where the files of a family lie below a release's folder.

    Attributes:
        images: pictures, for example `JPEGImages/{id}.jpg`.
        labels: label maps, for example `SegmentationClass/{id}.png`; their folder tells a release.
        decode: how a label map is decoded.
        others: further kinds: `depth`, `hha`, `geo`.
        decode_geo: how a second label map is decoded.
        variants: folder names that name a release, the papers' own first; other folders are called `fallback`.
        fallback: variant of a release in a folder of another name.
    """

    images: str
    labels: str
    decode: DecodeLabel
    others: Mapping[str, str] = field(default_factory=dict)
    decode_geo: DecodeLabel | None = None
    variants: tuple[str, ...] = ()
    fallback: str = ""

    def open(self, spec: DatasetSpec, origins: Sequence[Path]) -> FileSource:
        """Find the release that holds most of a task.

        Raises:
            DataMissing: no path was given, or nothing of the task is there.
            DataCorrupt: an archive or an id list is not what it should be.
        """
        trees = open_trees(spec, origins, archive_files(spec.archives))
        try:
            return self.pick(spec, trees)
        except FcnbenchError:
            close_trees(trees)
            raise

    def pick(self, spec: DatasetSpec, trees: Sequence[Tree]) -> FileSource:
        """The fullest release in these trees; of equally full ones the papers' own, then the first by name.

        Raises:
            DataMissing: nothing of the task is there.
        """
        roots = find_roots(trees, self.labels.rpartition("/")[0])
        candidates = []
        listless: DataMissing | None = None
        for root in roots:
            try:
                candidates.append((root, split_at(root, spec)))
            except DataMissing as missing:
                listless = missing
        # A release without its id list is only the reason if no other one will do.
        if not candidates and listless:
            raise listless
        best = max(candidates, key=lambda pair: self._fullness(*pair), default=None)
        if best is None or not best[0].files(self.labels).among(best[1].ids):
            where = ", ".join(str(tree.place) for tree in trees)
            raise DataMissing(f"{where} holds no label map of {spec.name}", f"pass --from PATH with {spec.accepts}")
        root, split = best
        kinds = {"label": self.labels, "image": self.images, **self.others}
        return FileSource(
            spec=spec,
            split=split,
            variant=self._variant(root),
            place=(root.tree.place / root.path).as_posix(),
            kinds={kind: root.files(pattern) for kind, pattern in kinds.items()},
            decode=self.decode,
            decode_geo=self.decode_geo,
            trees=trees,
        )

    def _fullness(self, root: Root, split: Split) -> tuple[int, int, int]:
        labels, images = root.files(self.labels).among(split.ids), root.files(self.images).among(split.ids)
        variant = self._variant(root)
        rank = self.variants.index(variant) if variant in self.variants else len(self.variants)
        return len(labels & images), len(labels), -rank

    def _variant(self, root: Root) -> str:
        return next((name for name in self.variants if name.casefold() == root.name.casefold()), self.fallback)


def _below(root: str, path: str) -> str:
    return f"{root}/{path}" if root else path
