"""Charts: positions, ticks, lines and histograms."""

import pytest

from fcnbench.pages.charts import Axis, histogram, polyline


def test_axes_have_positions_and_ticks() -> None:
    linear, logarithmic = Axis(0, 1, 100, 0), Axis(10, 1000, 0, 200, logarithmic=True)
    assert (linear.position(0), linear.position(0.25), linear.position(1)) == (100, 75, 0)
    assert linear.ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert (logarithmic.position(10), logarithmic.position(100), logarithmic.position(1000)) == (0, 100, 200)
    assert logarithmic.ticks() == [10, 20, 50, 100, 200, 500, 1000]


def test_a_line_leaves_out_missing_values() -> None:
    axis = Axis(0, 1, 100, 0)
    assert polyline(axis, axis, [0, 0.5, 1], [0, None, 1]) == "100.0,100.0 0.0,0.0"


def test_a_histogram_counts_its_ends() -> None:
    assert histogram([0, 0.04, 0.5, 1.0], 20) == [2, *[0] * 9, 1, *[0] * 8, 1]


@pytest.mark.parametrize("axis", [Axis(0.5, 0.5, 0, 10), Axis(7, 7, 0, 10, logarithmic=True)])
def test_an_axis_of_one_value_has_it_in_the_middle(axis: Axis) -> None:
    assert axis.position(axis.low) == 5
