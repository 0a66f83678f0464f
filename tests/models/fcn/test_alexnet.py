"""FCN-AlexNet against the reference net."""

from __future__ import annotations

import torch

from fcnbench.models.fcn.alexnet import ALEXNET
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.geometry import IMAGE
from tests.models.fcn.nets import NARROW_ALEXNET


def test_the_crop_offset_is_the_references_18() -> None:
    with torch.device("meta"):
        assert FCN(21, 32, ALEXNET).crops == {"upscore": 18}


def test_the_grid_follows_from_the_papers_layers() -> None:
    """CaffeNet: conv1 11x11/4 padded by 100, pools 3x3/2, fc6 6x6, up-sampling 63/32."""
    grid = IMAGE.windowed(11, stride=4, pad=100).windowed(3, stride=2).windowed(5, pad=2).windowed(3, stride=2)
    grid = grid.windowed(3, pad=1).windowed(3, pad=1).windowed(3, pad=1).windowed(3, stride=2).windowed(6)
    assert ALEXNET.score_grid == grid
    assert grid.upsampled(63, 32).crop_onto(IMAGE) == 18


def test_layer_names_are_those_of_caffe() -> None:
    names = [name for name, _ in FCN(21, 32, NARROW_ALEXNET).named_children()]
    assert names == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "score_fr", "upscore"]
