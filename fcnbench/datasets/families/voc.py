"""PASCAL VOC segmentation.

    VOCdevkit/VOC2012/                       TrainVal/VOCdevkit/VOC2011 in the 2011 release
      JPEGImages/<id>.jpg
      SegmentationClass/<id>.png             palette PNG; index 0..20 is the class, 255 is void
      ImageSets/Segmentation/{train,val}.txt

Class names: the VOC development kit.
Splits: `seg11valid` from the reference repository of the FCN papers, `val.txt` of the 2012 release (see
`fcnbench/datasets/splits/SPLITS.toml`), and the lists in the releases. All 736 images of seg11valid are in both
releases; the `variant` of the protocol states which one was read.
"""

from __future__ import annotations

from fcnbench.datasets.codec.images import decode_label
from fcnbench.datasets.families.layout import FolderLayout
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import ListedSplit, Split, published_split
from fcnbench.labelspace import LabelSpace, voc_palette

VOC21 = LabelSpace(
    name="voc21",
    classes=(
        "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
        "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
    ),
    palette=voc_palette(21),
)  # fmt: skip
"""Background and the 20 object classes; 255 is void (outlines and difficult regions)."""

VOC = FolderLayout(
    images="JPEGImages/{id}.jpg",
    labels="SegmentationClass/{id}.png",
    decode=decode_label,
    variants=("VOC2011", "VOC2012"),
    fallback="VOC",
)
"""Layout of all releases since 2007."""

_TERMS = "images come from flickr and are subject to flickr's terms of use"


def _spec(
    name: str,
    title: str,
    split: Split | ListedSplit,
    year: str,
    archives: tuple[tuple[str, ...], ...],
    accepts: str,
    *,
    devkit_set: str = "val",
) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=VOC21,
        split=split,
        open_source=VOC.open,
        devkit_set=devkit_set,
        archives=archives,
        accepts=f"{accepts} (with JPEGImages and SegmentationClass)",
        citation=f"Everingham et al., The PASCAL Visual Object Classes Challenge {year}",
        terms=_TERMS,
    )


_EITHER = (
    "the archive VOCtrainval_11-May-2012.tar or VOCtrainval_25-May-2011.tar, or a folder that holds VOCdevkit/VOC2012 "
    "or VOCdevkit/VOC2011"
)
_VOC2011 = "the archive VOCtrainval_25-May-2011.tar, or a folder that holds VOCdevkit/VOC2011"
_VOC2012 = "the archive VOCtrainval_11-May-2012.tar, or a folder that holds VOCdevkit/VOC2012"
_LISTS = "ImageSets/Segmentation"

VOC2011VAL = _spec(
    "voc2011val",
    "PASCAL VOC 2011 segmentation val without SBD train (seg11valid of the FCN papers), 736 images",
    published_split("seg11valid"),
    "2011",
    # The 2012 release first: it holds all 736 images, and has mirrors.
    (("voc2012trainval",), ("voc2011trainval",)),
    _EITHER,
)
"""The evaluation split of the papers, `seg11valid`."""

VOC2011VAL_FULL = _spec(
    "voc2011val-full",
    "PASCAL VOC 2011 segmentation val, all of it (Table 1 of the CVPR paper), 1,111 images",
    ListedSplit("voc2011val-full", f"{_LISTS}/val.txt", 1111, apart=(f"{_LISTS}/train.txt",)),
    "2011",
    (("voc2011trainval",),),
    _VOC2011,
)
"""The split of Table 1 of the CVPR paper; shares images with SBD train."""

VOC2012VAL = _spec(
    "voc2012val",
    "PASCAL VOC 2012 segmentation val, 1,449 images",
    published_split("voc2012val"),
    "2012",
    (("voc2012trainval",),),
    _VOC2012,
)
"""The split that most networks since 2012 are scored on."""

VOC2012TRAIN = _spec(
    "voc2012train",
    "PASCAL VOC 2012 segmentation train, 1,464 images",
    ListedSplit("voc2012train", f"{_LISTS}/train.txt", 1464, apart=(f"{_LISTS}/val.txt",)),
    "2012",
    (("voc2012trainval",),),
    _VOC2012,
    devkit_set="train",
)
"""The training split of VOC2012."""
