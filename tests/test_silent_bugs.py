"""One test for every silent bug of scoring that is known from other harnesses.

Silent: the other harness ran, printed a number, and the number was wrong. Each docstring names where the bug was
found. Where it takes a few lines, the test also shows what the other rule would have given, so that it is plain that
the picked numbers can tell the two apart. Silent bugs of reading masks are in `test_silent_mask_bugs.py`.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnbench.datasets.codec.images import check_label
from fcnbench.datasets.families.voc import VOC21
from fcnbench.errors import DataCorrupt, PredictionError, UsageError
from fcnbench.evaluation.journal import Journal
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.scores import METRICS, scores
from tests.counts import counted, evaluation, specs

Map = NDArray[Any]


def fast_hist(truth: Map, prediction: Map, num_classes: int) -> Map:
    """The bincount that the reference's score.py, torchfcn and torchvision share, without its reshape."""
    scored = (truth >= 0) & (truth < num_classes)
    return np.bincount(num_classes * truth[scored].astype(int) + prediction[scored], minlength=num_classes**2)


# --- T1, T3: absent classes ------------------------------------------------------------------------------------------

SIFT_FLOW_ABSENT = (8, 10, 15)
"""Cow, desert and moon: classes of SIFT Flow that never occur in its test set."""


@pytest.mark.parametrize("absent", SIFT_FLOW_ABSENT)
def test_sift_flow_classes_without_true_pixels_are_not_averaged(absent: int) -> None:
    """The reference's nanmean counts a predicted absent class as IU 0.

    shelhamer/fcn.berkeleyvision.org, README and siftflow-fcn*/solve.py admit it for SIFT Flow.
    """
    truth = np.repeat([index for index in range(33) if index not in SIFT_FLOW_ABSENT], 20).astype(np.uint8)
    prediction = truth.copy()
    prediction[0] = absent  # one pixel of awning, taken for an absent class
    confusion = confusion_matrix(truth, prediction, 33)
    assert scores(confusion).mean_iu == pytest.approx((29 + 19 / 20) / 30, rel=1e-14)
    assert scores(confusion, "union").mean_iu == pytest.approx((29 + 19 / 20) / 31, rel=1e-14)


def test_a_class_absent_from_truth_and_prediction_is_neither_nan_nor_zero_in_the_means() -> None:
    """NaN spreads through a plain mean, or the class counts as 0.

    NaN: torchvision references/segmentation/utils.py; open-mmlab/mmsegmentation#1601 and PR 116. Counted as 0:
    Lightning-AI/torchmetrics#1693 (see #2866 too).
    """
    for policy in ("gt", "union"):
        result = scores(np.diag([5, 0, 7]), policy)
        assert result.as_dict() == dict.fromkeys(METRICS, 1.0)
        assert np.isnan(result.class_iu[1])
        assert np.isnan(result.class_acc[1])


def test_a_missing_value_is_never_turned_into_a_zero_before_the_mean() -> None:
    """`nan_to_num` before the mean lowers it, after the mean it does not.

    Before: open-mmlab/mmsegmentation `IoUMetric`. After: huggingface/evaluate `mean_iou`.
    """
    confusion = [[6, 2, 0], [0, 0, 0], [1, 0, 7]]
    result = scores(confusion)
    assert np.nan_to_num(result.class_acc).mean() == pytest.approx((6 / 8 + 7 / 8) / 3)
    assert result.mean_acc == pytest.approx((6 / 8 + 7 / 8) / 2, rel=1e-14)


def test_frequency_weighted_iu_sums_over_true_classes_and_is_never_nan() -> None:
    """0 * NaN is NaN, in the sum over all classes too.

    CVPR arXiv v1 had an error in this formula (changelog of v2); mmsegmentation's `IoUMetric` has no such metric.
    """
    confusion = np.array([[6, 2, 0], [0, 0, 0], [0, 0, 0]])
    for policy in ("gt", "union"):
        assert scores(confusion, policy).fw_iu == pytest.approx(6 / 8, rel=1e-14)


