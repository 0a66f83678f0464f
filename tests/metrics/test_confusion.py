"""The confusion matrix: every scored pixel in its own cell, everything else refused by name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import fcnbench
from fcnbench.errors import DataCorrupt, PredictionError, UsageError
from fcnbench.metrics.confusion import confusion_matrix

Map = NDArray[Any]

BLOCK = 1 << 15
"""Pixels that noisy maps are counted by at a time."""

INTEGER_DTYPES = [np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.int64, np.uint64]
QUICK = settings(deadline=None, max_examples=60, derandomize=True)


def naive(truth: Map, prediction: Map, num_classes: int, ignore: int = 255) -> Map:
    """The definition, pixel by pixel in Python integers."""
    counts = [[0] * num_classes for _ in range(num_classes)]
    for true, predicted in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true != ignore:
            assert 0 <= true < num_classes
            counts[true][predicted] += 1
    return np.array(counts, np.int64)


def fast_hist(truth: Map, prediction: Map, num_classes: int) -> Map:
    """The definition of the papers' score.py: a bincount over n * truth + prediction, where truth is a class."""
    scored = (truth >= 0) & (truth < num_classes)
    codes = num_classes * truth[scored].astype(np.int64) + prediction[scored]
    return np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)


def runs(rng: np.random.Generator, size: int, num_classes: int, mean_run: int) -> Map:
    """A flat uint8 map of classes whose runs are `mean_run` pixels long on average."""
    values = rng.integers(0, num_classes, size)
    starts = rng.random(size) < 1 / mean_run
    starts[:1] = True
    return values[np.maximum.accumulate(np.where(starts, np.arange(size), 0))].astype(np.uint8)


@st.composite
def label_maps(draw: st.DrawFn) -> tuple[Map, Map, int]:
    """(truth, prediction, number of classes): smooth or noisy, with a share of ignored pixels, garbage below them."""
    height, width = draw(st.integers(0, 24)), draw(st.integers(0, 24))
    num_classes = draw(st.integers(1, 255))
    mean_run = draw(st.sampled_from([1, 2, 5, 60, 400]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = height * width
    truth, prediction = (runs(rng, size, num_classes, mean_run) for _ in range(2))
    # Some agreement between the two, so that the diagonal is not empty.
    prediction = np.where(runs(rng, size, 2, mean_run) == 1, truth, prediction)
    void = rng.random(size) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    truth[void] = 255
    prediction[void] = rng.integers(0, 256, int(void.sum()))
    return truth.reshape(height, width), prediction.reshape(height, width), num_classes


@QUICK
@given(label_maps(), st.sampled_from(INTEGER_DTYPES), st.sampled_from(INTEGER_DTYPES))
def test_equals_a_count_in_plain_python_and_the_papers_definition(
    maps: tuple[Map, Map, int], truth_dtype: type, prediction_dtype: type
) -> None:
    truth, prediction, num_classes = maps
    counts = confusion_matrix(truth.astype(truth_dtype), prediction.astype(prediction_dtype), num_classes)
    assert counts.dtype == np.int64
    assert counts.shape == (num_classes, num_classes)
    np.testing.assert_array_equal(counts, naive(truth, prediction, num_classes))
    np.testing.assert_array_equal(counts, fast_hist(truth, prediction, num_classes))


@QUICK
@given(label_maps())
def test_sums_are_the_pixels_per_true_and_per_predicted_class(maps: tuple[Map, Map, int]) -> None:
    truth, prediction, num_classes = maps
    counts = confusion_matrix(truth, prediction, num_classes)
    scored = truth != 255
    np.testing.assert_array_equal(counts.sum(1), np.bincount(truth[scored], minlength=num_classes))
    np.testing.assert_array_equal(counts.sum(0), np.bincount(prediction[scored], minlength=num_classes))


@QUICK
@given(label_maps())
def test_parts_of_an_image_add_up_to_the_whole(maps: tuple[Map, Map, int]) -> None:
    truth, prediction, num_classes = maps
    cut = truth.shape[0] // 2
    top = confusion_matrix(truth[:cut], prediction[:cut], num_classes)
    bottom = confusion_matrix(truth[cut:], prediction[cut:], num_classes)
    np.testing.assert_array_equal(top + bottom, confusion_matrix(truth, prediction, num_classes))


@QUICK
@given(label_maps(), st.sampled_from([np.uint8, np.int64]))
def test_inputs_are_only_read(maps: tuple[Map, Map, int], dtype: type) -> None:
    truth, prediction, num_classes = maps[0].astype(dtype), maps[1].astype(dtype), maps[2]
    before = truth.copy(), prediction.copy()
    truth.flags.writeable = prediction.flags.writeable = False
    confusion_matrix(truth, prediction, num_classes)
    np.testing.assert_array_equal(truth, before[0])
    np.testing.assert_array_equal(prediction, before[1])


@pytest.mark.parametrize("mean_run", [1, 3, 50, 5000], ids="run{}".format)
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("num_classes", [1, 21, 255])
def test_maps_around_the_block_size_match_the_papers_definition(mean_run: int, size: int, num_classes: int) -> None:
    rng = np.random.default_rng(size + mean_run)
    truth, prediction = (runs(rng, size, num_classes, mean_run) for _ in range(2))
    truth[runs(rng, size, 10, mean_run) == 0] = 255
    np.testing.assert_array_equal(
        confusion_matrix(truth, prediction, num_classes), fast_hist(truth, prediction, num_classes)
    )


def test_a_row_is_a_true_class_and_a_column_a_predicted_one() -> None:
    truth = np.array([[0, 0, 0], [1, 1, 255]], np.uint8)
    prediction = np.array([[0, 2, 2], [1, 0, 1]], np.uint8)
    assert confusion_matrix(truth, prediction, 3).tolist() == [[1, 0, 2], [1, 1, 0], [0, 0, 0]]


def test_every_pair_of_255_classes_has_its_own_cell() -> None:
    truth, prediction = np.divmod(np.arange(255 * 255), 255)
    np.testing.assert_array_equal(confusion_matrix(truth, prediction, 255), np.ones((255, 255), np.int64))
    long_runs = np.repeat(truth, 10), np.repeat(prediction, 10)
    np.testing.assert_array_equal(confusion_matrix(*long_runs, 255), np.full((255, 255), 10))


@pytest.mark.parametrize("shape", [(0,), (0, 0), (5, 0), (0, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_an_empty_map_counts_nothing(shape: tuple[int, ...], dtype: type) -> None:
    nothing = np.zeros(shape, dtype)
    np.testing.assert_array_equal(confusion_matrix(nothing, nothing, 4), np.zeros((4, 4), np.int64))


def test_an_image_that_is_all_void_counts_nothing() -> None:
    void = np.full((9, 9), 255, np.uint8)
    np.testing.assert_array_equal(confusion_matrix(void, np.zeros_like(void), 4), np.zeros((4, 4), np.int64))


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (1, 2, 3), (1, 1, 2, 1, 3)])
def test_maps_may_have_any_shape(shape: tuple[int, ...]) -> None:
    ones = np.ones(shape, np.uint8)
    assert confusion_matrix(ones, ones, 2).tolist() == [[0, 0], [0, ones.size]]


@pytest.mark.parametrize("mean_run", [1, 400])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda array: array.T, id="transposed"),
        pytest.param(lambda array: array[::-1, ::-1], id="reversed"),
        pytest.param(lambda array: array[3:-2, 1::3], id="strided"),
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda array: np.broadcast_to(array[0], (5, array.shape[1])), id="broadcast"),
    ],
)
def test_memory_layout_does_not_matter(view: Any, dtype: type, mean_run: int) -> None:
    rng = np.random.default_rng(3)
    truth = runs(rng, 60 * 70, 5, mean_run).reshape(60, 70).astype(dtype)
    prediction = runs(rng, 60 * 70, 5, mean_run).reshape(60, 70).astype(dtype)
    seen, guess = view(truth), view(prediction)
    np.testing.assert_array_equal(confusion_matrix(seen, guess, 5), naive(seen, guess, 5))
    # The layouts of the two need not be the same either.
    np.testing.assert_array_equal(confusion_matrix(seen, guess.copy(), 5), naive(seen, guess, 5))


