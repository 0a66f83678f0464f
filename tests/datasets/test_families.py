"""Every family in its native format, from folders and archives to the label maps of the reference layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnbench.datasets.families.pascal_context import CONTEXT33, CONTEXT60, native_table
from fcnbench.datasets.families.siftflow import GEO3, SIFTFLOW33
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.registry import DATASETS, find_dataset
from fcnbench.datasets.splits import Split, published_split
from fcnbench.errors import DataCorrupt, DataMissing, UsageError
from tests.datasets import native

VOC_IDS = [f"2007_{index:06d}" for index in range(10, 16)]
NYUD_IDS = list(published_split("nyud-test").ids[:4])
SIFT_IDS = list(published_split("siftflow-test").ids[:4])


# --- the datasets -----------------------------------------------------------------------------------------------------


def test_the_datasets_have_their_published_numbers_of_images() -> None:
    expected = {
        "voc2011val": 736, "voc2011val-full": 1111, "voc2012val": 1449, "voc2012train": 1464, "sbdtrain": 8498,
        "sbdval": 2857, "nyudv2test": 654, "nyudv2train": 795, "siftflowtest": 200, "siftflowtrain": 2486,
        "pascalcontext59val": 5105, "pascalcontext33val": 5105, "pocket": 64, "pocket-train": 1024,
    }  # fmt: skip
    assert {name: find_dataset(name).split.images for name in expected} == expected
    assert set(expected) == {name for name, entry in DATASETS.entries().items() if entry.provider == "fcnbench"}


def test_the_published_lists_are_consistent() -> None:
    train, test = published_split("nyud-trainval", "nyud-train", "nyud-val"), published_split("nyud-test")
    assert not set(train.ids) & set(test.ids)
    # Without the last line feed of train.txt, its last id must not run into the first of val.txt.
    assert {len(sample_id) for sample_id in train.ids} == {4}
    assert sorted(int(sample_id) for sample_id in train.ids + test.ids) == list(range(5001, 6450))
    sift = published_split("siftflow-trainval").ids + published_split("siftflow-test").ids
    assert len(set(sift)) == 2686
    assert not {"highway_bost181", "street_urb506"} & set(sift)


def test_nyud_lists_are_the_publishers_split(shared: Path) -> None:
    from scipy.io import loadmat

    found = loadmat(shared / "data/nyudv2/meta/splits.mat")
    for name, field in (("nyudv2train", "trainNdxs"), ("nyudv2test", "testNdxs")):
        split = find_dataset(name).split
        assert isinstance(split, Split)
        assert {int(i) for i in split.ids} == {int(i) + 5000 for i in found[field].reshape(-1)}


def test_the_class_table_of_nyud_is_the_published_one(shared: Path) -> None:
    from scipy.io import loadmat

    from fcnbench.datasets.families.nyudv2 import NYUD40
    from fcnbench.datasets.families.nyudv2_hdf5 import map_of_894

    found = loadmat(shared / "data/nyudv2/meta/classMapping40.mat")
    assert map_of_894().tolist() == [0, *found["mapClass"].reshape(-1).tolist()]
    assert list(NYUD40.classes) == [str(name[0]) for name in found["className"].reshape(-1)]


# --- PASCAL VOC ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "root", "name", "total"),
    [
        ("voc2011val-full", "TrainVal/VOCdevkit/VOC2011", "Segmentation/val", 1111),
        ("voc2012train", "VOCdevkit/VOC2012", "Segmentation/train", 1464),
    ],
)
def test_a_split_may_be_listed_in_its_archive(tmp_path: Path, dataset: str, root: str, name: str, total: int) -> None:
    archive = native.tar(native.voc(VOC_IDS, root, {name: VOC_IDS[::-1][:4]}), tmp_path / "voc.tar")
    with pytest.raises(DataMissing, match=rf"lacks {total - 4} of {total} ids in its list"):
        load_dataset(dataset, archive)
    data = load_dataset(dataset, archive, allow_partial=True)
    assert data.ids == tuple(VOC_IDS[::-1][:4])  # the list's order
    assert (data.manifest.total, data.manifest.complete) == (total, False)
    assert load_dataset(dataset, allow_partial=True).manifest == data.manifest


def test_a_release_without_the_list_is_named(tmp_path: Path) -> None:
    folder = native.write(native.voc(VOC_IDS), tmp_path / "native")
    with pytest.raises(DataMissing, match=r"takes its ids from .*ImageSets/Segmentation/train\.txt"):
        load_dataset("voc2012train", folder, allow_partial=True)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"  1\r\n"])
def test_a_list_may_have_any_line_ends(tmp_path: Path, ending: bytes) -> None:
    text = b"\xef\xbb\xbf" + b"".join(sample_id.encode() + ending for sample_id in VOC_IDS)
    content = {**native.voc(VOC_IDS), "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt": text}
    data = load_dataset("voc2012train", native.write(content, tmp_path / "native"), allow_partial=True)
    assert data.ids == tuple(VOC_IDS)


def test_an_empty_path_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--from names no path"):
        load_dataset("voc2012train", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"2007_000010\n2007_000010\n", "names an image twice"),
        (b"<!DOCTYPE html>\n", "holds '<!DOCTYPE', which is not an image id"),
        (b"\n", "is empty"),
        ("".join(f"2007_{i:06d}\n" for i in range(1465)).encode(), "has 1465 ids, expected 1464"),
    ],
)
def test_a_wrong_list_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    content = {**native.voc(VOC_IDS), "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt": text}
    with pytest.raises(DataCorrupt, match=said):
        load_dataset("voc2012train", native.write(content, tmp_path / "native"), allow_partial=True)


# --- SBD -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w:gz", "w"])  # benchmark.tgz is sometimes a plain tar
def test_sbd_is_read_from_its_structs(tmp_path: Path, mode: str) -> None:
    archive = native.tar(native.sbd(VOC_IDS[:4], VOC_IDS[4:]), tmp_path / "benchmark.tgz", mode)
    data = load_dataset("sbdtrain", archive, allow_partial=True)
    assert data.ids == tuple(VOC_IDS[:4])
    assert data.manifest.variant == "SBD"
    for seed, sample in enumerate(data):
        np.testing.assert_array_equal(sample.label, native.sbd_label(seed))
        assert sample.image is not None
    assert data.manifest.histogram[-1] == 0  # SBD has no void
    val = load_dataset("sbdval", archive, allow_partial=True)
    assert (val.ids, val.manifest.total) == (tuple(VOC_IDS[4:]), 2857)


def test_a_struct_with_a_stray_class_is_named(tmp_path: Path) -> None:
    content = {**native.sbd(VOC_IDS[:2], VOC_IDS[2:3])}
    content[f"benchmark_RELEASE/dataset/cls/{VOC_IDS[1]}.mat"] = native.sbd_mat(np.full(native.size_of(1), 21))
    with pytest.raises(DataCorrupt, match=rf"{VOC_IDS[1]}\.mat holds the values 21"):
        load_dataset("sbdtrain", native.write(content, tmp_path / "native"), allow_partial=True)


# --- NYUDv2 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "gz", "zip"])
def test_nyud_in_guptas_layout(tmp_path: Path, form: str) -> None:
    content = native.nyud(NYUD_IDS)
    origin = {
        "folder": lambda: native.write(content, tmp_path / "native"),
        "gz": lambda: native.tar(content, tmp_path / "nyud.tar.gz", "w:gz"),
        "zip": lambda: native.zipped(content, tmp_path / "nyud.zip"),
    }[form]()
    data = load_dataset("nyudv2test", origin, allow_partial=True)
    assert (data.ids, data.manifest.variant) == (tuple(NYUD_IDS), "gupta")
    for seed, sample in enumerate(data):
        random = np.random.default_rng(seed)
        np.testing.assert_array_equal(sample.image, random.integers(0, 256, (13, 19, 3), np.uint8))
        np.testing.assert_array_equal(sample.depth, random.integers(700, 9000, (13, 19)))
        np.testing.assert_array_equal(sample.hha, random.integers(0, 256, (13, 19, 3), np.uint8))
        expected = random.integers(0, 41, (13, 19)).astype(np.uint8) - np.uint8(1)  # 0 wraps to 255
        np.testing.assert_array_equal(sample.label, expected)


def test_nyud_from_the_publishers_file_is_cropped_and_mapped(tmp_path: Path, shared: Path) -> None:
    from scipy.io import loadmat

    ids = [sample_id for sample_id in published_split("nyud-test").ids if int(sample_id) <= 5015]
    arrays = native.nyu_raw(tmp_path / "nyu_depth_v2_labeled.mat", 15)
    data = load_dataset("nyudv2test", tmp_path / "nyu_depth_v2_labeled.mat", allow_partial=True)
    assert (data.ids, data.manifest.variant) == (tuple(ids), "raw")
    of_894 = np.array([0, *loadmat(shared / "data/nyudv2/meta/classMapping40.mat")["mapClass"].reshape(-1)], np.uint8)
    for sample in data:
        index = int(sample.id) - 5001
        crop = (index, slice(45, 470), slice(40, 600))  # 425x560, as in the reference's files
        assert sample.label.shape == (425, 560)
        np.testing.assert_array_equal(sample.image, arrays["images"][crop])
        np.testing.assert_array_equal(sample.label, of_894[arrays["labels"][crop]] - np.uint8(1))
        np.testing.assert_array_equal(sample.depth, np.rint(arrays["depths"][crop].astype(float) * 1000))
        assert sample.hha is None


def test_the_more_complete_of_two_sources_is_used(tmp_path: Path) -> None:
    native.write(native.nyud(NYUD_IDS[:1]), tmp_path / "both")
    native.nyu_raw(tmp_path / "both/nyu_depth_v2_labeled.mat", 15)
    assert load_dataset("nyudv2test", tmp_path / "both", allow_partial=True).manifest.variant == "raw"
    native.write(native.nyud(published_split("nyud-test").ids[:20]), tmp_path / "both")
    assert load_dataset("nyudv2test", tmp_path / "both", allow_partial=True).manifest.variant == "gupta"


def test_a_depth_of_zero_is_refused(tmp_path: Path) -> None:
    import h5py

    native.nyu_raw(tmp_path / "raw.mat", 2)
    with h5py.File(tmp_path / "raw.mat", "r+") as file:
        file["depths"][0, 100, 100] = 0
        file["depths"][1, 100, 100] = np.nan
    with pytest.raises(DataCorrupt, match=r"depths of sample 500[12] .* are not all above 0"):
        load_dataset("nyudv2test", tmp_path / "raw.mat", allow_partial=True)


@pytest.mark.parametrize("name", ["images", "labels", "depths"])
def test_another_hdf5_file_is_refused(tmp_path: Path, name: str) -> None:
    import h5py

    native.nyu_raw(tmp_path / "raw.mat", 2)
    with h5py.File(tmp_path / "raw.mat", "r+") as file:
        del file[name]
        file[name] = np.zeros((2, 480, 640))
    with pytest.raises(DataCorrupt, match=rf"'{name}' is \(2, 480, 640\), expected"):
        load_dataset("nyudv2test", tmp_path / "raw.mat", allow_partial=True)


def test_all_real_nyudv2_label_maps_pass(shared: Path, tmp_path: Path) -> None:
    """The 654 real maps, written as Gupta's MATLAB files and read back."""
    from PIL import Image

    total = np.zeros(256, np.int64)
    for path in sorted((shared / "data/nyudv2/label40").iterdir()):
        label = np.asarray(Image.open(path))
        total += np.bincount(label.reshape(-1), minlength=256)
        target = tmp_path / f"segmentation/img_{5000 + int(path.stem[-4:])}.mat"
        native.write({target.name: native.mat(segmentation=label)}, target.parent)
    data = load_dataset("nyudv2test", tmp_path, allow_partial=True)
    assert len(data) == 654
    assert set(data.ids) == set(published_split("nyud-test").ids)
    assert data.manifest.histogram == NYUD_HISTOGRAM == (*total[1:41].tolist(), int(total[0]))
    assert min(NYUD_HISTOGRAM) > 0  # every class occurs


