"""Grids: positions of cells in the image, and crop offsets between them."""

from __future__ import annotations

import pytest

from fcnbench.errors import ModelError
from fcnbench.models.fcn.geometry import IMAGE


def test_grids_whose_cells_do_not_coincide_are_refused() -> None:
    with pytest.raises(ModelError, match="do not coincide"):
        IMAGE.windowed(2).crop_onto(IMAGE)
    with pytest.raises(ModelError, match="do not coincide"):
        IMAGE.windowed(3, stride=2).crop_onto(IMAGE)
    with pytest.raises(ModelError, match="do not coincide"):
        IMAGE.windowed(3).crop_onto(IMAGE)  # the crop would be negative


def test_a_window_and_its_padding_move_the_cells() -> None:
    grid = IMAGE.windowed(3, pad=100).windowed(2, stride=2)
    assert (grid.stride, grid.start, grid.field) == (2, -98.5, 4)
    assert IMAGE.windowed(3, pad=100).crop_onto(IMAGE) == 99
