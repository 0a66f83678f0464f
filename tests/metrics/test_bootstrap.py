"""The bootstrap: resamples are the same everywhere, intervals agree with scipy, p-values are calibrated."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fcnbench.errors import UsageError
from fcnbench.metrics.bootstrap import intervals, paired, resample_counts
from fcnbench.metrics.scores import scores

Stack = NDArray[np.int64]


def stack(images: int = 30, classes: int = 4, seed: int = 0, right: int = 5) -> Stack:
    """Matrices of images that are mostly right, some more than others."""
    random = np.random.default_rng(seed)
    found = random.integers(0, 100, (images, classes, classes))
    found[:, np.arange(classes), np.arange(classes)] += random.integers(0, 200 * right, (images, classes))
    return found


def test_every_resample_has_as_many_images_as_the_split() -> None:
    counts = np.concatenate(list(resample_counts(7, 1000, 3)))
    assert counts.shape == (1000, 7)
    assert (counts.sum(axis=1) == 7).all()
    # Each image occurs once per resample on average: 7,000 picks, a standard error of 0.03.
    assert np.abs(counts.mean(axis=0) - 1).max() < 0.12
    assert counts.max() >= 4


def test_resamples_are_the_same_on_every_machine() -> None:
    """PCG64's bits are fixed for good, so these counts are too."""
    (counts,) = resample_counts(5, 3, 2015)
    assert counts.tolist() == [[0, 2, 2, 1, 0], [1, 0, 1, 1, 2], [3, 0, 0, 2, 0]]


@pytest.mark.parametrize("policy", ["gt", "union"])
def test_the_metrics_of_a_resample_are_those_of_its_summed_matrix(policy: str) -> None:
    matrices = stack(9, 5)
    matrices[:, 4] = 0  # a class that is predicted and nowhere true
    matrices[1:, 3] = 0  # one that only the first image has, so that some resamples lack it
    for seed in range(11):
        # Both ends of the interval of a single draw are the value of that draw.
        found = intervals(matrices, policy, 0, draws=1, seed=seed)
        (counts,) = np.concatenate(list(resample_counts(9, 1, seed)))
        wanted = scores(np.tensordot(counts, matrices, 1), policy)
        for name, value in (wanted.as_dict() | {"mean_iu_nobg": wanted.mean_iu_without(0)}).items():
            assert found[name] == (pytest.approx(value, rel=1e-13),) * 2


def test_intervals_are_those_of_scipy() -> None:
    matrices = stack(40)
    found = intervals(matrices, draws=9999)

    def statistic(images: NDArray[np.int64], metric: str) -> float:
        return scores(matrices[images].sum(axis=0)).as_dict()[metric]

    for metric in ("pixel_acc", "mean_iu"):
        wanted = stats.bootstrap(
            (np.arange(40),), lambda images, metric=metric: statistic(images, metric), vectorized=False,
            method="percentile", n_resamples=3000, rng=np.random.default_rng(5),
        ).confidence_interval  # fmt: skip
        width = wanted.high - wanted.low
        assert found[metric] == pytest.approx((wanted.low, wanted.high), abs=0.08 * width)


def test_an_interval_holds_the_score_and_narrows_with_more_images() -> None:
    few, many = stack(10), stack(1000)
    for matrices in (few, many):
        low, high = intervals(matrices)["mean_iu"]
        assert low < scores(matrices.sum(axis=0)).mean_iu < high
    widths = [high - low for low, high in (intervals(each)["mean_iu"] for each in (few, many))]
    assert widths[1] < widths[0] / 5


def test_intervals_are_golden() -> None:
    found = intervals(stack(), "gt", 0, draws=500)
    assert found["mean_iu"] == pytest.approx((0.623200467813407, 0.6617930537980812), abs=1e-12)
    assert found == intervals(stack(), "gt", 0, draws=500)
    assert found != intervals(stack(), "gt", 0, draws=500, seed=1)


def test_a_run_does_not_differ_from_itself() -> None:
    for difference in paired(stack(), stack()).values():
        assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_a_run_that_is_better_on_every_image_has_a_small_p_value() -> None:
    worse = stack()
    better = worse.copy()
    moved = worse[:, 0, 1] // 2
    better[:, 0, 1] -= moved
    better[:, 0, 0] += moved
    found = paired(worse, better)
    assert found["pixel_acc"].value > 0
    assert found["pixel_acc"].low > 0
    assert found["pixel_acc"].p < 0.001
    other_way = paired(better, worse)["pixel_acc"]
    assert (other_way.value, other_way.low) == (-found["pixel_acc"].value, -found["pixel_acc"].high)


def test_differences_by_chance_have_small_p_values_as_rarely_as_stated() -> None:
    """Two runs that differ by chance alone: p is spread over 0..1, and is small as rarely as it says."""
    base, small = stack(60), 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        swap = random.integers(0, 2, 60).astype(bool)
        other = base.copy()
        other[:, 0, 0] += random.integers(0, 50, 60)
        one, two = np.where(swap[:, None, None], base, other), np.where(swap[:, None, None], other, base)
        small += paired(one, two, draws=500)["pixel_acc"].p < 0.1
    assert 0 < small < 15  # 6 expected


def test_resamples_without_a_scored_pixel_are_left_out() -> None:
    matrices = np.zeros((2, 2, 2), np.int64)
    matrices[0] = [[3, 1], [0, 4]]
    assert intervals(matrices)["pixel_acc"] == (7 / 8, 7 / 8)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(UsageError, match="0 images"):
        intervals(np.zeros((0, 2, 2), np.int64))
    with pytest.raises(UsageError, match="0 draws"):
        intervals(stack(), draws=0)
    with pytest.raises(UsageError, match="same images"):
        paired(stack(3), stack(4))
    with pytest.raises(UsageError, match="rule for the mean 'all' is unknown"):
        intervals(stack(), "all")


def test_a_score_that_no_resample_has_is_nan_without_a_warning() -> None:
    """The mean IU without background where nothing but background is true, and images without a scored pixel."""
    only_first = np.zeros((3, 2, 2), np.int64)
    only_first[:, 0, 0] = 5
    found = intervals(only_first, without=0, draws=10)
    assert found["mean_iu"] == (1.0, 1.0)
    assert np.isnan(found["mean_iu_nobg"]).all()
    nothing = np.zeros((2, 3, 3), np.int64)
    assert all(np.isnan(ends).all() for ends in intervals(nothing, draws=10).values())
    for each in (
        *paired(nothing, nothing, draws=10).values(),
        paired(only_first, only_first, without=0)["mean_iu_nobg"],
    ):
        assert np.isnan([each.value, each.low, each.high, each.p]).all()
