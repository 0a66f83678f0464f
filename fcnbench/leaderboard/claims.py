"""Claims: published scores, shown on boards as rows of tier `claimed`, each with its source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fcnbench.util.text import read_text

_METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu", "geo_pixel_acc")
"""Order of the numbers in a row of `CLAIMS.toml`."""


@dataclass(frozen=True)
class Claim:
    """Published scores of one model on one dataset.

    Attributes:
        dataset: name of the dataset, or of a test set that only a server scores.
        model: name of the model in the source.
        source: publication, with its table.
        images: number of images of the split; None if the source does not state it.
        scores: fractions by metric; only the metrics that the source states.
        weights: name of the published weights that were scored; empty for a row of a table.
    """

    dataset: str
    model: str
    source: str
    images: int | None
    scores: dict[str, float]
    weights: str = ""


@cache
def claims() -> tuple[Claim, ...]:
    """Return all claims: rows of the papers' tables, and scores of published weights.

    >>> claims()[0].model
    'FCN-VGG16'
    """
    content = tomllib.loads(read_text(files("fcnbench.leaderboard") / "CLAIMS.toml"))
    sources = content["sources"]
    tables = [
        Claim(each["dataset"], model, sources[source], each.get("images"), _fractions(numbers))
        for each in content["claim"]
        for model, source, *numbers in each["rows"]
    ]
    weights = [
        Claim(each["dataset"], f"{model}, weights {name}", sources[source], each["images"], _fractions(numbers), name)
        for each in content["weights"]
        for model, name, source, *numbers in each["rows"]
    ]
    return (*tables, *weights)


def claims_of(dataset: str) -> list[Claim]:
    """Return the claims about one dataset.

    >>> [claim.model for claim in claims_of("voc2011val-full")]
    ['FCN-VGG16', 'FCN-GoogLeNet', 'FCN-AlexNet']
    """
    return [claim for claim in claims() if claim.dataset == dataset]


def _fractions(percentages: list[float | str]) -> dict[str, float]:
    """Convert percentages to fractions by metric; text marks a metric that the source does not state."""
    named = zip(_METRICS, percentages, strict=False)
    return {name: round(value / 100, 6) for name, value in named if not isinstance(value, str)}
