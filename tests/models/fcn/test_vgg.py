"""FCN-VGG16 against the reference nets."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.trunk import Stream
from fcnbench.models.fcn.vgg import VGG16
from tests.models.fcn.nets import NARROW


@pytest.mark.parametrize(
    ("stride", "crops"),
    [
        (32, {"upscore": 19}),
        (16, {"score_pool4": 5, "upscore16": 27}),
        (8, {"score_pool4": 5, "score_pool3": 9, "upscore8": 31}),
    ],
)
def test_crop_offsets_are_the_reference_nets(stride: int, crops: dict[str, int]) -> None:
    assert FCN(21, stride, NARROW).crops == crops


def test_the_score_layer_has_stride_32() -> None:
    assert VGG16.score_grid.stride == 32
    assert VGG16.score_grid.start == Fraction(25, 2)


def test_layer_names_carry_the_streams_suffix_and_first_name() -> None:
    assert VGG16.layer_names(3, Stream("hha")) == ["conv3_1hha", "conv3_2hha", "conv3_3hha"]
    early = Stream(channels=4, first_layer="conv1_1_bgrd")
    assert VGG16.layer_names(1, early) == ["conv1_1_bgrd", "conv1_2"]
    assert VGG16.layer_names(2, early) == ["conv2_1", "conv2_2"]
