"""Geometry of the charts: numbers to places on an SVG canvas. Templates draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True)
class Axis:
    """A scale from values to places, in pixels.

    Attributes:
        low: value at `start`.
        high: value at `end`.
        start: place of the lowest value.
        end: place of the highest.
        logarithmic: whether equal ratios lie equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies."""
        low, high, value = (log10(x) if self.logarithmic else x for x in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if self.logarithmic:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            values = (step * 10.0**power for power in powers for step in (1, 2, 5))
            return [value for value in values if self.low <= value <= self.high]
        step = _round_step((self.high - self.low) / 5)
        first = ceil(self.low / step - 1e-9)
        return [round(step * place, 10) for place in range(first, floor(self.high / step + 1e-9) + 1)]


def polyline(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """Points of an SVG polyline; values that are missing are left out."""
    return " ".join(f"{x.place(a)},{y.place(b)}" for a, b in zip(xs, ys, strict=True) if b is not None)


def histogram(values: Sequence[float], bins: int = 20) -> list[int]:
    """How many values lie in each of so many equal parts of 0..1; 1 belongs to the last."""
    counts = [0] * bins
    for value in values:
        counts[min(int(value * bins), bins - 1)] += 1
    return counts


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if step <= 0:
        return 1.0
    power = 10.0 ** floor(log10(step))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step * 0.999), 10 * power)
