"""Masks of two classes saved as 0 and 255 are not silently scored as one class, as ground truth or prediction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.datasets.codec.images import encode_label
from fcnbench.datasets.families import sbd, voc
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataCorrupt, PredictionError
from fcnbench.labelspace import LabelSpace
from tests.conftest import jpeg, palette_png
from tests.datasets import native

IDS = [f"2007_{index:06d}" for index in range(10, 14)]
BINARY = LabelSpace("binary", ("background", "object"), ((0, 0, 0), (255, 255, 255)))
ROOT = "VOCdevkit/VOC2012"


def mask(seed: int, high: int = 255) -> np.ndarray:
    height, width = native.size_of(seed)
    label = np.zeros((height, width), np.uint8)
    label[4:-4, 5:-5] = high
    return label


def source(folder: Path, labels: list[np.ndarray]) -> Path:
    content: dict[str, bytes] = {}
    for seed, (name, label) in enumerate(zip(IDS, labels, strict=False)):
        content[f"{ROOT}/JPEGImages/{name}.jpg"] = jpeg(*native.size_of(seed), seed)
        content[f"{ROOT}/SegmentationClass/{name}.png"] = palette_png(label)
    return native.write(content, folder)


@pytest.fixture
def binary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of two classes and four images, as another package may define it."""
    spec = replace(voc.VOC2012VAL, label_space=BINARY, split=Split("mine", tuple(IDS)))
    monkeypatch.setattr(voc, "VOC2012VAL", spec)


@pytest.mark.usefixtures("binary")
def test_a_complete_dataset_of_masks_is_refused_and_leaves_no_store(tmp_path: Path) -> None:
    given = source(tmp_path / "native", [mask(seed) for seed in range(4)])
    with pytest.raises(DataCorrupt, match=r"hold no class but 0 \(background\) and ignored pixels \(255\)") as caught:
        load_dataset("voc2012val", given)
    assert "as 0 and 1" in caught.value.hint
    assert not list((tmp_path / "home/stores").rglob("manifest.json"))


@pytest.mark.usefixtures("binary")
@pytest.mark.parametrize("high", [1, 0])
def test_masks_of_class_indices_and_maps_without_objects_are_accepted(tmp_path: Path, high: int) -> None:
    data = load_dataset("voc2012val", source(tmp_path / "native", [mask(seed, high) for seed in range(4)]))
    assert data.manifest.complete


@pytest.mark.usefixtures("binary")
def test_single_images_may_hold_only_background_and_ignored_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [mask(0), mask(1), mask(2, 1), mask(3)]
    assert load_dataset("voc2012val", source(tmp_path / "native", labels)).manifest.complete
    assert "WARNING" not in capsys.readouterr().err


def test_one_class_and_ignored_pixels_are_all_that_a_dataset_of_one_class_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = LabelSpace("single", ("road",), ((1, 1, 1),))
    monkeypatch.setattr(voc, "VOC2012VAL", replace(voc.VOC2012VAL, label_space=single, split=Split("mine", tuple(IDS))))
    assert load_dataset("voc2012val", source(tmp_path / "native", [mask(seed) for seed in range(4)])).manifest.complete


@pytest.mark.usefixtures("binary")
def test_a_partial_dataset_of_masks_causes_a_warning_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = source(tmp_path / "native", [mask(seed) for seed in range(3)])
    for arguments in ({"from_": given}, {"from_": given}, {}):
        fcnbench.fetch("voc2012val", allow_partial=True, **arguments)  # type: ignore[arg-type]
        said = capsys.readouterr().err
        assert "WARNING: the label maps of voc2012val" in said
        assert "masks saved as 0 and 255 look like this, and are scored as one class" in said


def test_masks_in_matlab_files_are_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbd, "SBDVAL", replace(sbd.SBDVAL, split=replace(sbd.SBDVAL.split, images=4)))
    content = dict(native.sbd([], IDS))
    for seed, name in enumerate(IDS):
        content[f"benchmark_RELEASE/dataset/cls/{name}.mat"] = native.sbd_mat(mask(seed))
    with pytest.raises(DataCorrupt, match="label maps of sbdval"):
        load_dataset("sbdval", native.write(content, tmp_path / "native"))


def predicted(folder: Path, labels: list[np.ndarray]) -> Path:
    folder.mkdir()
    for name, label in zip(IDS, labels, strict=True):
        (folder / f"{name}.png").write_bytes(encode_label(label))
    return folder


@pytest.mark.usefixtures("binary")
def test_predictions_that_are_masks_are_refused_with_their_reason(tmp_path: Path) -> None:
    given = source(tmp_path / "native", [mask(seed, 1) for seed in range(4)])
    folder = predicted(tmp_path / "predictions", [mask(seed) for seed in range(4)])
    with pytest.raises(PredictionError, match=r"masks of 0 and 255\? no file holds another value: write class indices"):
        fcnbench.score(folder, "voc2012val", from_=given, board=tmp_path)


@pytest.mark.usefixtures("binary")
def test_predictions_of_masks_on_ignored_pixels_cause_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [mask(seed) for seed in range(4)]
    labels[3] = mask(3, 1)
    given = source(tmp_path / "native", labels)
    folder = predicted(tmp_path / "predictions", [*labels[:3], mask(3, 0)])
    fcnbench.score(folder, "voc2012val", from_=given, board=tmp_path)
    assert "WARNING: no prediction in" in capsys.readouterr().err
    other = predicted(tmp_path / "other", labels)
    fcnbench.score(other, "voc2012val", board=tmp_path)
    assert "WARNING" not in capsys.readouterr().err


@pytest.mark.usefixtures("binary")
def test_predictions_of_background_only_are_not_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = source(tmp_path / "native", [mask(seed, 1) for seed in range(4)])
    folder = predicted(tmp_path / "predictions", [mask(seed, 0) for seed in range(4)])
    fcnbench.score(folder, "voc2012val", from_=given, board=tmp_path)
    assert "WARNING" not in capsys.readouterr().err
