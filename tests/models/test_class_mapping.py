"""The mapping of a model's classes to a dataset's by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcnbench.datasets.families.nyudv2 import NYUD40
from fcnbench.datasets.families.voc import VOC21
from fcnbench.errors import ModelError
from fcnbench.models.class_mapping import MappedSegmenter, match_classes


def test_the_same_classes_are_the_identity() -> None:
    assert match_classes(VOC21.classes, VOC21.classes).identity
    torchvision = ["__background__", *VOC21.classes[1:]]
    assert match_classes(torchvision, VOC21.classes).identity


def test_classes_are_matched_by_name_and_synonym() -> None:
    ade = [
        "wall",
        "building;edifice",
        "person;individual",
        "airplane, aeroplane, plane",
        "sofa;couch",
        "cat",
        "crt screen",
    ]
    mapping = match_classes(ade, VOC21.classes)
    named = mapping.as_dict()
    assert named["person"] == ["person;individual"]
    assert named["aeroplane"] == ["airplane, aeroplane, plane"]
    assert named["sofa"] == ["sofa;couch"]
    assert named["cat"] == ["cat"]
    # Classes that PASCAL VOC does not have are its background.
    assert named["background"] == ["wall", "building;edifice", "crt screen"]
    assert "horse" in mapping.unknown
    assert mapping.ignored == ()
    assert "5 of 21 classes matched by name" in mapping.describe()


def test_without_background_the_other_classes_are_ignored() -> None:
    mapping = match_classes(["wall", "floor", "sky", "bed"], NYUD40.classes)
    assert mapping.ignored == ("sky",)
    assert "1 of its classes are ignored (sky)" in mapping.describe()


def test_classes_without_a_common_name_are_refused() -> None:
    with pytest.raises(ModelError, match="have no name in common"):
        match_classes(["zebra", "giraffe"], NYUD40.classes)
    with pytest.raises(ModelError, match="have no name in common"):
        match_classes(["background", "zebra"], VOC21.classes)


class Fixed:
    classes = ("cat", "sky", "tabby;cat")
    train_splits = ("somewhere",)

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image).permute(2, 0, 1).float()

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        plane = torch.zeros(batch.shape[0], *batch.shape[2:])
        return torch.stack([plane + 1, plane + 2, plane + 3], 1)


def test_mapped_logits_are_the_largest_of_their_classes() -> None:
    names = ("background", "dog", "cat")
    mapped = MappedSegmenter(Fixed(), match_classes(Fixed.classes, names))
    found = mapped.logits(mapped.prepare(np.zeros((4, 5, 3), np.uint8))[None])
    assert found.shape == (1, 3, 4, 5)
    assert (found[:, 0] == 2).all()  # sky is background
    assert (found[:, 1] == float("-inf")).all()  # no class of the model is a dog
    assert (found[:, 2] == 3).all()
    assert (mapped.num_classes, mapped.train_splits) == (3, ("somewhere",))
    assert not hasattr(mapped, "all_logits")
