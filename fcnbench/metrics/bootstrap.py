"""How far scores would move on other images of the same kind: the bootstrap over images, single and paired.

A split is drawn anew, image by image with replacement, many times; the metrics of every draw are worked out from its
own summed matrix, under the policy for classes that the draw lacks. Draws come from the bits of PCG64, which no version
of numpy changes, so the same matrices and seed give the same intervals everywhere.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: percentile intervals (chapter 13), tests (chapter 16).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import UsageError
from fcnbench.metrics.scores import metrics
from fcnbench.protocol import AbsentPolicy
from fcnbench.util.console import progress

DRAWS = 10_000
"""Draws by default: the ends of a 95% interval then move by about a fiftieth of its width from seed to seed."""

SEED = 2015
"""Seed by default."""

LEVEL = 0.95
"""Share of the draws that an interval holds."""

_BLOCK = 256
"""Draws at a time: the counts of 736 images are 1.5 MB and stay in the cache."""


@dataclass(frozen=True)
class Difference:
    """By how much B is better than A in one metric, with images drawn in pairs.

    All four numbers are NaN where either has no such score: the mean IU without background where nothing else is true.

    Attributes:
        value: B minus A, a fraction.
        low: lower end of the interval.
        high: upper end of the interval.
        p: probability of a difference as large if neither were better: the share of draws, shifted to a mean of 0, that
            reach it on either side; never below 1 / (draws + 1).
    """

    value: float
    low: float
    high: float
    p: float


def intervals(
    per_image: NDArray[np.int64],
    absent: AbsentPolicy = "present",
    without: int | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of the metrics over draws of the images.

    Args:
        per_image: confusion matrices, int64 [N, C, C].
        absent: policy for classes without true pixels.
        without: also for `mean_iu_nobg`, without the class of this index.
        draws: how many times the images are drawn.
        seed: of the draws.
        level: share of the draws in an interval.

    Returns:
        Lower and upper end by metric.

    Raises:
        UsageError: no image, or no draw.
    """
    found = _drawn([per_image], absent, without, draws, seed)[0]
    return {name: _ends(values, level) for name, values in found.items()}


def paired(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    absent: AbsentPolicy = "present",
    without: int | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """The differences between two sets of predictions for the same images, drawn together.

    Args:
        first: confusion matrices of A, int64 [N, C, C].
        second: those of B for the same images in the same order.
        absent: policy for classes without true pixels.
        without: also for `mean_iu_nobg`, without the class of this index.
        draws: how many times the images are drawn.
        seed: of the draws.
        level: share of the draws in an interval.

    Raises:
        UsageError: shapes differ, no image, or no draw.
    """
    if first.shape != second.shape:
        raise UsageError(f"matrices of the same images are compared; these are {first.shape} and {second.shape}")
    before, after = (_metrics_of(each, absent, without) for each in (first, second))
    drawn_before, drawn_after = _drawn([first, second], absent, without, draws, seed)
    differences = {}
    for name in before:
        value = float(after[name] - before[name])
        drawn = drawn_after[name] - drawn_before[name]
        scored = drawn[~np.isnan(drawn)]
        if np.isnan(value) or not scored.size:
            differences[name] = Difference(np.nan, np.nan, np.nan, np.nan)
            continue
        # A hair's breadth is allowed for rounding, so that a difference of 0 is reached by every draw.
        reached = np.count_nonzero(np.abs(scored - scored.mean()) >= abs(value) - 1e-12)
        low, high = _ends(scored, level)
        differences[name] = Difference(value, low, high, (int(reached) + 1) / (draws + 1))
    return differences


def draws_of(images: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often every image was drawn, int64 [block, images], over blocks of all draws.

    Each of a draw's picks is the high half of a 32-bit number times the number of images.
    """
    bits = np.random.PCG64(seed)
    for start in range(0, draws, _BLOCK):
        block = min(_BLOCK, draws - start)
        halves = (block * images + 1) // 2
        raw = np.asarray(bits.random_raw(halves), dtype="<u8").view("<u4")[: block * images].astype(np.uint64)
        picks = ((raw * np.uint64(images)) >> np.uint64(32)).astype(np.int64).reshape(block, images)
        picks += np.arange(block)[:, None] * images
        yield np.bincount(picks.reshape(-1), minlength=block * images).reshape(block, images)


def _drawn(
    stacks: Sequence[NDArray[np.int64]], absent: AbsentPolicy, without: int | None, draws: int, seed: int
) -> list[dict[str, NDArray[np.float64]]]:
    """The metrics of every draw, float64 [draws], for each of several stacks of matrices that are drawn together."""
    images, classes = stacks[0].shape[0], stacks[0].shape[-1]
    if images == 0 or draws < 1:
        raise UsageError(f"{draws} draws of {images} images: at least one of each is needed")
    # Only diagonal, row sums and column sums matter. Sums of counts are whole numbers below 2**53, so a float64 matrix
    # product is exact, whatever order it adds in.
    sums = np.concatenate([np.concatenate(_parts(stack), axis=1) for stack in stacks], axis=1).astype(np.float64)
    blocks: list[list[dict[str, NDArray[np.float64]]]] = [[] for _ in stacks]
    with progress(draws, "bootstrap", "draw") as bar:
        for counts in draws_of(images, draws, seed):
            totals = (counts.astype(np.float64) @ sums).reshape(len(counts), len(stacks), 3, classes)
            for place, found in enumerate(blocks):
                hits, true, predicted = totals[:, place].transpose(1, 0, 2)
                found.append(metrics(hits, true, predicted, absent, without))
            bar.update(len(counts))
    return [{name: np.concatenate([block[name] for block in found]) for name in found[0]} for found in blocks]


def _metrics_of(stack: NDArray[np.int64], absent: AbsentPolicy, without: int | None) -> dict[str, NDArray[np.float64]]:
    """The metrics of a stack's sum."""
    hits, true, predicted = (part.sum(axis=0) for part in _parts(stack))
    return metrics(hits, true, predicted, absent, without)


def _parts(stack: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Hits, true and predicted pixels per image and class, int64 [N, C] each."""
    return stack.diagonal(axis1=1, axis2=2), stack.sum(axis=2), stack.sum(axis=1)


def _ends(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Both ends of a percentile interval, NaN where no draw has a score; draws without one are left out."""
    scored = values[~np.isnan(values)]
    if not scored.size:
        return np.nan, np.nan
    low, high = np.quantile(scored, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
