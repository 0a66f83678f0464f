"""Mapping a model's classes to a data set's by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fcnbench.datasets.families.nyudv2 import NYUD40
from fcnbench.datasets.families.voc import VOC21
from fcnbench.errors import ModelError
from fcnbench.models.label_map import Mapped, match_labels


def test_the_same_classes_are_no_map() -> None:
    assert match_labels(VOC21.classes, VOC21.classes).identity
    torchvision = ["__background__", *VOC21.classes[1:]]
    assert match_labels(torchvision, VOC21.classes).identity


def test_classes_are_found_by_name_and_synonym() -> None:
    ade = [
        "wall",
        "building;edifice",
        "person;individual",
        "airplane, aeroplane, plane",
        "sofa;couch",
        "cat",
        "crt screen",
    ]
    found = match_labels(ade, VOC21.classes)
    named = found.as_dict()
    assert named["person"] == ["person;individual"]
    assert named["aeroplane"] == ["airplane, aeroplane, plane"]
    assert named["sofa"] == ["sofa;couch"]
    assert named["cat"] == ["cat"]
    # What PASCAL VOC has no class for is its background.
    assert named["background"] == ["wall", "building;edifice", "crt screen"]
    assert "horse" in found.unknown
    assert found.left_out == ()
    assert "5 of 21 classes found by name" in found.told()


def test_without_background_the_rest_is_left_out() -> None:
    found = match_labels(["wall", "floor", "sky", "bed"], NYUD40.classes)
    assert found.left_out == ("sky",)
    assert "1 of its classes are left out (sky)" in found.told()


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(ModelError, match="have no name in common"):
        match_labels(["zebra", "giraffe"], NYUD40.classes)
    with pytest.raises(ModelError, match="have no name in common"):
        match_labels(["background", "zebra"], VOC21.classes)


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
    mapped = Mapped(Fixed(), match_labels(Fixed.classes, names))
    found = mapped.logits(mapped.prepare(np.zeros((4, 5, 3), np.uint8))[None])
    assert found.shape == (1, 3, 4, 5)
    assert (found[:, 0] == 2).all()  # sky is background
    assert (found[:, 1] == float("-inf")).all()  # nothing says dog
    assert (found[:, 2] == 3).all()
    assert (mapped.num_classes, mapped.train_splits) == (3, ("somewhere",))
    assert not hasattr(mapped, "all_logits")
