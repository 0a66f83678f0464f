"""SIFT Flow: 256x256 outdoor scenes with two label maps each, 33 semantic classes and 3 geometric ones.

Both lie in MATLAB files under `S`. Semantic 0 is unlabelled; geometric -1 is, and 0 is treated like it; then the
reference layers' `label - 1` in uint8 makes both 255. Cow, desert and moon never occur in the test split: with the
policy `present` they stay out of the means, as in the papers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.release import Family
from fcnbench.datasets.codec.matlab import minus_one, native_classes, read_mat
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
"""The semantic classes, as the reference repository lists them."""

GEO3 = LabelSpace(name="geo3", classes=("sky", "horizontal", "vertical"), palette=voc_palette(3))
"""The geometric classes."""

_SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
"""Folder of the pictures, and of both kinds of label maps."""


def decode_semantic(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode `SemanticLabels/.../<id>.mat`: `S` holds 0 for unlabelled and 1..33.

    Raises:
        DataCorrupt: no such MATLAB file, or other values.
    """
    return minus_one(native_classes(read_mat(content, what, "S"), 0, SIFTFLOW33.num_classes, what))


def decode_geometric(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode `GeoLabels/.../<id>.mat`: `S` holds -1 for unlabelled and 1..3.

    Raises:
        DataCorrupt: no such MATLAB file, or other values.
    """
    values = native_classes(read_mat(content, what, "S"), -1, GEO3.num_classes, what)
    return minus_one(np.where(values == -1, 0, values))


SIFTFLOW = Family(
    images=f"Images/{_SCENES}/{{id}}.jpg",
    labels=f"SemanticLabels/{_SCENES}/{{id}}.mat",
    decode=decode_semantic,
    others={"geo": f"GeoLabels/{_SCENES}/{{id}}.mat"},
    decode_geo=decode_geometric,
    fallback="SiftFlow",
)
"""Layout of the archive, below a folder that is spelt in several ways."""


def _task(name: str, title: str, split: Split) -> DatasetSpec:
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


SIFTFLOW_TEST = _task(
    "siftflowtest", "SIFT Flow, test, 33 semantic and 3 geometric classes, 200 images", published_split("siftflow-test")
)
"""The papers' test split."""

SIFTFLOW_TRAIN = _task(
    "siftflowtrain",
    "SIFT Flow, train, without two unannotated images, 2,486 images",
    published_split("siftflow-trainval"),
)
"""What the papers' SIFT Flow nets are trained on."""
