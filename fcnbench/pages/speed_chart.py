"""Charts of accuracy over forward time, one per machine, with the points of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fcnbench.pages.charts import Axis

PAPER_POINTS = (("FCN-AlexNet", 50.0, 0.398), ("FCN-VGG16", 210.0, 0.560), ("FCN-GoogLeNet", 59.0, 0.425))
"""Forward time at 500x500 in ms on a Tesla K40c, and mean IU on VOC2011 val (CVPR 2015, Table 1)."""

_WIDTH, _HEIGHT = 720, 360
"""Canvas of a chart, in pixels."""

_LETTER, _LINE = 7, 14
"""Width of a letter and height of a line in a chart, in pixels."""

_LABEL_X, _LABEL_Y = 9, 4
"""Offset of a label from its point, in pixels."""

_MAX_LABELLED = 40
"""With more points than this there is no room for labels."""


@dataclass(frozen=True)
class Point:
    """A point of a chart.

    Attributes:
        model: name of the model.
        dataset: name of the dataset; empty for a point of the paper.
        ms: forward time at 500x500 in ms.
        mean_iu: mean IU, a fraction.
        x: horizontal position on the canvas.
        y: vertical position.
        label_y: vertical position of its label; None for a point without a label.
    """

    model: str
    dataset: str
    ms: float
    mean_iu: float
    x: float = 0.0
    y: float = 0.0
    label_y: float | None = None

    @property
    def label_x(self) -> float:
        """Horizontal position of the label's start."""
        return self.x + _LABEL_X


@dataclass(frozen=True)
class Chart:
    """A chart of one machine.

    Attributes:
        machine: name of the machine.
        points: measured points.
        paper: points of the paper.
        xs: positions and texts of the ticks on the time axis.
        ys: positions and texts of the ticks on the accuracy axis.
        width: width of the canvas in pixels.
        height: height of the canvas in pixels.
    """

    machine: str
    points: tuple[Point, ...]
    paper: tuple[Point, ...]
    xs: tuple[tuple[float, str], ...]
    ys: tuple[tuple[float, str], ...]
    width: int = _WIDTH
    height: int = _HEIGHT


def speed_chart(machine: str, points: Sequence[Point]) -> Chart:
    """Return the chart of a machine, with positions for its points and their labels.

    Args:
        machine: name of the machine.
        points: its measured points; their positions are filled in.
    """
    paper = [Point(name, "", ms, mean_iu) for name, ms, mean_iu in PAPER_POINTS]
    everything = [*points, *paper]
    times = [point.ms for point in everything]
    x = Axis(min(times) / 1.5, max(times) * 2, 52, _WIDTH - 12, logarithmic=True)
    y = Axis(0.0, 1.0, _HEIGHT - 34, 10)
    positioned = [replace(point, x=x.position(point.ms), y=y.position(point.mean_iu)) for point in everything]
    labelled = tuple(_labelled(positioned))
    return Chart(
        machine=machine,
        points=labelled[: len(points)],
        paper=labelled[len(points) :],
        xs=tuple((x.position(value), f"{value:g}") for value in x.ticks()),
        ys=tuple((y.position(value), f"{100 * value:.0f}") for value in y.ticks()),
    )


def _labelled(points: list[Point]) -> list[Point]:
    """Give every point a label position without overlap, as near to the point as there is room.

    Many points get no labels: the table has the names, and so has every point on hover.
    """
    if len(points) > _MAX_LABELLED:
        return points
    labelled = list(points)
    placed: list[tuple[float, float, float]] = []
    for index in sorted(range(len(points)), key=lambda index: (points[index].y, points[index].x)):
        point = points[index]
        start, end = point.label_x, point.label_x + _LETTER * len(point.model)
        height = point.y + _LABEL_Y
        while any(abs(height - other) < _LINE and start < right and left < end for left, right, other in placed):
            height += 2
        placed.append((start, end, height))
        labelled[index] = replace(point, label_y=round(height, 2))
    return labelled
