"""The four metrics: by hand, in exact fractions, against another library, and on a real prediction."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import fcnbench
from fcnbench.datasets.codec.images import decode_label
from fcnbench.errors import UsageError
from fcnbench.labelspace import voc_palette
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.scores import METRICS, Scores, class_counts, metrics_from_counts, scores, shares

Matrix = list[list[int]]
Policy = Literal["gt", "union"]

QUICK = settings(deadline=None, max_examples=60, derandomize=True)


def exact(confusion: Matrix, policy: Policy) -> dict[str, Fraction]:
    """Section 5 of the paper in exact fractions."""
    every = range(len(confusion))
    hits = [confusion[i][i] for i in every]
    true = [sum(confusion[i]) for i in every]
    union = [true[i] + sum(confusion[j][i] for j in every) - hits[i] for i in every]
    present = [i for i in every if true[i]]
    counted = present if policy == "gt" else [i for i in every if union[i]]
    return {
        "pixel_acc": Fraction(sum(hits), sum(true)),
        "mean_acc": sum((Fraction(hits[i], true[i]) for i in present), Fraction(0)) / len(present),
        "mean_iu": sum((Fraction(hits[i], union[i]) for i in counted), Fraction(0)) / len(counted),
        "fw_iu": sum((true[i] * Fraction(hits[i], union[i]) for i in present), Fraction(0)) / sum(true),
    }


def assert_exact(found: Scores, wanted: dict[str, Fraction]) -> None:
    """Equal to float64 precision: a few units in the last of 53 bits, which float32 misses by a factor of 2**29."""
    assert list(found.as_dict()) == ["pixel_acc", "mean_acc", "mean_iu", "fw_iu"]
    for name, value in wanted.items():
        assert abs(Fraction(found.as_dict()[name]) - value) <= 8 * Fraction(1, 2**53) * value, name


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_two_classes_by_hand() -> None:
    result = scores([[3, 1], [2, 4]])
    assert result.pixel_acc == pytest.approx(7 / 10, rel=1e-15)
    assert result.mean_acc == pytest.approx((3 / 4 + 4 / 6) / 2, rel=1e-15)
    assert result.mean_iu == pytest.approx((3 / 6 + 4 / 7) / 2, rel=1e-15)
    assert result.fw_iu == pytest.approx((4 * 3 / 6 + 6 * 4 / 7) / 10, rel=1e-15)
    assert result.class_acc.tolist() == pytest.approx([3 / 4, 4 / 6], rel=1e-15)
    assert result.class_iu.tolist() == pytest.approx([3 / 6, 4 / 7], rel=1e-15)
    assert result.true_pixels.tolist() == [4, 6]
    assert result.predicted_pixels.tolist() == [5, 5]


def test_rows_are_ground_truth() -> None:
    # Three pixels of class 0, one hit: accuracy of class 0 is 1/3. Read the other way round it would be 1.
    assert scores([[1, 2], [0, 5]]).class_acc.tolist() == pytest.approx([1 / 3, 1.0], rel=1e-15)


def test_a_perfect_prediction_scores_exactly_one() -> None:
    assert scores(np.diag([7, 1, 123456789])).as_dict() == dict.fromkeys(METRICS, 1.0)


def test_a_prediction_without_a_hit_scores_exactly_zero() -> None:
    assert scores([[0, 5], [3, 0]]).as_dict() == dict.fromkeys(METRICS, 0.0)


def test_a_single_class_is_a_matrix_too() -> None:
    assert scores([[4]]).as_dict() == dict.fromkeys(METRICS, 1.0)


# --- absent classes --------------------------------------------------------------------------------------------------

# Class 2 never occurs and is predicted on 2 pixels; class 3 is neither true nor predicted.
ABSENT = [[8, 0, 2, 0], [0, 10, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_absent_classes_have_no_accuracy_and_no_iu() -> None:
    for policy in ("gt", "union"):
        result = scores(ABSENT, policy)
        np.testing.assert_array_equal(result.class_acc, [0.8, 1.0, np.nan, np.nan])
        np.testing.assert_array_equal(result.class_iu, [0.8, 1.0, 0.0, np.nan])


def test_present_leaves_out_a_class_that_was_only_predicted_and_reference_counts_it_as_zero() -> None:
    present, reference = scores(ABSENT, "gt"), scores(ABSENT, "union")
    assert present.mean_iu == pytest.approx((0.8 + 1) / 2, rel=1e-15)
    assert reference.mean_iu == pytest.approx((0.8 + 1 + 0) / 3, rel=1e-15)
    assert (present.mean, reference.mean) == ("gt", "union")


def test_the_policies_differ_in_the_mean_iu_and_in_nothing_else() -> None:
    present, reference = scores(ABSENT, "gt").as_dict(), scores(ABSENT, "union").as_dict()
    assert present.pop("mean_iu") != reference.pop("mean_iu")
    assert present == reference == pytest.approx({"pixel_acc": 0.9, "mean_acc": 0.9, "fw_iu": 0.9}, rel=1e-15)


def test_the_papers_policy_is_the_default() -> None:
    assert scores(ABSENT).mean == "gt"
    assert scores(ABSENT).as_dict() == scores(ABSENT, "gt").as_dict()


def test_false_positives_into_an_absent_class_lower_the_iu_of_the_true_class_under_both() -> None:
    for policy in ("gt", "union"):
        assert scores(ABSENT, policy).class_iu[0] == 0.8


def test_a_class_absent_from_both_changes_nothing() -> None:
    for policy in ("gt", "union"):
        assert scores([[3, 0, 1], [0, 0, 0], [2, 0, 4]], policy).as_dict() == scores([[3, 1], [2, 4]], policy).as_dict()


@QUICK
@given(
    st.integers(1, 6).flatmap(
        lambda side: st.lists(
            st.lists(st.sampled_from([0, 0, 0, 1, 2, 7, 1000, 2**33]), min_size=side, max_size=side),
            min_size=side,
            max_size=side,
        )
    ),
    st.sampled_from(["gt", "union"]),
)
def test_equals_the_papers_formulas_in_exact_fractions(confusion: Matrix, policy: Policy) -> None:
    confusion[0][0] += 1
    result = scores(confusion, policy)
    assert_exact(result, exact(confusion, policy))
    assert all(0 <= value <= 1 for value in result.as_dict().values())
    # `reference` is what its name says: the nanmean over the classes of the papers' score.py.
    if policy == "union":
        assert result.mean_iu == pytest.approx(float(np.nanmean(result.class_iu)), rel=1e-14)
    assert result.mean_acc == pytest.approx(float(np.nanmean(result.class_acc)), rel=1e-14)


@QUICK
@given(st.permutations(range(5)), st.integers(0, 2**32 - 1))
def test_the_order_of_the_classes_does_not_matter(order: list[int], seed: int) -> None:
    confusion = np.random.default_rng(seed).integers(0, 50, (5, 5)) + np.eye(5, dtype=np.int64)
    assert scores(confusion[np.ix_(order, order)]).as_dict() == pytest.approx(scores(confusion).as_dict(), rel=1e-14)


# --- integers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [2**24 + 1, 2**31 + 1, 2**40 + 1, 2**53 + 1, 2**60 + 1])
def test_large_counts_keep_every_pixel(large: int) -> None:
    confusion = [[large, 1], [0, large]]
    result = scores(confusion)
    # In float32 from 2**24 on, in float64 from 2**53 on, the odd pixel would be gone.
    assert result.true_pixels.tolist() == [large + 1, large]
    assert result.predicted_pixels.tolist() == [large, large + 1]
    assert result.true_pixels.dtype == result.predicted_pixels.dtype == np.int64
    assert_exact(result, exact(confusion, "gt"))


def test_one_wrong_pixel_among_2_to_the_40_is_seen() -> None:
    result = scores([[2**40, 1], [0, 2**40]])
    assert all(value < 1 for value in result.as_dict().values())


def test_ratios_are_float64() -> None:
    result = scores(np.array([[1, 2], [0, 3]], np.int32))
    assert result.class_acc.dtype == result.class_iu.dtype == np.float64
    assert result.class_acc[0] == 1 / 3
    assert all(type(value) is float for value in result.as_dict().values())


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int32, np.uint64])
def test_narrow_integers_do_not_overflow_in_the_sums(dtype: type) -> None:
    side, count = 10, min(int(np.iinfo(dtype).max), 2**40)
    result = scores(np.full((side, side), count, dtype))
    assert result.true_pixels.tolist() == [side * count] * side
    assert result.true_pixels.dtype == result.predicted_pixels.dtype == np.int64
    assert result.pixel_acc == pytest.approx(1 / side, rel=1e-15)


def test_the_matrix_is_only_read() -> None:
    confusion = np.array(ABSENT)
    before = confusion.copy()
    confusion.flags.writeable = False
    result = scores(confusion)
    result.true_pixels[:] = 0
    np.testing.assert_array_equal(confusion, before)


# --- many matrices at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["gt", "union"])
def test_the_metrics_of_a_stack_are_those_of_each_matrix(policy: Policy) -> None:
    random = np.random.default_rng(0)
    matrices = random.integers(0, 50, (2, 3, 5, 5)) * (random.random((2, 3, 5, 5)) < 0.6)
    matrices[..., 4, :] = 0  # a class that is predicted and nowhere true
    matrices[..., 0, 0] += 1
    found = metrics_from_counts(*class_counts(matrices), policy, without=0)
    for index in np.ndindex(2, 3):
        wanted = scores(matrices[index], policy)
        assert {name: float(found[name][index]) for name in METRICS} == wanted.as_dict()
        np.testing.assert_array_equal(found["mean_iu_nobg"][index], wanted.mean_iu_without(0))


def test_a_matrix_without_a_scored_pixel_has_nan_beside_others() -> None:
    found = metrics_from_counts(*class_counts(np.array([[[3, 1], [0, 4]], [[0, 0], [0, 0]]])))
    assert found["pixel_acc"][0] == 7 / 8
    assert all(np.isnan(values[1]) for values in found.values())


def test_shares_are_fractions_of_a_row_and_zero_without_counts() -> None:
    assert shares(np.array([[1, 3], [0, 0]])).tolist() == [[0.25, 0.75], [0.0, 0.0]]
    assert shares(np.array([2**53 + 1, 0])).tolist() == [1.0, 0.0]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0,), (4,), (0, 0), (2, 3), (2, 2, 2), ()])
def test_a_matrix_that_is_not_square_is_refused_by_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        scores(np.ones(shape, np.int64))
    assert str(shape) in caught.value.message


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, object])
def test_counts_that_are_not_integers_are_refused(dtype: type) -> None:
    with pytest.raises(UsageError, match=np.dtype(dtype).name):
        scores(np.ones((2, 2), dtype))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(UsageError, match="negative"):
        scores([[4, -1], [0, 3]])


def test_a_matrix_without_a_pixel_is_refused_and_not_scored_as_nan() -> None:
    with pytest.raises(UsageError, match="no pixel"):
        scores(np.zeros((3, 3), np.int64))


def test_an_unknown_policy_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="nanmean"):
        scores([[1]], "nanmean")  # type: ignore[arg-type]


def test_it_is_part_of_the_public_surface() -> None:
    assert fcnbench.scores is scores


# --- a real prediction -----------------------------------------------------------------------------------------------


def indices_of_colours(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the classes whose VOC colours an image shows."""
    label = np.full(image.shape[:2], 255, np.uint8)
    for index, colour in enumerate(voc_palette(21)):
        label[(image == colour).all(axis=-1)] = index
    return label


