"""Class with the largest logit: equal to numpy's argmax in every pixel, and an error for NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcnbench.errors import PredictionError
from fcnbench.metrics.argmax import argmax_map

BLOCK = 1 << 16
"""Pixels per block of the implementation."""

QUICK = settings(deadline=None, max_examples=60, derandomize=True)


def expected(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """numpy's own argmax: the lowest index on a tie."""
    return np.argmax(logits, axis=0).astype(np.uint8)


def noise(channels: int, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((channels, height, width), dtype=np.float32)


@QUICK
@given(
    channels=st.integers(1, 255),
    height=st.integers(0, 20),
    width=st.integers(0, 20),
    levels=st.integers(1, 4),
    infinite=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_numpy_with_its_ties_and_infinities(
    channels: int, height: int, width: int, levels: int, infinite: bool, seed: int
) -> None:
    values = np.array([-1.5, 0.0, -0.0, 2.0], np.float32)[:levels]
    if infinite:
        values = np.append(values, np.array([-np.inf, np.inf], np.float32))
    logits = np.random.default_rng(seed).choice(values, (channels, height, width))
    if (logits.max(axis=0) == -np.inf).any():
        with pytest.raises(PredictionError, match="minus infinity"):
            argmax_map(logits)
        return
    labels = argmax_map(logits)
    assert labels.dtype == np.uint8
    assert labels.shape == (height, width)
    np.testing.assert_array_equal(labels, expected(logits))


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, BLOCK - 1), (181, 181), (256, 128), (1, BLOCK), (BLOCK, 1), (331, 99), (1, BLOCK + 1),
     (255, 257), (256, 256), (1, 2 * BLOCK + 1), (375, 500)],
)  # fmt: skip
def test_sizes_around_the_block_size(height: int, width: int) -> None:
    logits = noise(5, height, width)
    np.testing.assert_array_equal(argmax_map(logits), expected(logits))


def test_a_tie_goes_to_the_lowest_class() -> None:
    logits = np.zeros((4, 1, 3), np.float32)
    logits[:, 0, 1] = [1, 3, 3, 0]
    logits[:, 0, 2] = [-1, -2, -3, -1]
    assert argmax_map(logits).tolist() == [[0, 1, 0]]


def test_negative_zero_ties_with_zero() -> None:
    assert argmax_map(np.array([[[-0.0]], [[0.0]]], np.float32)).tolist() == [[0]]


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([np.inf, np.inf, 0], 0),
        ([0, np.inf, np.inf], 1),
        ([-np.inf, -3.4e38, -np.inf], 1),
        ([3.4e38, 1, np.inf], 2),
        ([1.4e-45, 0, 2.8e-45], 2),
    ],
)
def test_infinite_and_extreme_logits_are_ordered_like_numbers(values: list[float], label: int) -> None:
    assert argmax_map(np.array(values, np.float32).reshape(3, 1, 1)).tolist() == [[label]]


@pytest.mark.parametrize("channel", [0, 1, 4])
@pytest.mark.parametrize("pixel", [0, BLOCK - 1, BLOCK, 2 * BLOCK])
@pytest.mark.parametrize("rival", [0.0, np.inf])
def test_one_nan_anywhere_is_refused(channel: int, pixel: int, rival: float) -> None:
    logits = noise(5, 1, 2 * BLOCK + 1)
    logits[:, 0, pixel] = rival
    logits[channel, 0, pixel] = np.nan
    with pytest.raises(PredictionError, match="NaN"):
        argmax_map(logits)


@pytest.mark.parametrize("pixel", [0, BLOCK - 1, BLOCK, 2 * BLOCK])
@pytest.mark.parametrize("channels", [1, 2, 21])
def test_minus_infinity_in_every_class_of_a_pixel_is_refused(pixel: int, channels: int) -> None:
    logits = noise(channels, 1, 2 * BLOCK + 1)
    logits[:, 0, pixel] = -np.inf
    with pytest.raises(PredictionError, match="are minus infinity in every class at some pixel"):
        argmax_map(logits)
    logits[-1, 0, pixel] = np.finfo(np.float32).min
    assert argmax_map(logits)[0, pixel] == channels - 1
    logits[0, 0, pixel] = np.nan
    with pytest.raises(PredictionError, match="hold NaN"):
        argmax_map(logits)