def test_an_all_void_image_adds_nothing_and_an_all_void_split_has_no_score() -> None:
    """Without a scored pixel every ratio is 0/0; a NaN or a 0 printed for it is not a score.

    The same trap as absent classes: Lightning-AI/torchmetrics#1693, #2558.
    """
    void = np.full((4, 4), 255, np.uint8)
    nothing = confusion_matrix(void, np.zeros_like(void), 2)
    some = np.array([[3, 1], [0, 4]])
    assert scores(some + nothing).as_dict() == scores(some).as_dict()
    with pytest.raises(UsageError):
        scores(nothing)


# --- T2: aggregation -------------------------------------------------------------------------------------------------


def test_scores_are_of_the_whole_split_and_not_a_mean_over_images() -> None:
    """Means of per-image scores differ from the score of the summed counts.

    Lightning-AI/torchmetrics `segmentation.MeanIoU` (functional/segmentation/mean_iou.py) averages per sample; the
    reference score.py accumulates one matrix over the split.
    """
    truths = [np.array([0, 0, 0, 0, 0, 0, 0, 1], np.uint8), np.array([0, 1], np.uint8)]
    predictions = [np.array([0, 0, 0, 0, 0, 0, 1, 1], np.uint8), np.array([1, 1], np.uint8)]
    each = [confusion_matrix(*pair, 2) for pair in zip(truths, predictions, strict=True)]
    whole = confusion_matrix(np.concatenate(truths), np.concatenate(predictions), 2)
    np.testing.assert_array_equal(sum(each), whole)
    split = scores(each[0] + each[1])
    assert split.mean_iu == pytest.approx((6 / 8 + 2 / 4) / 2, rel=1e-14)
    assert split.pixel_acc == pytest.approx(8 / 10, rel=1e-14)
    per_image = np.mean([scores(confusion).mean_iu for confusion in each])
    assert per_image == pytest.approx(((6 / 7 + 1 / 2) / 2 + (0 / 1 + 1 / 2) / 2) / 2)
    assert abs(per_image - split.mean_iu) > 0.1


# --- T4: stray labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stray", [3, 254])
def test_a_label_that_is_neither_class_nor_ignore_is_an_error(stray: int) -> None:
    """Stray labels vanish, or their predictions count as false positives.

    Vanish: the reference score.py. False positives: open-mmlab/mmsegmentation and huggingface/evaluate `mean_iou`.
    """
    truth = np.array([0, 1, stray, 255], np.uint8)
    prediction = np.array([0, 1, 1, 0], np.uint8)
    assert fast_hist(truth, prediction, 3).sum() == 2  # the stray pixel is gone without a word
    with pytest.raises(DataCorrupt, match=rf"\b{stray}\b"):
        confusion_matrix(truth, prediction, 3)


@pytest.mark.parametrize("stray", [21, 254])
def test_a_stray_label_is_found_before_anything_is_scored(stray: int) -> None:
    """Masks with other values than classes and void are scored without a word.

    DrSleep/tensorflow-deeplab-resnet#43 trained on the values 0, 52, 132, 147 and 220; open-mmlab/mmsegmentation#271.
    """
    label = np.zeros((4, 5), np.uint8)
    label[0, 0] = 255
    check_label(label, VOC21, "2007_000129.png")
    label[1, 1] = stray
    with pytest.raises(DataCorrupt, match=rf"2007_000129.*\b{stray} \(1 pixels\)"):
        check_label(label, VOC21, "2007_000129.png")


# --- T5: predictions out of range ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("true", "predicted", "booked"),
    [(0, 3, (1, 0)), (1, -1, (0, 2)), (2, 3, None), (0, -1, None)],
    ids=["next row", "row before", "breaks the reshape", "raises in bincount"],
)
def test_a_prediction_out_of_range_is_never_booked_into_another_cell(
    true: int, predicted: int, booked: tuple[int, int] | None
) -> None:
    """A bincount over n * truth + prediction puts an out-of-range prediction into another true class's row.

    The reference score.py, torchfcn utils.py and torchvision references/segmentation/utils.py share the code.
    """
    truth, prediction = np.array([true]), np.array([predicted])
    if booked:
        assert fast_hist(truth, prediction, 3).reshape(3, 3)[booked] == 1
    with pytest.raises(PredictionError, match=rf"(?<!\d){predicted}(?!\d)"):
        confusion_matrix(truth, prediction, 3)


