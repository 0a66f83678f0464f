"""Geometry of the charts: positions of values on an SVG canvas. The templates draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True)
class Axis:
    """A scale from values to positions on the canvas, in pixels.

    Attributes:
        low: value at `start`.
        high: value at `end`.
        start: position of the lowest value.
        end: position of the highest value.
        logarithmic: whether equal ratios of values have equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Return the position of a value, rounded to 2 decimals.

        >>> Axis(0, 1, 100, 0).position(0.25)
        75.0
        """
        low, high, value = (log10(x) if self.logarithmic else x for x in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[float]:
        """Return round values along the axis.

        >>> Axis(10, 1000, 0, 200, logarithmic=True).ticks()
        [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
        """
        if self.logarithmic:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            values = (step * 10.0**power for power in powers for step in (1, 2, 5))
            return [value for value in values if self.low <= value <= self.high]
        step = _round_step((self.high - self.low) / 5)
        # Rounding must not lose a tick at the end of the axis.
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(step * multiple, 10) for multiple in range(first, last + 1)]


def polyline(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """Return the points of an SVG polyline; points without a value are left out.

    >>> polyline(Axis(0, 1, 0, 10), Axis(0, 1, 10, 0), [0, 0.5, 1], [0, None, 1])
    '0.0,10.0 10.0,0.0'
    """
    return " ".join(f"{x.position(a)},{y.position(b)}" for a, b in zip(xs, ys, strict=True) if b is not None)


def histogram(values: Sequence[float], bins: int = 20) -> list[int]:
    """Count the values in equal parts of 0..1; the value 1 belongs to the last part.

    >>> histogram([0, 0.3, 1.0], bins=2)
    [2, 1]
    """
    counts = [0] * bins
    for value in values:
        counts[min(int(value * bins), bins - 1)] += 1
    return counts


def _round_step(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    if step <= 0:
        return 1.0
    power = 10.0 ** floor(log10(step))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step * 0.999), 10 * power)
