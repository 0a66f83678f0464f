"""The release finder: locates the folder of a dataset's release in folders and archives, at any depth.

Names of files and folders are compared without case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fcnbench.datasets.archive.tree import Tree, open_tree
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataMissing, FcnbenchError


@dataclass(frozen=True)
class SampleFiles:
    """Files of one kind, one per id, in one folder.

    Attributes:
        tree: the tree of the folder.
        folder: path of the folder in the tree.
        pattern: file name with `{id}` for the id, for example `img_{id}.png`.
    """

    tree: Tree
    folder: str
    pattern: str
    _names: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", {name.casefold(): name for name in self.tree.files(self.folder)})

    def path(self, sample_id: str) -> str | None:
        """Return the path of an id's file in the tree; None if there is no such file."""
        name = self._names.get(self.pattern.format(id=sample_id).casefold())
        return None if name is None else _join(self.folder, name)

    def among(self, ids: Iterable[str]) -> frozenset[str]:
        """Return the ids whose file exists."""
        return frozenset(sample_id for sample_id in ids if self.path(sample_id))

    def read(self, sample_id: str) -> bytes | None:
        """Return the content of an id's file; None if there is no such file."""
        path = self.path(sample_id)
        return None if path is None else self.tree.read(path)

    def location(self, sample_id: str) -> str:
        """Return the path of an id's file on disk, for messages."""
        return str(self.tree.path / (self.path(sample_id) or self.folder))


@dataclass(frozen=True)
class ReleaseFolder:
    """The folder of a release in a tree.

    Attributes:
        tree: the tree.
        path: path of the folder in the tree; empty for the root.
        folders: all folders of the tree by their lower-case paths.
    """

    tree: Tree
    path: str
    folders: Mapping[str, str]

    @property
    def name(self) -> str:
        """Name of the folder; of the archive or the given folder if it is the root of the tree."""
        return PurePosixPath(self.path).name or self.tree.path.name

    def files(self, pattern: str) -> SampleFiles:
        """Return the files of a pattern relative to this folder, for example `JPEGImages/{id}.jpg`."""
        folder, _, name = pattern.rpartition("/")
        wanted = _join(self.path, folder) if folder else self.path
        return SampleFiles(self.tree, self.folders.get(wanted.casefold(), wanted), name)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file relative to this folder; None if there is no such file."""
        return self.files(path).read("")

    def location(self, path: str) -> str:
        """Return the path on disk of a file relative to this folder, for messages."""
        return str(self.tree.path / _join(self.path, path))


def open_trees(spec: DatasetSpec, paths: Sequence[Path], archive_names: Iterable[str] = ()) -> list[Tree]:
    """Open folders and archives.

    Args:
        spec: the dataset, for messages.
        paths: folders and archives.
        archive_names: file names of archives that are opened too if they are in a given folder.

    Raises:
        DataMissing: `paths` is empty, or a path does not exist.
        DataCorrupt: a file is not an archive, or is damaged.
    """
    if not paths:
        raise DataMissing(f"{spec.name} is not in the local store", f"pass --from PATH with {spec.accepts}")
    known = {name.casefold() for name in archive_names}
    trees: list[Tree] = []
    try:
        for path in paths:
            trees.append(open_tree(path))
            if path.is_dir():
                trees += [open_tree(file) for file in sorted(path.iterdir()) if file.name.casefold() in known]
    except FcnbenchError:
        close_trees(trees)
        raise
    return trees


def close_trees(trees: Iterable[Tree]) -> None:
    """Close all trees."""
    for tree in trees:
        tree.close()


def find_releases(trees: Iterable[Tree], folder: str) -> list[ReleaseFolder]:
    """Return every folder that contains `folder`, in a fixed order.

    Args:
        trees: the trees to search.
        folder: a relative path that identifies a release, for example `SegmentationClass` for VOC.
    """
    wanted = folder.casefold()
    releases = []
    for tree in trees:
        folders = {path.casefold(): path for path in tree.folders()}
        for lower, path in folders.items():
            if lower == wanted or lower.endswith(f"/{wanted}"):
                releases.append(ReleaseFolder(tree, path[: len(path) - len(folder)].rstrip("/"), folders))
    return releases


def read_split(release: ReleaseFolder, spec: DatasetSpec) -> Split:
    """Return the split of a dataset: that of its specification, or the list in the release.

    Raises:
        DataMissing: the release lacks the list.
        DataCorrupt: the list is not valid.
    """
    if isinstance(spec.split, Split):
        return spec.split
    content, location = release.read(spec.split.path), release.location(spec.split.path)
    if content is None:
        raise DataMissing(
            f"{spec.name} takes its ids from {location}, and there is no such file",
            f"pass --from PATH with {spec.accepts}, complete with its id lists",
        )
    split = spec.split.read(content, location)
    for path in spec.split.apart:
        if (other := release.read(path)) is not None:
            spec.split.check_apart(split, other, location, release.location(path))
    return split


def _join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path
