"""The Semantic Boundaries Dataset (SBD).

    benchmark_RELEASE/dataset/
      img/<id>.jpg
      cls/<id>.mat               `GTcls.Segmentation`: classes 0..20 as in VOC, no void
      train.txt, val.txt

Class names: those of PASCAL VOC.
Splits: the lists in the archive; `train.txt` holds the 8,498 images that the papers train on. The archive benchmark.tgz
circulates compressed and as a plain tar file; archives are opened by their content.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.codec.matlab import native_classes, read_mat
from fcnbench.datasets.families.layout import FolderLayout
from fcnbench.datasets.families.voc import VOC21
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.splits import ListedSplit


def decode_sbd(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode `cls/<id>.mat` to classes 0..20; a value of 255 would be void, but none is known to occur.

    Args:
        content: content of the file.
        name: name of the file, for messages.

    Raises:
        DataCorrupt: the file is not such a MATLAB file, or holds other values.
    """
    values = read_mat(content, name, "GTcls", "Segmentation")
    return native_classes(values, 0, VOC21.ignore, name).astype(np.uint8)


SBD = FolderLayout(images="img/{id}.jpg", labels="cls/{id}.mat", decode=decode_sbd, fallback="SBD")
"""Layout of the release."""


def _spec(name: str, title: str, split: ListedSplit) -> DatasetSpec:
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


SBDTRAIN = _spec(
    "sbdtrain",
    "Semantic Boundaries Dataset, train: the training split of the papers, 8,498 images",
    ListedSplit("sbdtrain", "train.txt", 8498, apart=("val.txt",)),
)
"""The training split of the papers' VOC nets."""

SBDVAL = _spec(
    "sbdval",
    "Semantic Boundaries Dataset, val, 2,857 images",
    # All 11,355 images minus the 8,498 of train, as torchvision documents it; two public READMEs say 2,820, which does
    # not match any total of the publishers.
    ListedSplit("sbdval", "val.txt", 2857, apart=("train.txt",)),
)
"""The validation split of SBD."""