def test_the_matrix_has_the_size_of_the_label_space_whatever_was_seen() -> None:
    """The class count is the largest label seen plus one, so an unmapped 255 grows the matrix to 256 classes.

    chainercv evaluations/eval_semantic_segmentation.py.
    """
    truth = np.array([0, 255, 1], np.uint8)
    assert confusion_matrix(truth, np.zeros(3, np.uint8), 21).shape == (21, 21)
    with pytest.raises(PredictionError):
        confusion_matrix(truth, np.array([0, 0, 255], np.uint8), 21)


def test_predictions_on_void_pixels_are_no_false_positives() -> None:
    """Void is masked by truth: what is predicted there enters no class's union.

    Lightning-AI/torchmetrics#2747 (no ignore index), open-mmlab/mmsegmentation#1601.
    """
    truth = np.array([0, 0, 1, 1, 255, 255, 255], np.uint8)
    prediction = np.array([0, 0, 1, 1, 1, 1, 1], np.uint8)
    result = scores(confusion_matrix(truth, prediction, 2))
    assert result.as_dict() == dict.fromkeys(METRICS, 1.0)
    assert result.predicted_pixels.tolist() == [2, 2]


# --- T6: resolution --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(12, 12), (20, 30), (32, 32), (1, 20, 31), (31, 20)])
def test_a_prediction_of_another_size_is_refused_and_never_resized_or_cropped(shape: tuple[int, ...]) -> None:
    """Metrics at network or crop size instead of the image's own size.

    No upstream thread; like the VOC devkit's VOCevalseg.m, which stops on a size mismatch.
    """
    with pytest.raises(PredictionError, match="own size"):
        confusion_matrix(np.zeros((20, 31), np.uint8), np.zeros(shape, np.uint8), 21)


# --- T7: background --------------------------------------------------------------------------------------------------


def test_background_is_a_class_of_voc_like_any_other() -> None:
    """Background is dropped from the mean, and 20 classes are compared with 21.

    Two adapted copies of VOCevalseg.m drop it; torchmetrics `segmentation.MeanIoU` hides it behind
    `include_background`.
    """
    assert VOC21.num_classes == 21
    assert VOC21.classes[0] == "background"
    truth = np.array([0, 0, 0, 0, 5, 5], np.uint8)
    prediction = np.array([0, 0, 0, 5, 5, 5], np.uint8)
    result = scores(confusion_matrix(truth, prediction, VOC21.num_classes))
    assert result.mean_iu == pytest.approx((3 / 4 + 2 / 3) / 2, rel=1e-14)


# --- T8: float32 -----------------------------------------------------------------------------------------------------


def test_counts_are_exact_beyond_what_float32_can_count() -> None:
    """Areas summed or divided in float32 stop counting at 2**24 pixels; seg11valid has more than 1e8.

    open-mmlab/mmsegmentation `IoUMetric` sums float32 areas; torchvision's and torchmetrics' matrices are cast to
    float32 before the division.
    """
    limit = 2**24
    assert np.float32(limit) + np.float32(1) == limit  # the pixel that float32 loses
    flat = np.zeros(limit + 1, np.uint8)
    assert confusion_matrix(flat, flat, 2)[0, 0] == limit + 1


def test_one_pixel_more_still_counts_after_a_whole_split() -> None:
    """Accumulating in float32 freezes a large cell.

    Same threads as above.
    """
    pixel = np.zeros((1, 1), np.uint8)
    total = np.array([[10**8, 0], [0, 10**8]])
    for _ in range(7):
        total += confusion_matrix(pixel, pixel + np.uint8(1), 2)
    assert total.dtype == np.int64
    assert total.tolist() == [[10**8, 7], [0, 10**8]]
    assert scores(total).class_acc[0] == 10**8 / (10**8 + 7)
    assert np.float32(10**8) + np.float32(7) - np.float32(10**8) != 7


# --- T9: an ignore value that is a class -----------------------------------------------------------------------------