@pytest.mark.parametrize("ignore", [21, 100, 254, 255])
def test_any_value_outside_the_classes_can_be_the_ignore_value(ignore: int) -> None:
    truth = np.array([0, ignore, 20, ignore], np.uint8)
    prediction = np.array([0, 0, 20, 1], np.uint8)
    counts = confusion_matrix(truth, prediction, 21, ignore=ignore)
    assert (counts[0, 0], counts[20, 20], counts.sum()) == (1, 1, 2)


@pytest.mark.parametrize(
    ("garbage", "dtype"),
    [(255, np.uint8), (3, np.uint8), (-1, np.int8), (-1, np.int64), (256, np.int32), (-(2**40), np.int64),
     (2**63, np.uint64)],
)  # fmt: skip
@pytest.mark.parametrize("repeat", [1, 100])
def test_a_prediction_may_hold_anything_where_truth_is_void(garbage: int, dtype: type, repeat: int) -> None:
    truth = np.repeat(np.array([0, 255, 2, 255], np.uint8), repeat)
    prediction = np.repeat(np.array([0, garbage, 1, garbage], dtype), repeat)
    assert (
        confusion_matrix(truth, prediction, 3) == np.diag([repeat, 0, 0]) + repeat * (np.eye(9)[7].reshape(3, 3))
    ).all()


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [-1, 0, 256, 1000])
def test_an_impossible_number_of_classes_is_wrong_usage(num_classes: int) -> None:
    nothing = np.zeros((2, 2), np.uint8)
    with pytest.raises(UsageError, match=rf"(?<!\d){num_classes}\b"):
        confusion_matrix(nothing, nothing, num_classes)


