"""Charts of accuracy over time: every point is on the canvas, and labels do not overlap."""

import pytest

from fcnbench.pages.speed_chart import PAPER_POINTS, Point, speed_chart


def points(count: int) -> list[Point]:
    return [Point(f"model-{index}", "pocket", 40.0 + index % 3, 0.9 - index / 1000) for index in range(count)]


def test_points_are_on_the_canvas_with_the_papers_beside_them() -> None:
    chart = speed_chart("a machine", points(3))
    assert [point.model for point in chart.points] == ["model-0", "model-1", "model-2"]
    assert [(point.model, point.ms, point.mean_iu) for point in chart.paper] == list(PAPER_POINTS)
    for point in (*chart.points, *chart.paper):
        assert 0 < point.x < chart.width
        assert 0 < point.y < chart.height
    assert chart.points[0].y < chart.points[2].y  # a higher mean IU is higher up
    assert chart.points[0].x < chart.paper[1].x  # a longer time is further right


def test_labels_do_not_overlap() -> None:
    chart = speed_chart("a machine", points(20))
    labels = [(point.label_x, point.label_y, len(point.model)) for point in (*chart.points, *chart.paper)]
    assert all(y is not None for _, y, _ in labels)
    for index, (x, y, letters) in enumerate(labels):
        for other_x, other_y, other_letters in labels[index + 1 :]:
            assert abs(y - other_y) >= 14 or x + 7 * letters <= other_x or other_x + 7 * other_letters <= x


@pytest.mark.parametrize(("count", "labelled"), [(37, True), (38, False)])
def test_many_points_have_no_labels(count: int, labelled: bool) -> None:
    chart = speed_chart("a machine", points(count))
    assert {point.label_y is not None for point in (*chart.points, *chart.paper)} == {labelled}
