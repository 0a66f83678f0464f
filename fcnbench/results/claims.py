"""What papers and others claim, for boards: rows of tier `claimed`, each with its source, beside what was measured."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fcnbench.ground.text import read_text
from fcnbench.models.published import published

_METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu", "geo_pixel_acc")
"""Order of the numbers in `CLAIMS.toml` and in the catalogue of weights, which ends before the last."""


@dataclass(frozen=True)
class Claim:
    """A row that somebody published.

    Attributes:
        dataset: name of the task, or of a test set that only a server scores.
        model: what the source calls the model.
        source: where it stands.
        images: images of the split; None where the source does not say.
        scores: fractions by metric; only what the source has.
    """

    dataset: str
    model: str
    source: str
    images: int | None
    scores: dict[str, float]


@cache
def claims() -> tuple[Claim, ...]:
    """All claims: the papers' tables, and published weights that somebody scored."""
    content = tomllib.loads(read_text(files("fcnbench.results") / "CLAIMS.toml"))
    found = [
        Claim(each["dataset"], model, content["sources"][source], each.get("images"), _fractions(numbers))
        for each in content["claim"]
        for model, source, *numbers in each["rows"]
    ]
    sizes = {claim.dataset: claim.images for claim in found}
    for name, weights in published().items():
        if weights.scores:
            label = f"{weights.model}, weights {name}"
            source = f"{weights.scored_by}: the PAMI weights, scored again"
            found.append(
                Claim(weights.scored_on, label, source, sizes.get(weights.scored_on), _fractions(weights.scores))
            )
    return tuple(found)


def claims_of(dataset: str) -> list[Claim]:
    """The claims about one task."""
    return [claim for claim in claims() if claim.dataset == dataset]


def _fractions(percent: list[float | str] | tuple[float, ...]) -> dict[str, float]:
    """Percent as fractions, without what is not said."""
    named = zip(_METRICS, percent, strict=False)
    return {name: round(value / 100, 6) for name, value in named if not isinstance(value, str)}
