"""SIFT Flow: 256x256 outdoor scenes with two label maps per image, of 33 semantic and of 3 geometric classes.

    SiftFlowDataset/                                         spelt in several ways
      Images/<scenes>/<id>.jpg                               <scenes> is spatial_envelope_256x256_static_...
      SemanticLabels/<scenes>/<id>.mat                       variable `S`: 0 for unlabelled, classes 1..33
      GeoLabels/<scenes>/<id>.mat                            variable `S`: -1 (or 0) for unlabelled, classes 1..3

Class names: the reference repository of the FCN papers.
Splits: `data/sift-flow/{trainval,test}.txt` of the reference repository; see `fcnbench/datasets/splits/SPLITS.toml`.
As in its data layers, `label - 1` in uint8 turns unlabelled pixels into 255. The classes cow, desert and moon do not
occur in the test split: the mean over `gt` leaves them out, as the papers do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.matlab import minus_one, native_classes, read_mat
from fcnbench.datasets.families.layout import FolderLayout
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import Split, published_split
from fcnbench.labelspace import LabelSpace, voc_palette

SIFTFLOW33 = LabelSpace(
    name="siftflow33",
    classes=(
        "awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk", "desert", "door",
        "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole", "river", "road", "rock", "sand",
        "sea", "sidewalk", "sign", "sky", "staircase", "streetlight", "sun", "tree", "window",
    ),
    palette=voc_palette(33),
)  # fmt: skip
"""The semantic classes, in the order of the reference repository."""

GEO3 = LabelSpace(name="geo3", classes=("sky", "horizontal", "vertical"), palette=voc_palette(3))
"""The geometric classes."""

_SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
"""Name of the folder of the images, and of those of both kinds of label maps."""


def decode_semantic(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode `SemanticLabels/.../<id>.mat` to classes 0..32 and 255.

    Args:
        content: content of the file: `S` holds 0 for unlabelled, and 1..33.
        name: name of the file, for messages.

    Raises:
        DataCorrupt: the file is not such a MATLAB file, or holds other values.
    """
    return minus_one(native_classes(read_mat(content, name, "S"), 0, SIFTFLOW33.num_classes, name))


def decode_geometric(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode `GeoLabels/.../<id>.mat` to classes 0..2 and 255.

    Args:
        content: content of the file: `S` holds -1 or 0 for unlabelled, and 1..3.
        name: name of the file, for messages.

    Raises:
        DataCorrupt: the file is not such a MATLAB file, or holds other values.
    """
    values = native_classes(read_mat(content, name, "S"), -1, GEO3.num_classes, name)
    return minus_one(np.where(values == -1, 0, values))


SIFTFLOW = FolderLayout(
    images=f"Images/{_SCENES}/{{id}}.jpg",
    labels=f"SemanticLabels/{_SCENES}/{{id}}.mat",
    decode=decode_semantic,
    others={"geo": f"GeoLabels/{_SCENES}/{{id}}.mat"},
    decode_geo=decode_geometric,
    fallback="SiftFlow",
)
"""Layout of the archive."""


def _spec(name: str, title: str, split: Split) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=SIFTFLOW33,
        split=split,
        open_source=SIFTFLOW.open,
        geo=GEO3,
        archives=(("siftflow",),),
        accepts="the archive SiftFlowDataset.zip, or a folder that holds Images, SemanticLabels and GeoLabels",
        citation="Liu et al., SIFT Flow, PAMI 2011; labels as packed by Tighe and Lazebnik, ECCV 2010",
        terms="its publishers name none; the images come from LabelMe",
    )


SIFTFLOW_TEST = _spec(
    "siftflowtest", "SIFT Flow, test, 33 semantic and 3 geometric classes, 200 images", published_split("siftflow-test")
)
"""The test split of the papers."""

SIFTFLOW_TRAIN = _spec(
    "siftflowtrain",
    "SIFT Flow, train, without two unannotated images, 2,486 images",
    published_split("siftflow-trainval"),
)
"""The training split of the papers' SIFT Flow nets."""
