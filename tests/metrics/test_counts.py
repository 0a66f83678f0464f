"""Counts: what an array of counts is, and what follows from it."""

from typing import Any

import numpy as np
import pytest

from fcnbench.errors import PredictionError
from fcnbench.labelspace import LabelSpace, voc_palette
from fcnbench.metrics.counts import (
    GEO,
    LABELS,
    ConfusionCount,
    CountSpec,
    ImageResult,
    LabelPair,
    confusion_counts,
)

TWO = LabelSpace("two", ("background", "thing"), voc_palette(2))
THREE = LabelSpace("three", ("low", "middle", "high"), voc_palette(3))
TRUTH = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
PREDICTION = np.array([[0, 0, 1], [1, 0, 0]], np.uint8)


def test_the_confusion_matrix_of_an_image_is_counted() -> None:
    image = ImageResult({LABELS: LabelPair(TRUTH, PREDICTION)})
    counted = ConfusionCount(TWO).count(image)
    assert counted is not None
    assert counted.tolist() == [[2, 0], [2, 1]]


def test_an_image_without_second_label_maps_has_no_second_matrix() -> None:
    first, second = confusion_counts(TWO, THREE)
    image = ImageResult({LABELS: LabelPair(TRUTH, PREDICTION)})
    assert first.count(image) is not None
    assert second.count(image) is None
    assert (first.spec.name, second.spec.name) == ("confusion", "geo_confusion")
    assert (second.spec.shape, second.spec.label_maps, second.spec.label_space) == ((3, 3), GEO, "three")


def test_a_dataset_with_one_label_map_has_one_count() -> None:
    assert [count.spec.name for count in confusion_counts(TWO, None)] == ["confusion"]


def test_a_predicted_value_outside_the_classes_is_an_error() -> None:
    image = ImageResult({LABELS: LabelPair(TRUTH, PREDICTION + np.uint8(3))})
    with pytest.raises(PredictionError):
        ConfusionCount(TWO).count(image)


def test_totals_are_sums_over_images_or_the_stored_sum() -> None:
    values = np.arange(12, dtype=np.int64).reshape(3, 2, 2)
    per_image = CountSpec("confusion", (2, 2), label_space="two")
    assert per_image.stored_shape(3) == (3, 2, 2)
    assert per_image.total(values).tolist() == [[12, 15], [18, 21]]
    of_split = CountSpec("bands", (3, 2, 2), per_image=False, label_space="two", axes={"width": (1, 2, 3)})
    assert of_split.stored_shape(99) == (3, 2, 2)
    assert of_split.total(values) is values


def test_totals_follow_from_plain_counts_and_scores_from_matrices() -> None:
    ties = CountSpec("ties", (2,), axes={"below": (0.1, 1.0)})
    assert ties.derived(np.array([[1, 5], [0, 2]])) == {"total": (1, 7)}
    bands = CountSpec("bands", (2, 2, 2), per_image=False, label_space="two", axes={"width": (1, 2)})
    values = np.array([np.zeros((2, 2)), [[3, 1], [0, 4]]]).astype(np.int64)
    assert bands.derived(values) == {"mean_iu": (None, (3 / 4 + 4 / 5) / 2), "pixel_acc": (None, 0.875)}
    assert CountSpec("confusion", (2, 2), label_space="two").derived(values) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "no name"},
        {"shape": ()},
        {"shape": (0, 0)},
        {"shape": (2, 3)},
        {"shape": (2,)},
        {"axes": {"width": (1.0, 2.0)}},
        {"label_space": ""},
        {"shape": (3, 2, 2), "axes": {"width": (1.0, 2.0)}},
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the count"):
        CountSpec(**{"name": "confusion", "shape": (2, 2), "label_space": "two"} | wrong)
