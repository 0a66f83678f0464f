"""Bootstrap over images: intervals of the metrics of one run, and of the difference between two.

The images of a split are resampled with replacement many times. The metrics of every resample come from its own summed
matrix, under the rule for classes that the resample lacks. Random numbers are the bits of PCG64, which no version of
numpy changes, so the same matrices and seed give the same intervals everywhere.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: percentile intervals (chapter 13), tests (chapter 16).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import UsageError
from fcnbench.metrics.scores import class_counts, metrics_from_counts
from fcnbench.protocol import MeanOver
from fcnbench.util.console import progress

DRAWS = 10_000
"""Default number of resamples. The ends of a 95% interval then vary by about 2% of its width from seed to seed."""

SEED = 2015
"""Default seed."""

LEVEL = 0.95
"""Default confidence level: the share of the resamples inside an interval."""

_BLOCK = 256
"""Resamples at a time: the counts of 736 images are 1.5 MB and stay in the cache."""

_ROUNDING = 1e-12
"""Tolerance for float64 rounding when differences are compared, so that every resample reaches a difference of 0."""


@dataclass(frozen=True)
class Difference:
    """Difference between two runs in one metric, from a paired bootstrap.

    All four numbers are NaN where one of the runs has no such score, for example the mean IU without background where
    nothing but background is true.

    Attributes:
        value: B minus A, a fraction.
        low: lower end of the interval.
        high: upper end of the interval.
        p: two-sided p-value: the share of the resamples, shifted to a mean of 0, whose difference is at least as
            large; never below 1 / (draws + 1).
    """

    value: float
    low: float
    high: float
    p: float


def intervals(
    per_image: NDArray[np.int64],
    mean: MeanOver = "gt",
    without: int | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, tuple[float, float]]:
    """Compute percentile intervals of the metrics over resamples of the images.

    Args:
        per_image: confusion matrices, int64 [N, C, C], rows = ground truth, columns = prediction.
        mean: `gt` or `union`, as for `scores`.
        without: index of a class; if given, the result also has `mean_iu_nobg`, the mean IU without that class.
        draws: number of resamples.
        seed: seed of the resamples.
        level: share of the resamples inside an interval.

    Returns:
        Name of each metric to the lower and upper end of its interval, as fractions.

    Raises:
        UsageError: there is no image, `draws` is below 1, or the rule for the mean is unknown.

    See Also:
        paired: the difference between two runs.

    >>> matrices = np.array([[[3, 1], [0, 4]], [[5, 0], [1, 2]]])
    >>> low, high = intervals(matrices, draws=100)["pixel_acc"]
    >>> low <= 14 / 16 <= high
    True
    """
    found = _resampled([per_image], mean, without, draws, seed)[0]
    return {name: _ends(values, level) for name, values in found.items()}


def paired(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    mean: MeanOver = "gt",
    without: int | None = None,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """Compare two sets of predictions for the same images with a paired bootstrap.

    Args:
        first: confusion matrices of A, int64 [N, C, C], rows = ground truth, columns = prediction.
        second: confusion matrices of B for the same images in the same order.
        mean: `gt` or `union`, as for `scores`.
        without: index of a class; if given, the result also has `mean_iu_nobg`, the mean IU without that class.
        draws: number of resamples; every one is applied to both sets.
        seed: seed of the resamples.
        level: share of the resamples inside an interval.

    Returns:
        Name of each metric to its difference, B minus A.

    Raises:
        UsageError: the shapes differ, there is no image, `draws` is below 1, or the rule for the mean is unknown.

    See Also:
        intervals: the metrics of one run.

    >>> before, after = np.array([[[3, 1], [0, 4]]]), np.array([[[4, 0], [0, 4]]])
    >>> paired(before, after, draws=10)["pixel_acc"].value
    0.125
    """
    if first.shape != second.shape:
        raise UsageError(
            f"a paired comparison takes matrices of the same images; these have shapes {first.shape} and {second.shape}"
        )
    before, after = (_metrics_of(each, mean, without) for each in (first, second))
    resampled_before, resampled_after = _resampled([first, second], mean, without, draws, seed)
    differences = {}
    for name in before:
        value = float(after[name] - before[name])
        moved = resampled_after[name] - resampled_before[name]
        scored = moved[~np.isnan(moved)]
        if np.isnan(value) or not scored.size:
            differences[name] = Difference(np.nan, np.nan, np.nan, np.nan)
            continue
        reached = np.count_nonzero(np.abs(scored - scored.mean()) >= abs(value) - _ROUNDING)
        low, high = _ends(scored, level)
        differences[name] = Difference(value, low, high, (int(reached) + 1) / (draws + 1))
    return differences


def resample_counts(images: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often every image occurs in each resample, block by block.

    Each pick is the high half of a 32-bit random number times the number of images.

    Args:
        images: number of images.
        draws: number of resamples over all blocks.
        seed: seed of the random numbers.

    Yields:
        int64 [resamples in the block, images]; every row sums to `images`.

    >>> next(resample_counts(5, 2, seed=2015)).tolist()
    [[0, 2, 2, 1, 0], [1, 0, 1, 1, 2]]
    """
    bits = np.random.PCG64(seed)
    for start in range(0, draws, _BLOCK):
        block = min(_BLOCK, draws - start)
        halves = (block * images + 1) // 2
        raw = np.asarray(bits.random_raw(halves), dtype="<u8").view("<u4")[: block * images].astype(np.uint64)
        picks = ((raw * np.uint64(images)) >> np.uint64(32)).astype(np.int64).reshape(block, images)
        picks += np.arange(block)[:, None] * images
        yield np.bincount(picks.reshape(-1), minlength=block * images).reshape(block, images)


def _resampled(
    stacks: Sequence[NDArray[np.int64]], mean: MeanOver, without: int | None, draws: int, seed: int
) -> list[dict[str, NDArray[np.float64]]]:
    """Return the metrics of every resample, float64 [draws], for several stacks that are resampled alike."""
    images, classes = stacks[0].shape[0], stacks[0].shape[-1]
    if images == 0 or draws < 1:
        raise UsageError(f"{draws} draws of {images} images: at least one of each is needed")
    # Only diagonal, row sums and column sums matter. Sums of counts are integers below 2**53, so a float64 matrix
    # product is exact in any order of summation.
    sums = np.concatenate([np.concatenate(class_counts(stack), axis=1) for stack in stacks], axis=1).astype(np.float64)
    blocks: list[list[dict[str, NDArray[np.float64]]]] = [[] for _ in stacks]
    with progress(draws, "bootstrap", "draw") as bar:
        for counts in resample_counts(images, draws, seed):
            totals = (counts.astype(np.float64) @ sums).reshape(len(counts), len(stacks), 3, classes)
            for index, block in enumerate(blocks):
                hits, true, predicted = totals[:, index].transpose(1, 0, 2)
                block.append(metrics_from_counts(hits, true, predicted, mean, without))
            bar.update(len(counts))
    return [{name: np.concatenate([part[name] for part in block]) for name in block[0]} for block in blocks]


def _metrics_of(stack: NDArray[np.int64], mean: MeanOver, without: int | None) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of a stack's sum."""
    return metrics_from_counts(*class_counts(stack.sum(axis=0)), mean, without)


def _ends(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return both ends of a percentile interval over the resamples that have a score; NaN if none has."""
    scored = values[~np.isnan(values)]
    if not scored.size:
        return np.nan, np.nan
    low, high = np.quantile(scored, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