@pytest.mark.parametrize("ignore", [0, 20, -1, 256, 65535])
def test_an_ignore_value_that_is_a_class_or_no_byte_is_wrong_usage(ignore: int) -> None:
    nothing = np.zeros((2, 2), np.uint8)
    with pytest.raises(UsageError, match=rf"ignore value {ignore}\b"):
        confusion_matrix(nothing, nothing, 21, ignore=ignore)


@pytest.mark.parametrize("shape", [(4, 3), (12,), (3, 4, 1), (2, 4), (0, 4)])
def test_another_shape_than_the_truths_is_refused_and_never_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(PredictionError) as caught:
        confusion_matrix(np.zeros((3, 4), np.uint8), np.zeros(shape, np.uint8), 2)
    assert str(shape) in caught.value.message
    assert "(3, 4)" in caught.value.message


@pytest.mark.parametrize("repeat", [1, 100], ids=["noisy", "smooth"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("stray", [3, 7, 254])
def test_a_stray_label_is_corrupt_data_and_named(stray: int, dtype: type, repeat: int) -> None:
    truth = np.repeat(np.array([0, 1, stray, 2, 255], dtype), repeat)
    prediction = np.repeat(np.array([0, 1, 0, 2, 0], dtype), repeat)
    with pytest.raises(DataCorrupt, match=rf"truth.*\b{stray}\b.*\b{repeat} pixels"):
        confusion_matrix(truth, prediction, 3)


def test_every_stray_label_is_listed() -> None:
    truth = np.array([0, 9, 9, 4, 255], np.uint8)
    with pytest.raises(DataCorrupt) as caught:
        confusion_matrix(truth, np.zeros(5, np.uint8), 3)
    assert "4 (1 pixels)" in caught.value.message
    assert "9 (2 pixels)" in caught.value.message
    assert "255 (" not in caught.value.message


def test_255_is_stray_where_another_value_is_ignored() -> None:
    with pytest.raises(DataCorrupt, match=r"\b255\b"):
        confusion_matrix(np.array([0, 255], np.uint8), np.zeros(2, np.uint8), 3, ignore=99)


@pytest.mark.parametrize("stray", [-1, -128, 256, 300, 2**40])
def test_a_label_outside_a_byte_is_corrupt_data_and_never_wrapped(stray: int) -> None:
    with pytest.raises(DataCorrupt, match=rf"truth.*(?<!\d){stray}(?!\d)"):
        confusion_matrix(np.array([0, stray, 1]), np.zeros(3, np.int64), 3)


@pytest.mark.parametrize("repeat", [1, 100], ids=["noisy", "smooth"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
@pytest.mark.parametrize("outside", [3, 100, 255])
def test_a_prediction_outside_the_classes_is_refused_and_named(outside: int, dtype: type, repeat: int) -> None:
    truth = np.repeat(np.array([0, 1, 2, 255], np.uint8), repeat)
    prediction = np.repeat(np.array([0, outside, 2, outside], dtype), repeat)
    # The ignored pixels that hold the same value are not among those counted.
    with pytest.raises(PredictionError, match=rf"prediction.*\b{outside}\b.*\b{repeat} pixels"):
        confusion_matrix(truth, prediction, 3)


@pytest.mark.parametrize("outside", [-1, -256, 256, 257, 2**40])
def test_a_prediction_outside_a_byte_is_refused_and_never_wrapped(outside: int) -> None:
    with pytest.raises(PredictionError, match=rf"prediction.*(?<!\d){outside}(?!\d)"):
        confusion_matrix(np.array([0, 1, 2]), np.array([0, outside, 2]), 3)


def test_one_wrong_pixel_in_a_large_map_is_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 21, 3 * BLOCK).astype(np.uint8)
    truth[rng.random(truth.size) < 0.1] = 255
    for position in (0, BLOCK - 1, BLOCK, truth.size - 1):
        prediction = np.where(truth == 255, 0, truth).astype(np.uint8)
        scored = truth.copy()
        scored[position] = 5
        prediction[position] = 21
        with pytest.raises(PredictionError, match=r"\b21 \(1 pixels\)"):
            confusion_matrix(scored, prediction, 21)
        scored[position] = 21
        with pytest.raises(DataCorrupt, match=r"\b21 \(1 pixels\)"):
            confusion_matrix(scored, prediction, 21)


def test_a_stray_label_is_reported_before_a_wrong_prediction() -> None:
    with pytest.raises(DataCorrupt):
        confusion_matrix(np.array([0, 9], np.uint8), np.array([9, 0], np.uint8), 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, np.complex64, object])
def test_maps_that_are_not_integers_are_refused_by_their_dtype(dtype: type) -> None:
    whole, other = np.zeros((2, 2), np.uint8), np.zeros((2, 2), dtype)
    with pytest.raises(DataCorrupt, match=other.dtype.name):
        confusion_matrix(other, whole, 2)
    with pytest.raises(PredictionError, match=other.dtype.name):
        confusion_matrix(whole, other, 2)


def test_it_is_part_of_the_public_surface() -> None:
    assert fcnbench.confusion_matrix is confusion_matrix
