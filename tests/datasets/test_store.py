"""The canonical store: built once, whole or absent, checked when it is read, readable by Hugging Face `datasets`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.manifest import Manifest
from fcnbench.datasets.store import PARQUET_NAME
from fcnbench.errors import DataCorrupt, DataMissing, UnknownName, UsageError

Make = Callable[..., Path]


def stores(tmp_path: Path, task: str = "voc2011val") -> list[Path]:
    return sorted((tmp_path / "home/stores" / task).glob("[!.]*"))


def test_a_filled_store_serves_without_its_source(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids)
    first = load_dataset("voc2011val", folder, allow_partial=True)
    for path in folder.rglob("*.*g"):
        path.unlink()
    again = load_dataset("voc2011val", allow_partial=True)
    assert again.manifest == first.manifest
    np.testing.assert_array_equal(again[-1].label, first[4].label)


def test_a_partial_store_is_refused_unless_partial_is_allowed(make_voc: Make, voc_ids: list[str]) -> None:
    load_dataset("voc2011val", make_voc(voc_ids, without_images=(voc_ids[0],)), allow_partial=True)
    with pytest.raises(DataMissing, match="is a part: 4 of 736 pictures, 5 label maps"):
        load_dataset("voc2011val")


def test_the_same_source_is_not_canonicalised_twice(make_voc: Make, voc_ids: list[str], tmp_path: Path) -> None:
    folder = make_voc(voc_ids)
    first = load_dataset("voc2011val", folder, allow_partial=True)
    stamp = (first.folder / PARQUET_NAME).stat().st_mtime_ns
    second = load_dataset("voc2011val", folder, allow_partial=True)
    assert (second.folder / PARQUET_NAME).stat().st_mtime_ns == stamp
    assert stores(tmp_path) == [first.folder]


def test_a_changed_source_gives_another_fingerprint(make_voc: Make, voc_ids: list[str]) -> None:
    first = load_dataset("voc2011val", make_voc(voc_ids[:4]), allow_partial=True)
    second = load_dataset("voc2011val", make_voc(voc_ids), allow_partial=True)
    assert second.manifest.fingerprint != first.manifest.fingerprint
    assert load_dataset("voc2011val", allow_partial=True).ids == second.ids  # the newest serves


def test_hugging_face_datasets_reads_a_store_as_it_is(make_voc: Make, voc_ids: list[str]) -> None:
    pytest.importorskip("datasets")
    data = load_dataset("voc2011val", make_voc(voc_ids, without_images=(voc_ids[2],)), allow_partial=True)
    table = data.to_huggingface()
    assert table.column_names == ["id", "image", "label", "classes", "height", "width"]
    assert table.features["classes"].feature.names[15] == "person"
    for row, sample in zip(table, data, strict=True):
        assert row["id"] == sample.id
        assert (row["height"], row["width"]) == sample.label.shape
        assert (row["image"] is None) == (sample.image is None) == (row["id"] == voc_ids[2])
        if sample.image is not None:
            np.testing.assert_array_equal(np.asarray(row["image"]), sample.image)
        np.testing.assert_array_equal(np.asarray(row["label"]), sample.label)
        assert row["classes"] == [value for value in np.unique(sample.label) if value != 255]


def test_a_dataset_is_a_sequence() -> None:
    data = load_dataset("pocket")
    assert len(data) == 64
    assert [sample.id for sample in data[2:4]] == ["val-0002", "val-0003"]
    assert data[-1].id == "val-0063"
    assert sum(1 for _ in data) == 64
    with pytest.raises(IndexError, match="64 samples"):
        data[64]


def test_unknown_tasks_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="no data set is called 'voc2011'") as caught:
        load_dataset("voc2011")
    assert "voc2011val" in caught.value.hint


def test_pocket_reads_nothing_from_a_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="drawn by fcnbench itself"):
        load_dataset("pocket", tmp_path)


def test_a_flipped_byte_in_the_store_is_noticed(make_voc: Make, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids), allow_partial=True)
    path = data.folder / PARQUET_NAME
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xd8\xff") + 200  # inside the first JPEG
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match=r"not what the store's manifest says|can't be read|truncated"):
        load_dataset("voc2011val", allow_partial=True)[0]


def test_a_torn_store_says_what_to_delete(make_voc: Make, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids), allow_partial=True)
    path = data.folder / PARQUET_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataCorrupt, match="can't be read") as caught:
        load_dataset("voc2011val", allow_partial=True)[0]
    assert str(data.folder) in caught.value.hint


@pytest.mark.parametrize("damage", ["truncate", "row", "field", "format"])
def test_a_damaged_manifest_is_never_used(make_voc: Make, voc_ids: list[str], damage: str) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids), allow_partial=True)
    path = data.folder / "manifest.json"
    content = json.loads(path.read_text())
    if damage == "row":
        content["rows"][0]["height"] += 1
    elif damage == "field":
        del content["variant"]
    elif damage == "format":
        content["format"] = "fcnbench.store/0"
    text = json.dumps(content)
    path.write_text(text[:100] if damage == "truncate" else text)
    with pytest.raises(DataCorrupt, match=r"manifest.*unusable"):
        Manifest.load(data.folder)
    with pytest.raises(DataMissing):
        load_dataset("voc2011val", allow_partial=True)


def test_a_kill_while_building_leaves_no_store_and_the_next_build_is_whole(
    make_voc: Make, voc_ids: list[str], tmp_path: Path
) -> None:
    folder = make_voc(voc_ids)
    script = (
        "import time\n"
        "from fcnbench.datasets.layout import FileSource\n"
        "from fcnbench.datasets.load import load_dataset\n"
        "read = FileSource.read\n"
        "FileSource.read = lambda self, name: (time.sleep(0.2), read(self, name))[1]\n"
        f"load_dataset('voc2011val', {str(folder)!r}, allow_partial=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONWARNINGS": "default"})
    home = tmp_path / "home/stores/voc2011val"
    deadline = time.monotonic() + 60
    while not list(home.glob(".scratch*/data.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert stores(tmp_path) == []
    data = load_dataset("voc2011val", folder, allow_partial=True)
    assert data.ids == tuple(voc_ids)
    assert stores(tmp_path) == [data.folder]
    assert not list(home.glob(".scratch*"))  # what the kill left is gone