@pytest.fixture
def fcn_demo(shared: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the ground truth of VOC 2007_000129 and the prediction that the papers' FCN-8s wrote for it."""
    folder = shared / "data" / "fcn_demo"
    if not folder.is_dir():
        pytest.skip("no folder data/fcn_demo among the real data")
    truth = decode_label((folder / "label.png").read_bytes(), "label.png")
    with Image.open(io.BytesIO((folder / "output.png").read_bytes())) as image:
        prediction = indices_of_colours(np.array(image.convert("RGB")))
    return truth, prediction


def test_the_papers_own_prediction_scores_as_published(fcn_demo: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    truth, prediction = fcn_demo
    assert set(np.unique(prediction)) == {0, 2, 15}
    for policy in ("gt", "union"):
        result = scores(confusion_matrix(truth, prediction, 21), policy)
        assert np.flatnonzero(result.true_pixels).tolist() == [0, 2, 15]
        assert result.true_pixels.sum() == np.count_nonzero(truth != 255)
        assert round(result.pixel_acc, 4) == 0.8425
        assert round(result.mean_iu, 4) == 0.7196


# --- another library -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_torchmetrics(seed: int) -> None:
    # Imported here: torch takes seconds to import, which no other test of this file should wait for.
    import torch
    from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

    rng = np.random.default_rng(seed)
    num_classes = int(rng.integers(2, 30))
    truth = rng.integers(0, num_classes, (2, 60, 70)).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, num_classes, truth.shape)).astype(
        np.uint8
    )
    truth[rng.random(truth.shape) < 0.1] = 255
    confusion = confusion_matrix(truth, prediction, num_classes)

    theirs = MulticlassConfusionMatrix(num_classes, ignore_index=255)
    jaccard = MulticlassJaccardIndex(num_classes, average="none", ignore_index=255)
    mean_jaccard = MulticlassJaccardIndex(num_classes, average="macro", ignore_index=255)
    for image in range(2):
        batch = torch.from_numpy(prediction[image].astype(np.int64)), torch.from_numpy(truth[image].astype(np.int64))
        for metric in (theirs, jaccard, mean_jaccard):
            metric.update(*batch)
    np.testing.assert_array_equal(confusion, theirs.compute().numpy())
    result = scores(confusion)
    assert (result.true_pixels > 0).all()
    # They divide in float32.
    np.testing.assert_allclose(result.class_iu, jaccard.compute().numpy(), rtol=1e-6)
    assert result.mean_iu == pytest.approx(float(mean_jaccard.compute()), rel=1e-6)