# --- SIFT Flow -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("root", "case"), [("SiftFlowDataset/", ""), ("SiftFlowDataSet/", "lower"), ("", "")])
def test_sift_flow_has_two_label_maps(tmp_path: Path, root: str, case: str) -> None:
    archive = native.zipped(native.siftflow(SIFT_IDS, root, case), tmp_path / "SiftFlowDataset.zip")
    data = load_dataset("siftflowtest", archive, allow_partial=True)
    assert data.ids == tuple(SIFT_IDS)
    for seed, sample in enumerate(data):
        semantic, geometric = native.siftflow_native(seed)
        np.testing.assert_array_equal(sample.label, np.where(semantic == 0, 255, semantic - 1))
        # -1 and 0 are both unlabelled.
        np.testing.assert_array_equal(sample.geo, np.where(geometric <= 0, 255, geometric - 1))
    assert sum(data.manifest.geo_histogram) == sum(data.manifest.histogram) == 4 * 256
    assert data.manifest.geo_classes == GEO3.classes


def test_an_id_without_a_geometric_label_map_is_missing(tmp_path: Path) -> None:
    content = dict(native.siftflow(SIFT_IDS))
    del content[f"SiftFlowDataset/GeoLabels/{native.SCENES}/{SIFT_IDS[1]}.mat"]
    data = load_dataset("siftflowtest", native.write(content, tmp_path / "native"), allow_partial=True)
    assert data.ids == (SIFT_IDS[0], *SIFT_IDS[2:])


