"""NYU Depth V2 in the 40 classes of Gupta et al., from one of two sources with different labels.

`gupta` is what the papers used: a folder, or nyud.tar.gz, with images and label maps of 425x560 pixels.

    data/images/img_<id>.png        RGB image
    data/depth/img_<id>.png         depth in millimetres, 16-bit
    data/hha/img_<id>.png           HHA image, optional
    segmentation/img_<id>.mat       MATLAB variable `segmentation`: 0 for void, classes 1..40

`raw` is the publishers' file nyu_depth_v2_labeled.mat; see `fcnbench.datasets.families.nyudv2_hdf5`. The labels of
Gupta et al. were cleaned further, so the two sources are close but not equal, and the signature of a run states which
it was.

Class names: the reference repository (github.com/shelhamer/fcn.berkeleyvision.org), with its spelling.
Split: `data/nyud/{train,val,test}.txt` of the reference repository; see `fcnbench/datasets/splits/SPLITS.toml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.catalogue import archive_files
from fcnbench.datasets.archive.release import close_trees, open_trees
from fcnbench.datasets.codec.matlab import minus_one, native_classes, read_mat
from fcnbench.datasets.families.layout import FolderLayout
from fcnbench.datasets.families.nyudv2_hdf5 import RAW, RAW_NAME, RawSource, is_hdf5
from fcnbench.datasets.spec import DatasetSpec, Source
from fcnbench.datasets.splits import Split, published_split
from fcnbench.errors import DataMissing, FcnbenchError
from fcnbench.labelspace import LabelSpace, voc_palette

NYUD40 = LabelSpace(
    name="nyud40",
    classes=(
        "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
        "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
        "ceiling", "books", "refridgerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
        "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture",
        "otherprop",
    ),
    palette=voc_palette(40),
)  # fmt: skip
"""The 40 classes, in the order and spelling of the reference repository."""

GUPTA = "gupta"
"""Variant of the files of Gupta et al., as signatures name it; the other one is `RAW`."""


def decode_gupta(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode `segmentation/img_<id>.mat` to classes 0..39 and 255.

    Args:
        content: content of the file: `segmentation` holds 0 for void, and 1..40.
        name: name of the file, for messages.

    Raises:
        DataCorrupt: the file is not such a MATLAB file, or holds other values.
    """
    return minus_one(native_classes(read_mat(content, name, "segmentation"), 0, NYUD40.num_classes, name))


GUPTA_LAYOUT = FolderLayout(
    images="data/images/img_{id}.png",
    labels="segmentation/img_{id}.mat",
    decode=decode_gupta,
    others={"depth": "data/depth/img_{id}.png", "hha": "data/hha/img_{id}.png"},
    fallback=GUPTA,
)
"""Layout of nyud.tar.gz and of Gupta's data.tgz."""


def open_nyudv2(spec: DatasetSpec, paths: Sequence[Path]) -> Source:
    """Open the files of Gupta et al. or the publishers' file, whichever is more complete; the former if both are equal.

    Raises:
        DataMissing: no path was given, or the paths hold nothing of the dataset.
        DataCorrupt: a file or archive is not valid.
        DataError: the publishers' file was given, and h5py is not installed (extra `nyudv2`).
    """
    raw_files = [path for path in paths if path.is_file() and is_hdf5(path)]
    others = [path for path in paths if path not in raw_files]
    for folder in (path for path in others if path.is_dir()):
        raw_files += [path for path in sorted(folder.iterdir()) if path.name.casefold() == RAW_NAME]
    raw = RawSource(spec, raw_files[0]) if raw_files else None
    if raw and not others:
        return raw
    try:
        gupta = _open_gupta(spec, others)
    except DataMissing:
        if raw is None:
            raise
        return raw
    if raw is None:
        return gupta
    chosen, other = (raw, gupta) if len(raw.images()) > len(gupta.images()) else (gupta, raw)
    other.close()
    return chosen


def _open_gupta(spec: DatasetSpec, paths: Sequence[Path]) -> Source:
    trees = open_trees(spec, paths, archive_files(spec.archives) - {RAW_NAME})
    try:
        return GUPTA_LAYOUT.pick(spec, trees)
    except FcnbenchError:
        close_trees(trees)
        raise


def _spec(name: str, title: str, split: Split) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=NYUD40,
        split=split,
        open_source=open_nyudv2,
        modalities=("rgb", "depth", "hha"),
        labellings=(GUPTA, RAW),
        archives=(("nyud",), ("nyud-gupta",), ("nyu-depth-v2",)),
        accepts=(
            "nyud.tar.gz, a folder with its data/ and segmentation/, or nyu_depth_v2_labeled.mat (the latter has "
            "other labels, and no HHA)"
        ),
        citation="Silberman et al., ECCV 2012; labels: Gupta et al., CVPR 2013",
        terms="its publishers name none",
    )


NYUDV2_TEST = _spec("nyudv2test", "NYU Depth V2, test, 40 classes, 654 images", published_split("nyud-test"))
"""The test split of the papers."""

NYUDV2_TRAIN = _spec(
    "nyudv2train",
    "NYU Depth V2, train, 40 classes, 795 images",
    # The papers train on both lists; a list `trainval` was not published.
    published_split("nyud-trainval", "nyud-train", "nyud-val"),
)
"""The training images of the papers' NYUDv2 nets."""
