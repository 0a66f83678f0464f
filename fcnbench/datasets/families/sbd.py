"""The Semantic Boundaries Dataset: `img/<id>.jpg` beside `cls/<id>.mat`, in `benchmark_RELEASE/dataset`.

The label map is `GTcls.Segmentation` of a MATLAB struct: 0..20 as in VOC, and no void. The lists `train.txt` (8,498
ids, what the papers train on) and `val.txt` come with the archive. "benchmark.tgz" is sometimes a plain tar; archives
are opened by their content.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.archive.release import Family
from fcnbench.datasets.codec.matlab import native_classes, read_mat
from fcnbench.datasets.families.voc import VOC21
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import ListedSplit


def decode_sbd(content: bytes, what: str) -> NDArray[np.uint8]:
    """Decode a `cls/<id>.mat`: class indices 0..20; a 255 is taken as void, though none is known to occur.

    Raises:
        DataCorrupt: no such MATLAB file, or other values.
    """
    values = read_mat(content, what, "GTcls", "Segmentation")
    return native_classes(values, 0, VOC21.ignore, what).astype(np.uint8)


SBD = Family(images="img/{id}.jpg", labels="cls/{id}.mat", decode=decode_sbd, fallback="SBD")
"""Layout of the release."""


def _task(name: str, title: str, split: ListedSplit) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        label_space=VOC21,
        split=split,
        open_source=SBD.open,
        archives=(("sbd",),),
        accepts="the archive benchmark.tgz, or a folder that holds benchmark_RELEASE/dataset (with img and cls)",
        citation="Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011",
        terms="its publishers name none; the images come from flickr and are subject to flickr's terms of use",
    )


SBDTRAIN = _task(
    "sbdtrain",
    "Semantic Boundaries Dataset, train: what the papers train on, 8,498 images",
    ListedSplit("sbdtrain", "train.txt", 8498, apart=("val.txt",)),
)
"""What the VOC nets of the papers are trained on."""

SBDVAL = _task(
    "sbdval",
    "Semantic Boundaries Dataset, val, 2,857 images",
    # All 11,355 without the 8,498 of train, as torchvision documents it; the 2,820 of two public READMEs fit no total
    # that its publishers name.
    ListedSplit("sbdval", "val.txt", 2857, apart=("train.txt",)),
)
"""The rest of SBD."""
