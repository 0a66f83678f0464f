"""Label spaces: the VOC palette, and invalid spaces."""

import dataclasses

import pytest

from fcnbench.labelspace import IGNORE, MAX_CLASSES, LabelSpace, voc_palette

VOC_COLOURS = (
    (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
    (128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128),
    (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0), (0, 64, 128),
)  # fmt: skip
"""The 21 colours that the reference's vis.py gives."""


def space(count: int = 3, **changes: object) -> LabelSpace:
    """A sound label space of `count` classes, with some of its fields replaced."""
    fields = {
        "name": "toy",
        "classes": tuple(f"class {index}" for index in range(count)),
        "palette": voc_palette(count),
    }
    return LabelSpace(**(fields | changes))  # type: ignore[arg-type]


def test_the_voc_palette_starts_with_the_21_known_colours() -> None:
    assert voc_palette(21) == VOC_COLOURS


def test_void_has_the_colour_of_the_devkit() -> None:
    assert voc_palette(256)[255] == (224, 224, 192)


def test_all_256_colours_differ_and_fit_a_byte() -> None:
    colours = voc_palette(256)
    assert len(set(colours)) == 256
    assert all(0 <= value <= 255 for colour in colours for value in colour)


@pytest.mark.parametrize("length", [0, 1, 21, 256])
def test_a_palette_has_the_requested_length_and_is_the_start_of_a_longer_one(length: int) -> None:
    assert voc_palette(length) == voc_palette(256)[:length]
    assert len(voc_palette(length)) == length


def test_the_number_of_classes_is_the_number_of_names() -> None:
    assert space(1).num_classes == 1
    assert space(21).num_classes == 21
    assert space(MAX_CLASSES).num_classes == 255


def test_255_is_ignored_by_default() -> None:
    assert IGNORE == 255
    assert space().ignore == 255


@pytest.mark.parametrize("count", [0, 256])
def test_a_number_of_classes_that_bytes_cannot_hold_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"toy.*\b{count}\b"):
        space(count)


def test_repeated_class_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"toy.*repeat"):
        space(classes=("cat", "dog", "cat"))


@pytest.mark.parametrize("colours", [0, 2, 4])
def test_a_palette_of_another_length_is_refused(colours: int) -> None:
    with pytest.raises(ValueError, match=rf"toy.*\b3 classes, {colours} colours"):
        space(palette=voc_palette(colours))


@pytest.mark.parametrize("ignore", [0, 1, 2])
def test_an_ignore_value_that_is_a_class_is_refused(ignore: int) -> None:
    with pytest.raises(ValueError, match=rf"toy.*ignore value {ignore}\b"):
        space(ignore=ignore)


def test_the_first_value_after_the_classes_may_be_ignored() -> None:
    assert space(ignore=3).ignore == 3


def test_a_label_space_is_frozen_and_equal_by_value() -> None:
    assert space() == space()
    assert hash(space()) == hash(space())
    assert space() != space(name="other")
    with pytest.raises(dataclasses.FrozenInstanceError):
        space().ignore = 0  # type: ignore[misc]
