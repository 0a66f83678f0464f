"""The canonical store: built once, complete or absent, checked when it is read, readable by Hugging Face `datasets`."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fcnbench.datasets.archive.file_source import FileSource
from fcnbench.datasets.archive.file_stamp import stamp_file
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.store.columns import PARQUET_NAME
from fcnbench.datasets.store.manifest import Manifest
from fcnbench.errors import DataCorrupt, DataMissing, UnknownName, UsageError
from tests.datasets import native
from tests.kills import PARQUET_WRITES, kills_at_every_write

Make = Callable[..., Path]


def stores(tmp_path: Path, dataset: str = "voc2011val") -> list[Path]:
    return sorted((tmp_path / "home/stores" / dataset).glob("[!.]*"))


def test_a_built_store_is_read_without_its_source(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids)
    first = load_dataset("voc2011val", folder, allow_partial=True)
    for path in folder.rglob("*.*g"):
        path.unlink()
    again = load_dataset("voc2011val", allow_partial=True)
    assert again.manifest == first.manifest
    np.testing.assert_array_equal(again[-1].label, first[4].label)


def test_a_partial_store_is_refused_unless_partial_is_allowed(make_voc: Make, voc_ids: list[str]) -> None:
    load_dataset("voc2011val", make_voc(voc_ids, without_images=(voc_ids[0],)), allow_partial=True)
    with pytest.raises(DataMissing, match="is partial: 4 of 736 images, 5 label maps"):
        load_dataset("voc2011val")


def test_the_same_source_is_not_canonicalised_twice(make_voc: Make, voc_ids: list[str], tmp_path: Path) -> None:
    folder = make_voc(voc_ids)
    first = load_dataset("voc2011val", folder, allow_partial=True)
    stamp = (first.folder / PARQUET_NAME).stat().st_mtime_ns
    second = load_dataset("voc2011val", folder, allow_partial=True)
    assert (second.folder / PARQUET_NAME).stat().st_mtime_ns == stamp
    assert stores(tmp_path) == [first.folder]


def uncompressed(label: np.ndarray) -> bytes:
    """A label map as a PNG whose size does not depend on its content."""
    image, stream = Image.fromarray(label.astype(np.uint8)), io.BytesIO()
    image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(stream, "PNG", compress_level=0)
    return stream.getvalue()


def stored_zip(content: native.Content, target: Path) -> Path:
    """A zip file without compression, whose size does not depend on its content either."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


def replaced(path: Path, content: bytes, in_place: bool) -> None:
    """Replace the content of a file by other content of the same size, with the same modification time."""
    status = path.stat()
    assert len(content) == status.st_size
    if in_place:
        path.write_bytes(content)
    else:
        other = path.with_name(f"{path.name}.new")
        other.write_bytes(content)
        other.replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_replaced_files_of_the_same_size_and_time_are_noticed(
    voc_ids: list[str], tmp_path: Path, form: str, in_place: bool
) -> None:
    first, second = dict(native.voc(voc_ids)), dict(native.voc(voc_ids))
    name = f"VOCdevkit/VOC2012/SegmentationClass/{voc_ids[2]}.png"
    label = np.asarray(Image.open(io.BytesIO(first[name])))
    first[name], second[name] = (uncompressed(np.where(label == 3, index, label)) for index in (3, 7))
    if form == "folder":
        source = native.write(first, tmp_path / "native")
        path, content = source / name, second[name]
    else:
        pack = native.tar if form == "tar" else stored_zip
        source = path = pack(first, tmp_path / "voc.archive")
        content = pack(second, tmp_path / "other.archive").read_bytes()
    before = load_dataset("voc2011val", source, allow_partial=True)
    replaced(path, content, in_place)
    after = load_dataset("voc2011val", source, allow_partial=True)
    assert (before[2].label == 3).any()
    assert (after[2].label == 7).any()
    assert after.manifest.fingerprint != before.manifest.fingerprint


def test_samples_of_the_content_show_changes_without_a_time_of_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"

    def without(descriptor: int) -> SimpleNamespace:
        found = os.fstat(descriptor)
        return SimpleNamespace(st_size=found.st_size, st_mtime_ns=found.st_mtime_ns, st_ctime_ns=0)

    monkeypatch.setattr("fcnbench.datasets.archive.file_stamp.os", SimpleNamespace(fstat=without))
    for size, position in ((100, 50), (12_288, 6_000), (100_000, 0), (100_000, 99_999), (100_000, 50_000)):
        content = bytearray(size)
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        before = stamp_file(path, 3)
        os.utime(path, ns=(1, 1))
        assert stamp_file(path, 3) == before
        content[position] = 1
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        assert stamp_file(path, 3) != before


def test_a_list_in_another_order_is_another_source(tmp_path: Path) -> None:
    ids = [f"2007_{index:06d}" for index in range(10, 13)]
    content = native.voc(ids, lists={"Segmentation/train": ids})
    source = native.write(content, tmp_path / "native")
    assert load_dataset("voc2012train", source, allow_partial=True).ids == tuple(ids)
    (source / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt").write_bytes(native.listing(ids[::-1]))
    assert load_dataset("voc2012train", source, allow_partial=True).ids == tuple(ids[::-1])


def test_a_source_that_changes_while_it_is_read_is_refused(
    make_voc: Make, voc_ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = make_voc(voc_ids), FileSource.read

    def touched(self: FileSource, sample_id: str) -> object:
        (folder / f"VOCdevkit/VOC2012/JPEGImages/{voc_ids[0]}.jpg").touch()
        return read(self, sample_id)

    monkeypatch.setattr(FileSource, "read", touched)
    with pytest.raises(DataCorrupt, match="changed while it was read"):
        load_dataset("voc2011val", folder, allow_partial=True)
    assert stores(tmp_path) == []


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


def test_unknown_datasets_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match="no dataset is called 'voc2011'") as caught:
        load_dataset("voc2011")
    assert "voc2011val" in caught.value.hint


def test_pocket_reads_nothing_from_a_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="generated by fcnbench"):
        load_dataset("pocket", tmp_path)


def test_a_flipped_byte_in_the_store_is_noticed(make_voc: Make, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids), allow_partial=True)
    path = data.folder / PARQUET_NAME
    content = bytearray(path.read_bytes())
    position = content.index(b"\xff\xd8\xff") + 200  # inside the first JPEG
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match=r"differs from the store's manifest|can't be read|truncated"):
        load_dataset("voc2011val", allow_partial=True)[0]


def test_the_error_for_a_truncated_store_says_what_to_delete(make_voc: Make, voc_ids: list[str]) -> None:
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


def build_store(folder: Path, source: Path) -> None:
    """Build a store from a folder."""
    load_dataset("voc2011val", source, allow_partial=True)


def test_a_kill_while_building_leaves_no_store_and_the_next_build_is_whole(
    make_voc: Make, voc_ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_voc(voc_ids)
    with_part = []
    for killed in kills_at_every_write(build_store, tmp_path / "killed", source, functions=PARQUET_WRITES):
        scratch = killed.folder / "home/stores/voc2011val"
        with_part.append(bool(list(scratch.glob(".scratch*/data.parquet"))))
        assert stores(killed.folder) == []
        monkeypatch.setenv("FCNBENCH_HOME", str(killed.folder / "home"))
        data = load_dataset("voc2011val", source, allow_partial=True)
        assert data.ids == tuple(voc_ids)
        assert stores(killed.folder) == [data.folder]
        assert not list(scratch.glob(".scratch*"))  # what the kill left is gone
    assert True in with_part