def test_the_classes_absent_from_the_test_split_are_those_of_the_papers() -> None:
    assert [SIFTFLOW33.classes[index] for index in (8, 10, 15)] == ["cow", "desert", "moon"]


# --- PASCAL-Context --------------------------------------------------------------------------------------------------


def context(tmp_path: Path, packed: bool) -> Path:
    voc = native.voc(VOC_IDS, "VOCdevkit/VOC2010", {"Main/val": VOC_IDS[1:]})
    top = tmp_path / "context"
    if packed:
        native.tar(voc, top / "VOCtrainval_03-May-2010.tar")
        native.tar(native.context_labels(VOC_IDS), top / "trainval.tar.gz", "w:gz")
    else:
        native.write({**voc, **native.context_labels(VOC_IDS)}, top)
    return top


@pytest.mark.parametrize("packed", [True, False])
def test_context_is_read_from_two_archives(tmp_path: Path, packed: bool) -> None:
    names = dict(enumerate((native.Path(native.__file__).parents[2] / NAMES).read_text().splitlines(), 1))
    data = load_dataset("pascalcontext59val", context(tmp_path, packed), allow_partial=True)
    assert (data.ids, data.manifest.variant, data.manifest.total) == (tuple(VOC_IDS[1:]), "VOC2010", 5105)
    known = {"table": "diningtable", "bedclothes": "bedcloth", "cloth": "clothes"}
    for seed, sample in enumerate(data, 1):
        assert sample.image is not None
        raw = native.context_native(seed)
        for value in np.unique(raw):
            name = known.get(names.get(int(value), ""), names.get(int(value), ""))
            expected = CONTEXT60.classes.index(name) if name in CONTEXT60.classes else 0
            assert set(sample.label[raw == value]) == {expected}
    assert data.manifest.histogram[-1] == 0  # nothing is ignored: everything else is background


