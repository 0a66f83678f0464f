"""What papers and others claim, for boards: rows of tier `claimed`, each with its source, beside what was measured."""

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
    """A row that somebody published.

    Attributes:
        dataset: name of the task, or of a test set that only a server scores.
        model: what the source calls the model.
        source: where it stands.
        images: images of the split; None where the source does not say.
        scores: fractions by metric; only what the source has.
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
    """Return all claims: the papers' tables, and published weights that somebody scored."""
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
    """The claims about one task."""
    return [claim for claim in claims() if claim.dataset == dataset]


def _fractions(percent: list[float | str]) -> dict[str, float]:
    """Percent as fractions, without what is not said."""
    named = zip(_METRICS, percent, strict=False)
    return {name: round(value / 100, 6) for name, value in named if not isinstance(value, str)}
