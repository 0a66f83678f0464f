"""Exported stores, read back by the tools they are exported for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.errors import OutputError, UsageError
from tests.datasets import native

SIFT_IDS = list(published_split("siftflow-test").ids[:4])
NYUD_IDS = list(published_split("nyud-test").ids[:3])


@pytest.fixture
def voc(tmp_path: Path, voc_ids: list[str]) -> Dataset:
    folder = native.write(native.voc(voc_ids), tmp_path / "native")
    (folder / f"VOCdevkit/VOC2012/JPEGImages/{voc_ids[2]}.jpg").unlink()
    return load_dataset("voc2011val", folder, allow_partial=True)


def test_native_to_store_to_voc_keeps_every_index_and_every_image_byte(voc: Dataset, tmp_path: Path) -> None:
    from PIL import Image

    out = fcnbench.export("voc2011val", "voc", tmp_path / "out", allow_partial=True)
    root, original = out / "VOCdevkit/VOC2012", tmp_path / "native/VOCdevkit/VOC2012"
    for sample_id in voc.ids:
        with Image.open(root / f"SegmentationClass/{sample_id}.png") as written:
            assert written.mode == "P"
            assert written.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
            with Image.open(original / f"SegmentationClass/{sample_id}.png") as label:
                np.testing.assert_array_equal(np.asarray(written), np.asarray(label))
        image = Path("JPEGImages") / f"{sample_id}.jpg"
        assert (root / image).exists() == (original / image).exists()
        if (root / image).exists():
            assert (root / image).read_bytes() == (original / image).read_bytes()
    assert (root / "ImageSets/Segmentation/voc2011val.txt").read_text().split() == list(voc.ids)
    # And from there to a store again: the same fingerprint.
    again = load_dataset("voc2011val", out, allow_partial=True)
    assert again.manifest.fingerprint == voc.manifest.fingerprint


@pytest.mark.parametrize("name", ["siftflowtest", "nyudv2test"])
def test_further_maps_get_folders_of_their_own(tmp_path: Path, name: str) -> None:
    from PIL import Image

    content = native.siftflow(SIFT_IDS) if name == "siftflowtest" else native.nyud(NYUD_IDS)
    data = load_dataset(name, native.write(content, tmp_path / "native"), allow_partial=True)
    root = fcnbench.export(name, "voc", tmp_path / "out", allow_partial=True) / "VOCdevkit/VOC2012"
    for sample in data:
        if name == "siftflowtest":
            with Image.open(root / f"SegmentationGeo/{sample.id}.png") as written:
                np.testing.assert_array_equal(np.asarray(written), sample.geo)
        else:
            with Image.open(root / f"Depth/{sample.id}.png") as written:
                np.testing.assert_array_equal(np.asarray(written), sample.depth)
            with Image.open(root / f"HHA/{sample.id}.png") as written:
                np.testing.assert_array_equal(np.asarray(written), sample.hha)
            assert (root / f"JPEGImages/{sample.id}.png").is_file()


def test_all_real_voc_label_maps_survive_the_round_trip(shared: Path, tmp_path: Path) -> None:
    from PIL import Image

    load_dataset("voc2012val", shared / "data", allow_partial=True)
    out = fcnbench.export("voc2012val", "voc", tmp_path / "out", allow_partial=True)
    originals = shared / "data/VOCdevkit/VOC2012/SegmentationClass"
    written = sorted((out / "VOCdevkit/VOC2012/SegmentationClass").iterdir())
    assert len(written) == 1449
    for path in written:
        with Image.open(path) as ours, Image.open(originals / path.name) as theirs:
            assert ours.tobytes() == theirs.tobytes()
            assert ours.size == theirs.size


def test_hugging_face_loads_an_export_by_its_folder(voc: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    out = fcnbench.export("voc2011val", "hf", tmp_path / "out", allow_partial=True)
    table = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["test"]
    assert table["id"] == list(voc.ids)
    np.testing.assert_array_equal(np.asarray(table[1]["label"]), voc[1].label)
    assert table.features["classes"].feature.names == list(voc.label_space.classes)
    card = (out / "README.md").read_text()
    assert card.startswith("---\npretty_name: voc2011val\n")
    assert "**Partial: 4 of 736 images.**" in card
    assert "| 255 | ignored |" in card


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what mlcroissant imports is its own affair
def test_croissant_is_valid_and_its_records_can_be_read(tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant")
    content = native.siftflow(SIFT_IDS)
    data = load_dataset("siftflowtest", native.write(content, tmp_path / "native"), allow_partial=True)
    out = fcnbench.export("siftflowtest", "croissant", tmp_path / "out", allow_partial=True)
    described = croissant.Dataset(jsonld=out / "croissant.json")
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    assert json.loads((out / "croissant.json").read_text())["conformsTo"].endswith("/croissant/1.1")
    records = list(described.records(record_set="samples"))
    assert [record["samples/id"].decode() for record in records] == list(data.ids)
    for record, sample in zip(records, data, strict=True):
        np.testing.assert_array_equal(np.asarray(record["samples/label"]), sample.label)
        np.testing.assert_array_equal(np.asarray(record["samples/label_geo"]), sample.geo)
        assert record["samples/height"] == 16


def test_a_folder_that_is_not_empty_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("taken", "file"):
        with pytest.raises(UsageError, match="already exists and is not empty"):
            fcnbench.export("pocket", "hf", tmp_path / name)
    assert (tmp_path / "taken/mine").read_text() == (tmp_path / "file").read_text() == "precious"
    with pytest.raises(UsageError, match="--to zip is unknown"):
        fcnbench.export("pocket", "zip", tmp_path / "out")
    with pytest.raises(OutputError):
        fcnbench.export("pocket", "hf", tmp_path / "file/below")
    (tmp_path / "empty").mkdir()
    fcnbench.export("pocket", "hf", tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["empty", "file", "taken"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "pocket", "--to", "voc"]) == 0
    assert capsys.readouterr().out == "pocket as voc: pocket-voc\n"
    assert len(list((tmp_path / "pocket-voc/VOCdevkit/VOC2012/JPEGImages").glob("*.ppm"))) == 64
    assert main(["export", "pocket", "--to", "croissant", "--output", "c", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dataset": "pocket", "format": "croissant", "folder": "c"}
    assert main(["export", "pocket", "--to", "voc"]) == 2