def test_pixels_outside_the_33_classes_are_ignored(tmp_path: Path) -> None:
    data = load_dataset("pascalcontext33val", context(tmp_path, packed=False), allow_partial=True)
    assert data.label_space.num_classes == 33
    assert data.manifest.ignored > 0.8  # 426 of 459 classes
    table = native_table(CONTEXT33)
    assert (table != 255).sum() == 33
    assert sorted(table[table != 255]) == list(range(33))


def test_other_class_names_beside_the_label_maps_are_refused(tmp_path: Path) -> None:
    top = context(tmp_path, packed=False)
    (top / "labels.txt").write_text("1: something\n")
    with pytest.raises(DataCorrupt, match="names other classes than PASCAL-Context's 459"):
        load_dataset("pascalcontext59val", top, allow_partial=True)


@pytest.mark.parametrize("lacking", ["VOCtrainval_03-May-2010.tar", "trainval.tar.gz"])
def test_either_missing_archive_is_an_error(tmp_path: Path, lacking: str) -> None:
    top = context(tmp_path, packed=True)
    (top / lacking).unlink()
    with pytest.raises(DataMissing, match="VOC2010 folder" if "2010" in lacking else "no label map trainval"):
        load_dataset("pascalcontext59val", top, allow_partial=True)


NAMES = "fcnbench/datasets/families/pascal_context_459.txt"
NYUD_HISTOGRAM = (
    42568511,
    17954638,
    11594442,
    8195207,
    6562176,
    6173558,
    4592669,
    4739138,
    4058214,
    3925304,
    4413856,
    3139708,
    3625415,
    2520072,
    1512672,
    2496846,
    1855565,
    1738434,
    1838129,
    1712549,
    1074024,
    2581311,
    1321342,
    1313320,
    849562,
    840474,
    816375,
    691045,
    501505,
    773716,
    573711,
    620916,
    489993,
    598936,
    574999,
    602560,
    514180,
    3222176,
    3932214,
    9428809,
    34370529,
)
"""Pixels per class of the 654 real label maps, counted by `numpy.bincount` over Pillow's indices; void last."""
