"""Bands around outlines: by hand, against a slow definition, and what must always hold."""

from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.errors import PredictionError
from fcnbench.labelspace import LabelSpace, voc_palette
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.trimap import WIDTHS, TrimapCount, trimap_matrices


def curves(matrices: np.ndarray) -> dict[str, tuple[float | None, ...]]:
    """What a record derives from bands of so many classes."""
    classes = matrices.shape[-1]
    space = LabelSpace("some", tuple(map(str, range(classes))), voc_palette(classes))
    return TrimapCount(space).spec.derived(matrices)


def slow(truth: np.ndarray, prediction: np.ndarray, classes: int, width: int) -> np.ndarray:
    """Pixel by pixel: is some boundary pixel closer than the width?"""
    height, length = truth.shape
    padded = np.pad(truth.astype(int), 1, mode="edge")
    boundary = np.zeros(truth.shape, bool)
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        boundary |= padded[down : down + height, right : right + length] != truth
    rows, columns = np.nonzero(boundary)
    near = np.zeros(truth.shape, bool)
    for row, column in np.ndindex(truth.shape):
        near[row, column] = bool(((rows - row) ** 2 + (columns - column) ** 2 < width**2).any())
    return confusion_matrix(np.where(near, truth, 255).astype(np.uint8), prediction, classes)


def test_a_straight_edge_by_hand() -> None:
    truth = np.zeros((4, 100), np.uint8)
    truth[:, 50:] = 1
    prediction = np.zeros_like(truth)
    prediction[:, 52:] = 1  # two columns late
    found = trimap_matrices(truth, prediction, 2, 255)
    assert found.shape == (len(WIDTHS), 2, 2)
    assert found[0].tolist() == [[4, 0], [4, 0]]  # columns 49 and 50
    assert found[1].tolist() == [[8, 0], [8, 0]]
    assert found[2].tolist() == [[12, 0], [8, 4]]
    assert found[39].sum() == 4 * 80


def test_it_is_the_slow_definition() -> None:
    random = np.random.default_rng(3)
    truth = np.kron(random.integers(0, 3, (5, 6)), np.ones((9, 7), int)).astype(np.uint8)
    truth[10:14, 10:30] = 255
    prediction = random.integers(0, 3, truth.shape).astype(np.uint8)
    found = trimap_matrices(truth, prediction, 3, 255)
    for width in (1, 2, 3, 7, 15, 40):
        np.testing.assert_array_equal(found[width - 1], slow(truth, prediction, 3, width))


def test_bands_grow_and_end_within_the_whole() -> None:
    sample = fcnbench.load_dataset("pocket")[0]
    prediction = np.where(sample.label == 255, 0, sample.label).astype(np.uint8)
    found = trimap_matrices(sample.label, prediction, 8, 255)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found[-1] <= confusion_matrix(sample.label, prediction, 8)).all()
    assert {value for value in curves(found)["mean_iu"] if value is not None} == {1.0}


def test_without_a_boundary_the_bands_are_empty() -> None:
    flat = np.ones((5, 5), np.uint8)
    found = trimap_matrices(flat, flat, 2, 255)
    assert not found.any()
    assert curves(found)["pixel_acc"] == (None,) * len(WIDTHS)


def test_predictions_outside_the_classes_are_named() -> None:
    truth = np.array([[0, 1]], np.uint8)
    with pytest.raises(PredictionError):
        trimap_matrices(truth, truth + np.uint8(5), 2, 255)


def test_the_coarser_net_is_worse_near_outlines(tmp_path: Path) -> None:
    found = dict[str, tuple[float, ...]]()
    for name in ("fcn32s-pocket", "fcn8s-pocket"):
        fcnbench.run(name, board=tmp_path, trials=0, save_predictions=tmp_path / name)
        scored = fcnbench.score(tmp_path / name, board=tmp_path, trimap=True)
        found[name] = scored.record.evaluation.counts["trimap"].derived["pixel_acc"]
        assert fcnbench.score(record=scored.path).mismatches == ()
    for coarse, fine in zip(*found.values(), strict=True):
        assert coarse < fine
    for curve in found.values():
        assert curve[4] < curve[39]
