"""`pocket`: the same bytes everywhere, and the documented properties of its images."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from fcnbench.datasets.families.pocket import textures
from fcnbench.datasets.families.pocket.draws import Draws
from fcnbench.datasets.families.pocket.family import POCKET_TRAIN, POCKET_VAL
from fcnbench.datasets.families.pocket.generator import POCKET, draw
from fcnbench.datasets.families.pocket.shapes import Canvas, disk, ring
from fcnbench.datasets.load import load_dataset
from fcnbench.errors import DataCorrupt, DataMissing
from fcnbench.metrics.confusion import confusion_matrix


def test_the_store_of_val_has_its_golden_fingerprint() -> None:
    manifest = load_dataset("pocket").manifest
    assert manifest.fingerprint == "sha256:5734ce7c01fd7cd594c71d1de6433fd42b0d9dc1e7d54d509e8b470ccf98a36a"
    assert POCKET_VAL.fingerprint == manifest.fingerprint
    assert manifest.provenance == "built in"
    assert manifest.histogram == (1320068, 70939, 66355, 35642, 31983, 48371, 14987, 0, 160425)


def test_one_class_is_absent_from_val_and_present_in_train() -> None:
    assert load_dataset("pocket").manifest.histogram[POCKET.classes.index("star")] == 0
    assert any((draw("train", index)[1] == 7).any() for index in range(20))


def test_sizes_vary_and_are_odd_and_even() -> None:
    shapes = load_dataset("pocket").manifest.rows
    assert len({(row.height, row.width) for row in shapes}) > 60
    assert {row.height % 2 for row in shapes} == {row.width % 2 for row in shapes} == {0, 1}
    assert min(row.height for row in shapes) >= 97
    assert max(row.width for row in shapes) <= 257


def test_a_void_band_separates_any_two_classes() -> None:
    for index in range(8):
        label = draw("val", index)[1]
        for first, second in ((label[1:], label[:-1]), (label[:, 1:], label[:, :-1])):
            touching = (first != second) & (first != 255) & (second != 255)
            assert not touching.any()
        assert 0.02 < (label == 255).mean() < 0.2


def test_train_and_val_share_no_image() -> None:
    def digests(split: str, count: int) -> set[bytes]:
        return {hashlib.sha256(draw(split, index)[0].tobytes()).digest() for index in range(count)}

    assert not digests("train", 64) & digests("val", 64)
    assert not set(POCKET_TRAIN.split.ids) & set(POCKET_VAL.split.ids)


def test_golden_integers_of_a_shifted_truth() -> None:
    """A prediction made of the truth itself, moved by (3, 5) with void as background: integers for any platform."""
    total = np.zeros((8, 8), np.int64)
    for sample in load_dataset("pocket"):
        moved = np.roll(sample.label, (3, 5), (0, 1))
        total += confusion_matrix(sample.label, np.where(moved == 255, 0, moved), 8)
    assert total.tolist() == GOLDEN


def test_other_pixels_than_pinned_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(POCKET_VAL, fingerprint="sha256:" + "0" * 64)
    monkeypatch.setattr("fcnbench.datasets.families.pocket.family.POCKET_VAL", other)
    with pytest.raises(DataCorrupt, match="pocket has the fingerprint 5734ce7c01fd, expected 000000000000"):
        load_dataset("pocket")


def test_a_scikit_image_without_the_photographs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    textures.photograph.cache_clear()
    monkeypatch.setitem(textures.PHOTOGRAPHS, "nowhere", "")
    with pytest.raises(DataMissing, match=r"needs nowhere\.png"):
        textures.photograph("nowhere")
    monkeypatch.setitem(textures.PHOTOGRAPHS, "moon", "sha256:" + "0" * 64)
    with pytest.raises(DataCorrupt, match=r"scikit-image's moon\.png decodes to"):
        textures.photograph("moon")


def test_draws_are_pinned_and_stay_in_range() -> None:
    draws = Draws("key")
    values = [draws.integer(-3, 9) for _ in range(500)]
    assert values[:8] == DRAWN
    assert (min(values), max(values)) == (-3, 9)
    assert Draws("key").integer(-3, 9) == values[0]
    assert Draws("key").choice("abc") in "abc"


def test_shapes_match_their_names() -> None:
    canvas = Canvas.of(41, 41)
    full = disk(canvas, (20, 20), 15, Draws("a"))
    hollow = ring(canvas, (20, 20), 15, Draws("a"))
    assert full[20, 20]
    assert not hollow[20, 20]
    assert full.sum() == sum((r * r + c * c) <= 225 for r in range(-20, 21) for c in range(-20, 21))
    assert (hollow & ~full).sum() == 0


GOLDEN = [
    [1301522, 3374, 2725, 2903, 3163, 3910, 2471, 0],
    [12341, 57468, 141, 183, 215, 157, 434, 0],
    [12923, 229, 52142, 206, 493, 89, 273, 0],
    [9741, 86, 121, 25336, 193, 64, 101, 0],
    [15488, 282, 520, 114, 15043, 335, 201, 0],
    [13006, 31, 338, 111, 223, 34602, 60, 0],
    [10480, 263, 193, 141, 84, 57, 3769, 0],
    [0, 0, 0, 0, 0, 0, 0, 0],
]
DRAWN = [0, 1, 0, -1, 1, 5, 1, -2]
