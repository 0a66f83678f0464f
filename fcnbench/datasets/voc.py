"""PASCAL VOC segmentation: `JPEGImages/<id>.jpg` beside `SegmentationClass/<id>.png`, in a folder or an archive.

VOC2012 unpacks to `VOCdevkit/VOC2012`, VOC2011 to `TrainVal/VOCdevkit/VOC2011`; any leading folders are accepted. All
736 images of the papers' seg11valid are in both releases; which one was read is the protocol's `variant`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from fcnbench.datasets.pictures import check_label, decode_label
from fcnbench.datasets.spec import DatasetSpec, NativeSample, Source
from fcnbench.datasets.splits import published_split
from fcnbench.datasets.trees import Tree, open_tree
from fcnbench.errors import DataMissing
from fcnbench.labelspace import LabelSpace, voc_palette

VOC21 = LabelSpace(
    name="voc21",
    classes=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ),
    palette=voc_palette(21),
)  # fmt: skip
"""Background and the 20 classes of PASCAL VOC; 255 is void (outlines and difficult regions)."""

_IMAGES, _LABELS = "JPEGImages", "SegmentationClass"
_RELEASES = ("VOC2011", "VOC2012")
"""Folder names of the releases; the papers' own first."""


class VocSource:
    """The pictures and label maps of one VOC folder."""

    def __init__(self, spec: DatasetSpec, tree: Tree, root: str) -> None:
        self._space = spec.label_space
        self._tree = tree
        self._root = root
        self._image_folder, self._label_folder = _below(root, _IMAGES), _below(root, _LABELS)
        self._images = _ids(tree.files(self._image_folder), ".jpg") & frozenset(spec.split.ids)
        self._labels = _ids(tree.files(self._label_folder), ".png") & frozenset(spec.split.ids)
        name = PurePosixPath(root).name or tree.place.name
        self.variant = name if name in _RELEASES else "VOC"
        self.place = str(tree.place / root)

    def identity(self) -> str:
        """A digest over the files that would be read."""
        return self._tree.identity(self._paths())

    def images(self) -> frozenset[str]:
        """Ids of the task whose picture is there."""
        return self._images

    def labels(self) -> frozenset[str]:
        """Ids of the task whose label map is there."""
        return self._labels

    def prepare(self) -> None:
        """Announce what will be read."""
        self._tree.expect(self._paths())

    def read(self, sample_id: str) -> NativeSample:
        """Read picture and label map of one id; palette indices are the classes, 255 stays void."""
        path = self._label_path(sample_id)
        what = f"the label map {self._tree.place / path}"
        label = decode_label(self._tree.read(path), what)
        check_label(label, self._space, what)
        image = self._tree.read(self._image_path(sample_id)) if sample_id in self._images else None
        return NativeSample(image, label)

    def close(self) -> None:
        """Close the archive."""
        self._tree.close()

    def _image_path(self, sample_id: str) -> str:
        return f"{self._image_folder}/{sample_id}.jpg"

    def _label_path(self, sample_id: str) -> str:
        return f"{self._label_folder}/{sample_id}.png"

    def _paths(self) -> list[str]:
        """Files of the samples whose label is there."""
        return [self._label_path(sample_id) for sample_id in self._labels] + [
            self._image_path(sample_id) for sample_id in self._labels & self._images
        ]


def open_voc(spec: DatasetSpec, origin: Path | None) -> Source:
    """Find the VOC folder in `origin` that holds most of the task.

    Raises:
        DataMissing: no path was given, or nothing of the task is there.
    """
    if origin is None:
        raise DataMissing(f"{spec.name} is not in the local store", f"pass --from PATH with {spec.accepts}")
    tree = open_tree(origin)
    roots = [str(PurePosixPath(folder).parent) for folder in tree.folders() if PurePosixPath(folder).name == _LABELS]
    sources = [VocSource(spec, tree, "" if root == "." else root) for root in roots]
    # The given folder may be SegmentationClass's own parent, or hold several releases: the fullest wins, then the
    # papers' own release, then the name, so that the choice does not depend on the file system.
    best = max(
        sources,
        key=lambda source: (len(source.labels() & source.images()), len(source.labels()), source.variant == "VOC2011"),
        default=None,
    )
    if best is None or not best.labels():
        tree.close()
        raise DataMissing(f"{origin} holds no label map of {spec.name}", f"pass --from PATH with {spec.accepts}")
    best.prepare()
    return best


def _below(root: str, folder: str) -> str:
    return f"{root}/{folder}" if root else folder


def _ids(names: Collection[str], ending: str) -> frozenset[str]:
    return frozenset(name.removesuffix(ending) for name in names if name.endswith(ending))


_ACCEPTS = (
    "the archive VOCtrainval_11-May-2012.tar or VOCtrainval_25-May-2011.tar, or a folder that holds "
    f"VOCdevkit/VOC2012 or VOCdevkit/VOC2011 (with {_IMAGES} and {_LABELS})"
)

_TERMS = "images come from flickr and are subject to flickr's terms of use"

VOC2011VAL = DatasetSpec(
    name="voc2011val",
    title="PASCAL VOC 2011 segmentation val without SBD train (seg11valid of the FCN papers), 736 images",
    label_space=VOC21,
    split=published_split("seg11valid"),
    open_source=open_voc,
    # The 2012 release first: it holds all 736 images, and has mirrors.
    archives=("voc2012trainval", "voc2011trainval"),
    accepts=_ACCEPTS,
    citation="Everingham et al., The PASCAL Visual Object Classes Challenge 2011",
    terms=_TERMS,
)
"""The papers' evaluation task: `seg11valid`."""

VOC2012VAL = DatasetSpec(
    name="voc2012val",
    title="PASCAL VOC 2012 segmentation val, 1,449 images",
    label_space=VOC21,
    split=published_split("voc2012val"),
    open_source=open_voc,
    archives=("voc2012trainval",),
    accepts=_ACCEPTS,
    citation="Everingham et al., The PASCAL Visual Object Classes Challenge 2012",
    terms=_TERMS,
)
"""The split that most networks since 2012 are scored on."""
