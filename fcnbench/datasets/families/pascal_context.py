"""PASCAL-Context: labels of whole scenes for the images of VOC2010.

    VOCdevkit/VOC2010/JPEGImages/<id>.jpg
    VOCdevkit/VOC2010/ImageSets/Main/{train,val}.txt
    trainval/<id>.mat                                variable `LabelMap`: classes 1..459
    labels.txt                                       optional: names of the 459 classes

Class names: 59 from the reference repository of the FCN papers, 33 from the publishers' `33_labels.txt`, 459 from their
`labels.txt`.
Split: `ImageSets/Main/val.txt` of the VOC2010 release, 5,105 images, for two datasets. In `pascalcontext59val` all
other classes are class 0, background, which the reference nets are trained and scored on. That gives 60 classes; the
papers do not state whether their "59 class" mean counts it, so a record has both: `mean_iu` and `mean_iu_nobg` (without
it). In `pascalcontext33val` other classes are ignored, as public loaders read the publishers' 33-class maps; the papers
do not state this either.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.file_source import DecodeLabel, FileSource
from fcnbench.datasets.archive.release import ReleaseFolder, close_trees, find_releases, open_trees, read_split
from fcnbench.datasets.archive.tree import Tree
from fcnbench.datasets.codec.matlab import native_classes, read_mat
from fcnbench.datasets.families.voc import VOC21
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import ListedSplit, Split
from fcnbench.errors import DataCorrupt, DataMissing, FcnbenchError
from fcnbench.labelspace import IGNORE, LabelSpace, voc_palette
from fcnbench.util.text import normalise, read_text

_OTHERS = (
    "bag", "bed", "bench", "book", "building", "cabinet", "ceiling", "clothes", "computer", "cup", "door", "fence",
    "floor", "flower", "food", "grass", "ground", "keyboard", "light", "mountain", "mouse", "curtain", "platform",
    "sign", "plate", "road", "rock", "shelves", "sidewalk", "sky", "snow", "bedcloth", "track", "tree", "truck",
    "wall", "water", "window", "wood",
)  # fmt: skip

CONTEXT60 = LabelSpace(name="context60", classes=VOC21.classes + _OTHERS, palette=voc_palette(60))
"""Background and the 59 classes, in the order and spelling of the reference repository."""

CONTEXT33 = LabelSpace(
    name="context33",
    classes=(
        *VOC21.classes[1:],
        "sky", "grass", "ground", "road", "building", "tree", "water", "mountain", "wall", "floor", "track",
        "keyboard", "ceiling",
    ),
    palette=voc_palette(34)[1:],
)  # fmt: skip
"""The 33 classes of the publishers' `33_labels.txt`, as public loaders list them."""

_RAW_NAMES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
"""Names in the list of 459 classes that differ from those in the list of 59."""

_LABELS, _IMAGES = "trainval/{id}.mat", "JPEGImages/{id}.jpg"


def open_context(spec: DatasetSpec, paths: Sequence[Path]) -> FileSource:
    """Open the label maps and the VOC2010 images, which come in two archives.

    Raises:
        DataMissing: no path was given, or all label maps, all images or the id list are missing.
        DataCorrupt: an archive or a list is not valid.
    """
    trees = open_trees(spec, paths, archive_files(spec.archives))
    try:
        return _file_source(spec, trees)
    except FcnbenchError:
        close_trees(trees)
        raise


def _file_source(spec: DatasetSpec, trees: Sequence[Tree]) -> FileSource:
    release, split = _find_images(spec, trees)
    # The label maps are in a folder `trainval`, or that folder itself was given.
    labels = [parent.files(_LABELS) for parent in find_releases(trees, "trainval")]
    labels += [ReleaseFolder(tree, "", {}).files("{id}.mat") for tree in trees]
    fullest = max(labels, key=lambda candidate: len(candidate.among(split.ids)))
    if not fullest.among(split.ids):
        raise _missing(spec, trees, "no label map trainval/<id>.mat")
    _check_names(fullest.tree, fullest.folder)
    return FileSource(
        spec=spec,
        split=split,
        variant="VOC2010",
        location=(fullest.tree.path / fullest.folder).as_posix(),
        kinds={"label": fullest, "image": release.files(_IMAGES)},
        decode=_decoder(spec.label_space),
        decode_geo=None,
        trees=trees,
    )


