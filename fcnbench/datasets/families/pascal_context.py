"""PASCAL-Context: whole-scene labels of the VOC2010 images, `<id>.mat` with 459 classes beside VOC's `JPEGImages`.

Two tasks over the same 5,105 val images. In the 59-class task everything that is none of the 59 is class 0,
background, which the reference nets are trained and scored on: 60 classes; the record gives the mean IU with it
(`mean_iu`) and without (`mean_iu_nobg`), since the papers don't say which their "59 class" is. In the 33-class task
everything else is ignored, as the publishers' own 33-class maps are commonly read; the papers don't say that either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.release import (
    DecodeLabel,
    FileSource,
    Root,
    close_trees,
    find_roots,
    open_trees,
    split_at,
)  # fmt: skip
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
"""Classes that the list of 459 calls otherwise than the list of 59."""

_LABELS, _IMAGES = "trainval/{id}.mat", "JPEGImages/{id}.jpg"


def open_context(spec: DatasetSpec, origins: Sequence[Path]) -> FileSource:
    """Find the label maps and the VOC2010 pictures, which come in two archives.

    Raises:
        DataMissing: no path was given, or label maps, pictures or the id list are missing altogether.
        DataCorrupt: an archive or a list is not what it should be.
    """
    trees = open_trees(spec, origins, archive_files(spec.archives))
    try:
        return _found(spec, trees)
    except FcnbenchError:
        close_trees(trees)
        raise


def _found(spec: DatasetSpec, trees: Sequence[Tree]) -> FileSource:
    release, split = _release(spec, trees)
    # The label maps lie in a folder `trainval`; or it is that folder itself that was given.
    labels = [root.files(_LABELS) for root in find_roots(trees, "trainval")]
    labels += [Root(tree, "", {}).files("{id}.mat") for tree in trees]
    fullest = max(labels, key=lambda found: len(found.among(split.ids)))
    if not fullest.among(split.ids):
        raise _missing(spec, trees, "no label map trainval/<id>.mat")
    _check_names(fullest.tree, fullest.folder)
    return FileSource(
        spec=spec,
        split=split,
        variant="VOC2010",
        place=(fullest.tree.place / fullest.folder).as_posix(),
        kinds={"label": fullest, "image": release.files(_IMAGES)},
        decode=_decoder(spec.label_space),
        decode_geo=None,
        trees=trees,
    )


def _release(spec: DatasetSpec, trees: Sequence[Tree]) -> tuple[Root, Split]:
    """The VOC2010 folder and the id list in it. Later releases have a longer list of the same name."""
    lists, unfit = [], None
    for root in find_roots(trees, "JPEGImages"):
        try:
            lists.append((root, split_at(root, spec)))
        except DataMissing:
            continue
        except DataCorrupt as error:
            unfit = error
    if not lists:
        raise unfit or _missing(spec, trees, "no VOC2010 folder with ImageSets/Main and JPEGImages")
    return max(lists, key=lambda pair: len(pair[0].files(_IMAGES).among(pair[1].ids)))


def _missing(spec: DatasetSpec, trees: Sequence[Tree], what: str) -> DataMissing:
    where = ", ".join(str(tree.place) for tree in trees)
    return DataMissing(f"{where} holds {what} for {spec.name}", f"pass --from PATH with {spec.accepts}")


def _check_names(tree: Tree, folder: str) -> None:
    """Where the release's own list of class names is beside the label maps, it must be the one that is known here."""
    parent = folder.rpartition("/")[0]
    if "labels.txt" not in tree.files(parent):
        return
    text = normalise(tree.read(f"{parent}/labels.txt".lstrip("/"))).decode("utf-8", "replace")
    found = [line.partition(":")[2].strip() for line in text.splitlines() if line.strip()]
    if found != list(_names_of_459()):
        raise DataCorrupt(
            f"{tree.place / parent / 'labels.txt'} names other classes than PASCAL-Context's 459",
            "use the release's original labels.txt",
        )


def _decoder(space: LabelSpace) -> DecodeLabel:
    table = native_table(space)

    def decode(content: bytes, what: str) -> NDArray[np.uint8]:
        values = native_classes(read_mat(content, what, "LabelMap"), 0, len(table) - 1, what)
        return table[values.astype(np.intp)]

    return decode


def native_table(space: LabelSpace) -> NDArray[np.uint8]:
    """From the publishers' class, 0..459, to a class of a label space: what it lacks is background, or else ignored."""
    names = _names_of_459()
    rest = space.classes.index("background") if "background" in space.classes else IGNORE
    table = np.full(len(names) + 1, rest, np.uint8)
    for index, name in enumerate(space.classes):
        if name != "background":
            table[names.index(_RAW_NAMES.get(name, name)) + 1] = index
    return table


@cache
def _names_of_459() -> tuple[str, ...]:
    return tuple(read_text(files("fcnbench.datasets.families") / "pascal_context_459.txt").splitlines())


def _task(name: str, title: str, space: LabelSpace) -> DatasetSpec:
    opened: Callable[[DatasetSpec, Sequence[Path]], FileSource] = open_context
    return DatasetSpec(
        name=name,
        title=title,
        label_space=space,
        split=ListedSplit("pascalcontextval", "ImageSets/Main/val.txt", 5105, apart=("ImageSets/Main/train.txt",)),
        open_source=opened,
        archives=(("voc2010trainval", "pascal-context"),),
        accepts=(
            "a folder that holds VOCtrainval_03-May-2010.tar and PASCAL-Context's trainval.tar.gz, or what they unpack "
            "to (VOCdevkit/VOC2010 and trainval/)"
        ),
        citation="Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation, CVPR 2014",
        terms="its publishers name none; the images come from flickr and are subject to flickr's terms of use",
    )


CONTEXT59VAL = _task("pascalcontext59val", "PASCAL-Context val, 59 classes and background, 5,105 images", CONTEXT60)
"""The papers' 59-class task."""

CONTEXT33VAL = _task(
    "pascalcontext33val", "PASCAL-Context val, 33 classes, other pixels ignored, 5,105 images", CONTEXT33
)
"""The papers' 33-class task, as far as it can be told."""
