"""The manifest of a store: its derived keys, and manifests that earlier versions wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.store.columns import PARQUET_NAME
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.datasets.store.manifest import Manifest


@pytest.fixture
def data(make_voc: Callable[..., Path], voc_ids: list[str]) -> Dataset:
    """A store of five samples, one of them without an image."""
    return load_dataset("voc2011val", make_voc(voc_ids, without_images=(voc_ids[0],)), allow_partial=True)


@pytest.fixture
def earlier(data: Dataset) -> Path:
    """The manifest of that store as earlier versions wrote it, with `pictures` in place of `images`."""
    path = data.folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"pictures" if key == "images" else key: value for key, value in content.items()}))
    assert "images" not in json.loads(path.read_text())
    return path


def test_the_manifest_counts_images_and_label_maps(data: Dataset) -> None:
    content = json.loads((data.folder / "manifest.json").read_text())
    assert content["images"] == 4
    assert len(content["rows"]) == 5
    assert "pictures" not in content


@pytest.mark.usefixtures("data")
def test_fetch_prints_the_number_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "voc2011val", "--from", str(tmp_path / "native"), "--allow-partial", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["images"], shown["labels"], shown["total"]) == (4, 5, 736)
    assert "pictures" not in shown


def test_a_manifest_of_an_earlier_version_is_read(data: Dataset, earlier: Path) -> None:
    manifest = Manifest.load(earlier.parent)
    assert manifest == data.manifest
    assert manifest.images == 4


def test_a_store_of_an_earlier_version_is_not_rebuilt(data: Dataset, earlier: Path, tmp_path: Path) -> None:
    files = (earlier, data.folder / PARQUET_NAME)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    again = load_dataset("voc2011val", tmp_path / "native", allow_partial=True)
    assert again.folder == data.folder
    assert [sample.id for sample in again] == list(data.ids)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


@pytest.mark.usefixtures("earlier")
def test_the_export_of_an_earlier_store_has_the_present_keys(tmp_path: Path) -> None:
    out = fcnbench.export("voc2011val", "hf", tmp_path / "out", allow_partial=True)
    content = json.loads((out / "manifest.json").read_text())
    assert content["images"] == 4
    assert "pictures" not in content