def _find_images(spec: DatasetSpec, trees: Sequence[Tree]) -> tuple[ReleaseFolder, Split]:
    """Return the VOC2010 folder and its id list; later releases, which have a longer list, are skipped."""
    lists, unfit = [], None
    for release in find_releases(trees, "JPEGImages"):
        try:
            lists.append((release, read_split(release, spec)))
        except DataMissing:
            continue
        except DataCorrupt as error:
            unfit = error
    if not lists:
        raise unfit or _missing(spec, trees, "no VOC2010 folder with ImageSets/Main and JPEGImages")
    return max(lists, key=lambda pair: len(pair[0].files(_IMAGES).among(pair[1].ids)))


def _missing(spec: DatasetSpec, trees: Sequence[Tree], missing: str) -> DataMissing:
    searched = ", ".join(str(tree.path) for tree in trees)
    return DataMissing(f"{searched} holds {missing} for {spec.name}", f"pass --from PATH with {spec.accepts}")


def _check_names(tree: Tree, folder: str) -> None:
    """Check the list of class names beside the label maps, if there is one."""
    parent = folder.rpartition("/")[0]
    if "labels.txt" not in tree.files(parent):
        return
    text = normalise(tree.read(f"{parent}/labels.txt".lstrip("/"))).decode("utf-8", "replace")
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.strip()]
    if names != list(names_of_459()):
        raise DataCorrupt(
            f"{tree.path / parent / 'labels.txt'} names other classes than PASCAL-Context's 459",
            "use the release's original labels.txt",
        )


def _decoder(space: LabelSpace) -> DecodeLabel:
    table = native_table(space)

    def decode(content: bytes, name: str) -> NDArray[np.uint8]:
        values = native_classes(read_mat(content, name, "LabelMap"), 0, len(table) - 1, name)
        return table[values.astype(np.intp)]

    return decode


def native_table(space: LabelSpace) -> NDArray[np.uint8]:
    """Return the table from the publishers' classes, 0..459, to those of a label space, uint8 [460].

    Classes that the label space lacks are background, if it has one; otherwise they are ignored.
    """
    names = names_of_459()
    rest = space.classes.index("background") if "background" in space.classes else IGNORE
    table = np.full(len(names) + 1, rest, np.uint8)
    for index, name in enumerate(space.classes):
        if name != "background":
            table[names.index(_RAW_NAMES.get(name, name)) + 1] = index
    return table


@cache
def names_of_459() -> tuple[str, ...]:
    """Return the names of the publishers' classes 1..459.

    >>> len(names_of_459())
    459
    """
    return tuple(read_text(files("fcnbench.datasets.families") / "pascal_context_459.txt").splitlines())


def _spec(name: str, title: str, space: LabelSpace) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=space,
        split=ListedSplit("pascalcontextval", "ImageSets/Main/val.txt", 5105, apart=("ImageSets/Main/train.txt",)),
        open_source=open_context,
        archives=(("voc2010trainval", "pascal-context"),),
        accepts=(
            "a folder that holds VOCtrainval_03-May-2010.tar and PASCAL-Context's trainval.tar.gz, or what they unpack "
            "to (VOCdevkit/VOC2010 and trainval/)"
        ),
        citation="Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation, CVPR 2014",
        terms="its publishers name none; the images come from flickr and are subject to flickr's terms of use",
    )


CONTEXT59VAL = _spec("pascalcontext59val", "PASCAL-Context val, 59 classes and background, 5,105 images", CONTEXT60)
"""The 59 classes of the papers, and background."""

CONTEXT33VAL = _spec(
    "pascalcontext33val", "PASCAL-Context val, 33 classes, other pixels ignored, 5,105 images", CONTEXT33
)
"""The 33 classes of the papers, as far as they are known."""
