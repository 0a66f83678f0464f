"""How metrics are printed: titles and percentages, for terminals, pages and notebooks. Without numpy."""

from __future__ import annotations

HEADINGS = {"pixel_acc": "pixel acc.", "mean_acc": "mean acc.", "mean_iu": "mean IU", "fw_iu": "f.w. IU"}
"""Headings of the four metrics as in the papers' tables."""

MORE = {"mean_iu_nobg": "mean IU without background", "geo_pixel_acc": "geometric pixel acc."}
"""Headings of the metrics that some datasets add."""

TITLES = {
    "pixel_acc": "Pixel accuracy",
    "mean_acc": "Mean accuracy",
    "mean_iu": "Mean IU",
    "fw_iu": "Frequency-weighted IU",
    "mean_iu_nobg": "Mean IU without background",
    "geo_pixel_acc": "Geometric pixel accuracy",
}
"""Titles of all metrics in full."""


def percent(value: float | None, digits: int = 2) -> str:
    """Format a fraction in percent; the papers print one decimal. A dash stands for a missing value.

    >>> percent(0.62345), percent(0.62345, digits=1), percent(None)
    ('62.34', '62.3', '-')
    """
    return "-" if value is None else f"{100 * value:.{digits}f}"


def interval(low: float, high: float) -> str:
    """Format both ends of an interval in percent.

    >>> interval(0.90125, 0.925)
    '90.1..92.5'
    """
    return f"{percent(low, 1)}..{percent(high, 1)}"