def test_nan_is_refused_with_a_single_class() -> None:
    with pytest.raises(PredictionError, match="NaN"):
        argmax_map(np.full((1, 2, 2), np.nan, np.float32))


def test_memory_layout_does_not_matter() -> None:
    channels_last = np.moveaxis(noise(40, 30, 7), 0, -1).copy()
    for logits in (
        np.moveaxis(channels_last, -1, 0),
        noise(7, 40, 30).transpose(0, 2, 1),
        noise(9, 64, 96)[::2, 1:-1:3, ::-1],
        np.asfortranarray(noise(7, 40, 30)),
        noise(12, 400, 300)[:, 5:-5, 7:-7],
    ):
        assert not logits.flags.c_contiguous
        np.testing.assert_array_equal(argmax_map(logits), expected(logits))


def test_a_single_class_wins_everywhere() -> None:
    assert not argmax_map(noise(1, 200, 200)).any()


def test_each_of_255_classes_can_win() -> None:
    logits = np.zeros((255, 1, 255), np.float32)
    logits[np.arange(255), 0, np.arange(255)] = 1
    assert argmax_map(logits).tolist() == [list(range(255))]


@pytest.mark.parametrize("channels", [0, 256, 300])
def test_a_number_of_classes_that_a_byte_cannot_name_is_refused(channels: int) -> None:
    with pytest.raises(PredictionError, match=rf"\b{channels}\b"):
        argmax_map(np.zeros((channels, 2, 2), np.float32))


@pytest.mark.parametrize("shape", [(3, 0, 0), (3, 0, 5), (3, 5, 0)])
def test_an_empty_image_has_an_empty_label_map(shape: tuple[int, int, int]) -> None:
    assert argmax_map(np.zeros(shape, np.float32)).shape == shape[1:]


def test_the_logits_are_only_read() -> None:
    logits = noise(4, 300, 200)
    before = logits.copy()
    logits.flags.writeable = False
    argmax_map(logits)
    np.testing.assert_array_equal(logits, before)


def test_the_label_map_is_the_callers_own() -> None:
    logits = noise(4, 10, 10)
    first = argmax_map(logits)
    first[:] = 99
    np.testing.assert_array_equal(argmax_map(logits), expected(logits))


@pytest.mark.parametrize("channel", [0, 1, 4])
def test_a_nan_near_the_end_of_an_image_is_refused(channel: int) -> None:
    planes = np.random.default_rng(0).standard_normal((5, 90, 70), dtype=np.float32)
    planes[channel, 88, 3] = np.nan
    with pytest.raises(PredictionError, match="NaN"):
        argmax_map(planes)


@pytest.mark.parametrize("shape", [(1, 3, 5), (21, 97, 131), (255, 2, 3)])
def test_many_ties_give_the_lowest_class(shape: tuple[int, int, int]) -> None:
    logits = np.random.default_rng(3).integers(-2, 3, shape).astype(np.float32)
    np.testing.assert_array_equal(argmax_map(logits), expected(logits))


def test_logits_that_are_all_plus_infinity_tie() -> None:
    assert argmax_map(np.full((3, 4, 4), np.inf, np.float32)).max() == 0


def test_double_precision_is_compared_as_it_is() -> None:
    logits = np.zeros((3, 1, 3))
    logits[:, 0, 0] = [1.0, 1.0 + 1e-12, 1.0]
    logits[:, 0, 1] = [1e300, 0.0, 2e300]
    logits[:, 0, 2] = [-1e300, -2e300, -3e300]
    assert argmax_map(logits).tolist() == [[1, 2, 0]]
    logits[:, 0, 2] = -np.inf
    with pytest.raises(PredictionError, match="minus infinity"):
        argmax_map(logits)
