"""FCN-GoogLeNet: the layers of bvlc_googlenet, and pools where the paper has them."""

from __future__ import annotations

import torch

from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.googlenet import GOOGLENET


def test_layer_names_are_those_of_bvlc_googlenet() -> None:
    with torch.device("meta"):
        net = FCN(21, 32, GOOGLENET)
    names = [name for name, _ in net.named_children()]
    assert names[:3] == ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"]
    assert names[3:9] == [
        f"inception_3a/{name}" for name in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    ]
    assert names[-3:] == ["inception_5b/pool_proj", "score_fr", "upscore"]
    assert len(names) == 3 + 9 * 6 + 2


def test_the_pools_have_the_channels_and_strides_of_the_papers_table_1() -> None:
    pools = (1, 2, 3, 4)
    assert [GOOGLENET.pool_channels(pool) for pool in pools] == [64, 192, 480, 832]
    assert [GOOGLENET.pool_grid(pool).stride for pool in pools] == [4, 8, 16, 32]
    assert GOOGLENET.channels == 1024
