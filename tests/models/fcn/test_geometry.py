"""Crop offsets derived from geometry, against the numbers in the papers' reference nets."""

from fractions import Fraction

import pytest

from fcnbench.errors import ModelError
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.geometry import PICTURE
from fcnbench.models.fcn.trunks import VGG16, VggTrunk

NARROW = VggTrunk(widths=(2, 2, 2, 2, 2), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4, pad=100)
"""VGG16's geometry with next to no parameters."""


@pytest.mark.parametrize(
    ("stride", "crops"),
    [
        (32, {"upscore": 19}),
        (16, {"score_pool4": 5, "upscore16": 27}),
        (8, {"score_pool4": 5, "score_pool3": 9, "upscore8": 31}),
    ],
)
def test_crops_equal_the_reference_nets(stride: int, crops: dict[str, int]) -> None:
    assert FCN(21, stride, NARROW).crops == crops


def test_alexnet_geometry_gives_its_crop_of_18() -> None:
    """CaffeNet: conv1 11x11/4 padded by 100, pools 3x3/2, fc6 6x6, up-sampling 63/32."""
    grid = PICTURE.windowed(11, stride=4, pad=100).windowed(3, stride=2).windowed(5, pad=2).windowed(3, stride=2)
    grid = grid.windowed(3, pad=1).windowed(3, pad=1).windowed(3, pad=1).windowed(3, stride=2).windowed(6)
    assert grid.upsampled(63, 32).crop_onto(PICTURE) == 18


def test_the_score_layer_has_stride_32() -> None:
    assert VGG16.score_grid.stride == 32
    assert VGG16.score_grid.start == Fraction(25, 2)


def test_grids_that_do_not_fall_onto_each_other_are_refused() -> None:
    with pytest.raises(ModelError, match="do not fall onto each other"):
        PICTURE.windowed(2).crop_onto(PICTURE)
    with pytest.raises(ModelError, match="do not fall onto each other"):
        PICTURE.windowed(3, stride=2).crop_onto(PICTURE)
