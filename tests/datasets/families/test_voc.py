"""The VOC family: found in folders and archives, read as indices, refused if not valid."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from fcnbench.datasets.families.voc import VOC21, VOC2011VAL
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.datasets.store.columns import PARQUET_NAME
from fcnbench.errors import DataCorrupt, DataMissing
from tests.conftest import jpeg, palette_png, voc_label

Make = Callable[..., Path]


def pack_tar(folder: Path, target: Path, mode: str) -> Path:
    with tarfile.open(target, mode) as archive:
        archive.add(folder, arcname=".")
    return target


def pack_zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


def test_seg11valid_is_the_published_list() -> None:
    split = published_split("seg11valid")
    assert len(split.ids) == 736
    # Over the ids, one a line: the same digest as the published file's (its SHA-256 stands in SPLITS.toml).
    assert split.digest == "sha256:4ca991bd72c251fd2485eaa9e29536502ea3800d1b1c17c151fd6a04bcfbc2cc"
    years = {year: sum(sample_id.startswith(year) for sample_id in split.ids) for year in ("2007", "2008", "2011")}
    assert years == {"2007": 321, "2008": 104, "2011": 78}


def test_voc_has_21_classes_in_the_reference_order() -> None:
    assert VOC21.num_classes == 21
    assert VOC21.classes[0] == "background"
    assert VOC21.classes[15] == "person"
    assert VOC21.classes[20] == "tvmonitor"
    assert VOC21.palette[15] == (192, 128, 128)


@pytest.mark.parametrize(
    "root", ["VOCdevkit/VOC2012", "TrainVal/VOCdevkit/VOC2011", "a/b/VOCdevkit/VOC2012", "VOC2012", "somewhere"]
)
def test_leading_folders_do_not_matter(make_voc: Make, voc_ids: list[str], root: str) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids, root), allow_partial=True)
    assert data.ids == tuple(voc_ids)
    assert data.manifest.variant == {"VOC2011": "VOC2011", "VOC2012": "VOC2012"}.get(root[-7:], "VOC")


def test_the_given_folder_may_be_the_release_itself(make_voc: Make, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids) / "VOCdevkit/VOC2012", allow_partial=True)
    assert (data.ids, data.manifest.variant) == (tuple(voc_ids), "VOC2012")


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:xz", "zip"])
def test_archives_give_the_same_store_as_the_folder(
    make_voc: Make, voc_ids: list[str], tmp_path: Path, kind: str
) -> None:
    folder = make_voc(voc_ids)
    target = tmp_path / "archive"
    archive = pack_zip(folder, target) if kind == "zip" else pack_tar(folder, target, kind)
    from_archive = load_dataset("voc2011val", archive, allow_partial=True)
    from_folder = load_dataset("voc2011val", folder, allow_partial=True)
    assert from_archive.manifest.fingerprint == from_folder.manifest.fingerprint


def test_images_keep_their_bytes_and_labels_their_indices(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids)
    data = load_dataset("voc2011val", folder, allow_partial=True)
    table = parquet.read_table(data.folder / PARQUET_NAME).to_pylist()
    for index, sample in enumerate(data):
        native = folder / "VOCdevkit/VOC2012/JPEGImages" / f"{sample.id}.jpg"
        assert table[index]["image"]["bytes"] == native.read_bytes()
        np.testing.assert_array_equal(sample.label, voc_label(*sample.label.shape, index))
        assert sample.image is not None
        assert sample.image.shape == (*sample.label.shape, 3)
        stored = Image.open(io.BytesIO(table[index]["label"]["bytes"]))
        # Whoever opens it, in whichever mode, reads indices: the palette is the greys.
        for read in (np.asarray(stored), np.asarray(stored.convert("L")), *np.asarray(stored.convert("RGB")).T):
            assert {read.shape, read.T.shape} >= {sample.label.shape}
            np.testing.assert_array_equal(read if read.shape == sample.label.shape else read.T, sample.label)


def test_the_more_complete_of_two_releases_is_used(make_voc: Make, voc_ids: list[str]) -> None:
    make_voc(voc_ids[:2], "VOCdevkit/VOC2011")
    data = load_dataset("voc2011val", make_voc(voc_ids, "VOCdevkit/VOC2012"), allow_partial=True)
    assert (data.manifest.variant, len(data)) == ("VOC2012", 5)


def test_the_release_of_the_papers_is_used_if_both_are_complete(make_voc: Make, voc_ids: list[str]) -> None:
    make_voc(voc_ids, "VOCdevkit/VOC2012")
    data = load_dataset("voc2011val", make_voc(voc_ids, "VOCdevkit/VOC2011"), allow_partial=True)
    assert data.manifest.variant == "VOC2011"


def test_ids_outside_the_split_are_not_read(make_voc: Make, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc([*voc_ids, "2099_000001"]), allow_partial=True)
    assert data.ids == tuple(voc_ids)


def test_an_incomplete_source_is_an_error_that_names_the_missing_files(make_voc: Make, voc_ids: list[str]) -> None:
    with pytest.raises(DataMissing, match=r"lacks 731 of 736 images \(2007_0\d+.*and 731 of 736 label maps") as caught:
        load_dataset("voc2011val", make_voc(voc_ids))
    assert "--allow-partial" in caught.value.hint


def test_a_label_without_its_image_is_kept_with_a_null_image(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids, without_images=(voc_ids[1],))
    data = load_dataset("voc2011val", folder, allow_partial=True)
    assert data.ids == tuple(voc_ids)
    assert data[1].image is None
    assert data[1].label.shape == (18, 24)
    assert data[0].image is not None
    assert parquet.read_table(data.folder / PARQUET_NAME)["image"][1].as_py() is None


def test_the_error_for_a_missing_archive_says_what_to_pass() -> None:
    with pytest.raises(DataMissing, match="voc2011val") as caught:
        load_dataset("voc2011val")
    assert "--from PATH" in caught.value.hint
    assert "VOCtrainval_11-May-2012.tar" in caught.value.hint


def test_the_error_for_a_folder_without_voc_says_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="holds no label map of voc2011val"):
        load_dataset("voc2011val", tmp_path)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: palette_png(voc_label(17, 23, 0))[:60], "truncated"),
        (lambda: b"not an image at all", "not an image"),
        (lambda: b"", "not an image"),
        (lambda: palette_png(np.full((17, 23), 21)), r"21 \(391 pixels\)"),
        (lambda: jpeg(17, 23), "JPEG"),
    ],
)
def test_broken_label_maps_are_refused_by_name(
    make_voc: Make, voc_ids: list[str], tmp_path: Path, broken: Callable[[], bytes], message: str
) -> None:
    folder = make_voc(voc_ids)
    (folder / f"VOCdevkit/VOC2012/SegmentationClass/{voc_ids[0]}.png").write_bytes(broken())
    with pytest.raises(DataCorrupt, match=message) as caught:
        load_dataset("voc2011val", folder, allow_partial=True)
    assert voc_ids[0] in caught.value.message
    assert list((tmp_path / "home/stores/voc2011val").iterdir()) == [tmp_path / "home/stores/voc2011val/.lock"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "1"])
def test_label_maps_without_8_bit_indices_are_refused(make_voc: Make, voc_ids: list[str], mode: str) -> None:
    folder = make_voc(voc_ids)
    path = folder / f"VOCdevkit/VOC2012/SegmentationClass/{voc_ids[0]}.png"
    Image.new(mode, (23, 17)).save(path)
    with pytest.raises(DataCorrupt, match="one channel of 8-bit class indices"):
        load_dataset("voc2011val", folder, allow_partial=True)


def test_image_and_label_of_different_sizes_are_refused(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids)
    (folder / f"VOCdevkit/VOC2012/JPEGImages/{voc_ids[0]}.jpg").write_bytes(jpeg(23, 17))
    with pytest.raises(DataCorrupt, match="the image is 17x23 and its label map 23x17"):
        load_dataset("voc2011val", folder, allow_partial=True)


def test_a_truncated_image_is_refused(make_voc: Make, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids)
    path = folder / f"VOCdevkit/VOC2012/JPEGImages/{voc_ids[0]}.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataCorrupt, match="truncated"):
        load_dataset("voc2011val", folder, allow_partial=True)


@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_a_truncated_archive_is_refused(make_voc: Make, voc_ids: list[str], tmp_path: Path, kind: str) -> None:
    archive = pack_tar(make_voc(voc_ids), tmp_path / "archive.tar", kind)
    content = archive.read_bytes()
    # A tar ends in zero blocks up to 10 KiB: cut into the files before them.
    cut = content.rstrip(b"\0")[:-100] if kind == "w" else content[: len(content) // 2]
    archive.write_bytes(cut)
    with pytest.raises(DataCorrupt, match=r"damaged|ends early"):
        load_dataset("voc2011val", archive, allow_partial=True)


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "VOCtrainval.tar"
    page.write_text("<html>moved</html>")
    with pytest.raises(DataCorrupt, match="not a tar or zip archive"):
        load_dataset("voc2011val", page)


def test_names_that_point_outside_the_archive_are_not_read(tmp_path: Path, voc_ids: list[str]) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for name in (f"../SegmentationClass/{voc_ids[0]}.png", f"/SegmentationClass/{voc_ids[0]}.png"):
            content = palette_png(voc_label(17, 23, 0))
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(f"VOC2012/SegmentationClass/{voc_ids[0]}.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataMissing, match="holds no label map"):
        load_dataset("voc2011val", archive, allow_partial=True)


def test_the_real_seg11valid_label_maps_pass(shared: Path) -> None:
    data = load_dataset("voc2011val", shared / "data", allow_partial=True)
    assert data.ids == VOC2011VAL.split.ids
    assert sum(row.image is not None for row in data.manifest.rows) == 120
    assert not data.manifest.complete
    # Golden: pixels per class over the 736 real label maps, then void.
    assert sum(data.manifest.histogram) == sum(row.height * row.width for row in data.manifest.rows)
    assert data.manifest.histogram == GOLDEN_HISTOGRAM


GOLDEN_HISTOGRAM = (
    90730503,
    909327,
    332697,
    1120958,
    566747,
    1165929,
    1791924,
    1592013,
    2942851,
    1506794,
    1593248,
    1911304,
    2308630,
    1027153,
    1393724,
    6682736,
    713781,
    1043603,
    2096985,
    2125967,
    982492,
    7051801,
)
"""Pixels per class of the real seg11valid label maps, counted by `numpy.bincount` over Pillow's palette indices."""
