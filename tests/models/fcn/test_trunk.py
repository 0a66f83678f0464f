"""What holds for all trunks: the size of the logits, and the receptive field that the geometry states."""

from __future__ import annotations

import pytest
import torch

from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.trunk import Trunk
from fcnbench.models.weights.load import randomise
from tests.models.fcn.nets import NARROW, NARROW_ALEXNET, NARROW_GOOGLENET

all_trunks = pytest.mark.parametrize(
    "trunk", [NARROW, NARROW_ALEXNET, NARROW_GOOGLENET], ids=["vgg16", "alexnet", "googlenet"]
)


@all_trunks
def test_logits_have_the_images_size_for_every_side(trunk: Trunk) -> None:
    net = FCN(2, 32, trunk).eval()
    with torch.inference_mode():
        for side in range(1, 601):
            # Both axes are treated alike, so one of them may be short.
            assert net(torch.zeros(1, 3, side, 9)).shape == (1, 2, side, 9)


@all_trunks
def test_a_score_depends_on_its_receptive_field_only(trunk: Trunk) -> None:
    """The pixels with a gradient are those that the geometry states."""
    net = FCN(2, 32, trunk).double().eval()
    randomise(net, 0)
    with torch.no_grad():
        for value in net.parameters():
            if value.requires_grad and value.dim() > 1:
                value.abs_()  # no cancellation, no dead ReLU
    side, cell = 1300, 20
    image = torch.rand(1, 3, side, 33, dtype=torch.float64, requires_grad=True)
    net.coarse_scores(image)[0, :, cell].sum().backward()
    assert image.grad is not None
    rows = image.grad[0].abs().sum((0, 2)).nonzero().reshape(-1)
    grid = trunk.score_grid
    centre, half = float(grid.stride * cell + grid.start), float(grid.field - 1) / 2
    first, last = int(rows[0]), int(rows[-1])
    assert centre - half <= first
    assert last <= centre + half
    # A max pool passes its gradient to one pixel only, so pixels at the edge of the field may have none.
    assert last - first + 1 >= 0.85 * float(grid.field)


@all_trunks
def test_the_grids_of_the_pools_have_the_strides_of_their_outputs(trunk: Trunk) -> None:
    net = FCN(2, 32, trunk).eval()
    with torch.inference_mode():
        small, large = (trunk.forward(net, torch.zeros(1, 3, side, 9), net.streams[0])[0] for side in (320, 640))
    for pool, x in small.items():
        assert x.shape[1] == trunk.pool_channels(pool)
        assert (large[pool].shape[2] - x.shape[2]) * trunk.pool_grid(pool).stride == 320