@pytest.mark.parametrize("ignore", [0, 1, 20])
def test_an_ignore_value_that_is_a_class_is_refused(ignore: int) -> None:
    """Ignoring a real class removes its pixels with the false positives on them, so IU turns into recall.

    huggingface/evaluate#421, open-mmlab/mmsegmentation#2655; in Lightning-AI/torchmetrics#1385 the ignored class stayed
    in the mean as well.
    """
    truth = np.array([0, 1, 20], np.uint8)
    with pytest.raises(UsageError, match=rf"(?s)\b{ignore}\b.*recall"):
        confusion_matrix(truth, truth, 21, ignore=ignore)
    with pytest.raises(ValueError, match=rf"ignore value {ignore}\b"):
        LabelSpace("voc21", VOC21.classes, VOC21.palette, ignore=ignore)


# --- T10: percent, rounding ------------------------------------------------------------------------------------------


def test_scores_are_fractions_and_unrounded() -> None:
    """Percent in one place, fractions in another, and two decimals before anything was compared.

    The papers print percent and the reference score.py fractions; open-mmlab/mmsegmentation `IoUMetric` rounds to two
    decimals of percent.
    """
    result = scores([[1, 2], [0, 0]])
    assert result.pixel_acc == 1 / 3
    assert result.mean_iu == 1 / 3
    assert scores([[999_999, 1], [0, 1]]).pixel_acc == 1_000_000 / 1_000_001


# --- T12: label - 1 --------------------------------------------------------------------------------------------------


def test_unlabelled_zero_becomes_void_by_wrapping_in_bytes_and_is_an_error_in_wider_integers() -> None:
    """`label - 1` gives 255 in uint8 and -1 in any wider type, which the reference's range test drops in silence.

    nyud_layers.py and siftflow_layers.py of shelhamer/fcn.berkeleyvision.org rely on the wrap.
    """
    native = np.array([0, 1, 40], np.uint8)
    prediction = np.array([0, 0, 39], np.uint8)
    confusion = confusion_matrix(native - np.uint8(1), prediction, 40)
    assert (confusion[0, 0], confusion[39, 39], confusion.sum()) == (1, 1, 2)
    with pytest.raises(DataCorrupt, match=r"(?s)-1.*wrap in uint8"):
        confusion_matrix(native.astype(np.int64) - 1, prediction, 40)


# --- images counted twice --------------------------------------------------------------------------------------------


def test_images_that_a_padded_sampler_repeats_are_refused() -> None:
    """Distributed samplers repeat the first images until every process has as many: these count twice.

    pytorch/pytorch#25162, pytorch/vision#4559.
    """
    once = np.stack([np.array([[9, 1], [0, 2]]), np.array([[1, 5], [5, 1]])])
    padded = once[[0, 1, 0]]
    assert scores(padded.sum(axis=0)).mean_iu != scores(once.sum(axis=0)).mean_iu
    evaluation(("a", "b"), once, ("x", "y"))
    with pytest.raises(UsageError, match="counted twice: a"):
        evaluation(("a", "b", "a"), padded, ("x", "y", "x"))


def test_an_image_that_the_journal_has_twice_counts_once() -> None:
    """The same trap on the way back from an interruption: a line written twice.

    pytorch/pytorch#25162.
    """
    with Journal({"key": "twice"}, specs(2)) as journal:
        for _ in range(2):
            journal.add(counted("a", np.array([[9, 1], [0, 2]]), "sha256:x"))
    with Journal({"key": "twice"}, specs(2)) as journal:
        assert list(journal.done) == ["a"]
        journal.forget()


# --- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_the_callers_arrays_are_never_changed(dtype: type) -> None:
    """`label_map` edits the caller's array, step after step, so that swapped classes become one.

    huggingface/evaluate PR 810.
    """
    truth = np.array([[0, 1, 255], [1, 0, 255]], dtype)
    prediction = np.array([[0, 1, 99], [0, 0, 1]], dtype)
    kept = truth.copy(), prediction.copy()
    first = confusion_matrix(truth, prediction, 2)
    np.testing.assert_array_equal(truth, kept[0])
    np.testing.assert_array_equal(prediction, kept[1])
    before = first.copy()
    once = scores(first).as_dict()
    np.testing.assert_array_equal(first, before)
    assert scores(confusion_matrix(truth, prediction, 2)).as_dict() == once
