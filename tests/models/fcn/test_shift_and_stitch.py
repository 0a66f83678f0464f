"""Shift-and-stitch, and filter rarefaction, which gives the same scores (CVPR 2015, section 3.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fcnbench
from fcnbench.errors import ModelError, UsageError
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.rarefaction import rarefy
from fcnbench.models.fcn.shift_and_stitch import ShiftAndStitch, shift_and_stitch
from fcnbench.models.segmenter import ModuleSegmenter
from tests.models.fcn.nets import NARROW


def layers() -> nn.Sequential:
    """Convolutions and pools of stride 2 * 2 * 3, without padding."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Conv2d(5, 6, 3, stride=3), nn.ReLU(), nn.Conv2d(6, 2, 2),
    ).double()  # fmt: skip
    torch.manual_seed(0)
    for value in net.parameters():
        nn.init.normal_(value)
    return net.eval()


@pytest.mark.parametrize("factor", [3, 6, 12])
def test_filter_rarefaction_equals_shift_and_stitch(factor: int) -> None:
    net = layers()
    image = torch.randn(1, 3, 97, 109, dtype=torch.float64)
    with torch.inference_mode():
        stitched = shift_and_stitch(net, image, 12, factor)
        dense = rarefy(net, factor)(image)
    height, width = dense.shape[-2:]
    assert min(height, width) > 3 * factor
    # Zeros fill the far ends of the shifted images, so stitching has cells there that the dense net does not have.
    torch.testing.assert_close(stitched[..., :height, :width], dense, rtol=1e-9, atol=1e-9)


def test_a_factor_of_one_changes_nothing() -> None:
    net, image = layers(), torch.randn(1, 3, 60, 70, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(shift_and_stitch(net, image, 12, 1), net(image), rtol=0, atol=0)
        torch.testing.assert_close(rarefy(net, 1)(image), net(image), rtol=0, atol=0)


def test_factors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not divide the stride"):
        shift_and_stitch(layers(), torch.zeros(1, 3, 60, 60), 12, 5)
    with pytest.raises(ValueError, match="do not multiply to"):
        rarefy(layers(), 24)
    with pytest.raises(ValueError, match="do not multiply to"):
        rarefy(layers(), 2)
    with pytest.raises(ModelError, match="can't be dilated"):
        rarefy(nn.Sequential(nn.Conv2d(3, 3, 3, stride=2), nn.BatchNorm2d(3)), 2)


class Ruler(FCN):
    """A net that returns the coordinates of its cells for an image of coordinates."""

    def coarse_scores(self, batch: torch.Tensor) -> torch.Tensor:
        start, stride = float(self.trunk.score_grid.start), int(self.trunk.score_grid.stride)
        assert start % 1 == 0.5
        between = (batch[..., :-1, :-1] + batch[..., 1:, 1:]) / 2  # the value halfway between two pixels
        return between[:, :2, int(start) :: stride, int(start) :: stride]


@pytest.mark.parametrize("factor", [1, 4, 32])
def test_pixels_get_the_scores_at_their_positions(factor: int) -> None:
    rows, columns = torch.meshgrid(torch.arange(160.0), torch.arange(200.0), indexing="ij")
    image = torch.stack([rows, columns, rows])[None]
    dense = ShiftAndStitch(ModuleSegmenter(Ruler(2, 32, NARROW), num_classes=2), factor)
    found = dense.logits(image)
    assert found.shape == (1, 2, 160, 200)
    # From the first cell to the last that sees none of the zeros beyond the image.
    inside = (slice(None), slice(None), slice(13, 109), slice(13, 109))
    torch.testing.assert_close(found[inside], image[:, :2][inside])
    assert isinstance(dense.module, Ruler)


def test_the_finer_the_grid_the_less_is_interpolated(tmp_path: Path) -> None:
    run = fcnbench.run("fcn32s-pocket", dense="shift-and-stitch:2", limit=2, board=tmp_path)
    assert run.record.model.name == "fcn32s-pocket+shift-and-stitch:2"
    assert "shift-and-stitch by 2" in run.record.model.preprocessing
    assert run.path.parts[-4] == "fcn32s-pocket-shift-and-stitch-2"


def test_what_can_not_be_run_densely_is_refused() -> None:
    with pytest.raises(ModelError, match="needs an FCN of stride 32"):
        fcnbench.load_model("fcn8s-pocket", dense="shift-and-stitch")
    with pytest.raises(ModelError, match="must divide 32"):
        fcnbench.load_model("fcn32s-pocket", dense="shift-and-stitch:5")
    with pytest.raises(UsageError, match="--dense stitch is unknown"):
        fcnbench.load_model("fcn32s-pocket", dense="stitch")


def test_a_segmenter_with_logits_of_its_own_is_not_run_densely_without_them() -> None:
    class Flipped(ModuleSegmenter):
        def logits(self, batch: torch.Tensor) -> torch.Tensor:
            return super().logits(batch).flip(1)

    with pytest.raises(ModelError, match="Flipped does more with its logits"):
        ShiftAndStitch(Flipped(FCN(2, 32, NARROW)), 2)
