"""Broken, hostile and incomplete input raises DataCorrupt: never a hang, a partial store or a file outside it."""

from __future__ import annotations

import io
import random
import tarfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcnbench.datasets.archive.tree import open_tree
from fcnbench.datasets.codec.images import decode_depth, decode_image, decode_label
from fcnbench.datasets.codec.matlab import read_mat
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataCorrupt, FcnbenchError, OutputError
from tests.datasets import native
from tests.kills import PARQUET_WRITES, kills_at_every_write

VOC_IDS = [f"2007_{index:06d}" for index in range(10, 14)]

MEMBERS = {
    "png": native.png(native.nyud_native(0, 20, 30)),
    "depth": native.png(native.nyud_native(1, 20, 30).astype("uint16") + 500),
    "mat": native.mat(S=native.siftflow_native(0)[0]),
    "struct": native.sbd_mat(native.sbd_label(3)),
}
DECODERS: dict[str, Callable[[bytes], object]] = {
    "png": lambda content: decode_label(content, "it"),
    "depth": lambda content: decode_depth(content, "it"),
    "mat": lambda content: read_mat(content, "it", "S"),
    "struct": lambda content: read_mat(content, "it", "GTcls", "Segmentation"),
}


def complaint(work: Callable[[], object]) -> FcnbenchError | None:
    """Our error, which has a next step; any other exception passes through and fails the test."""
    try:
        work()
    except FcnbenchError as error:
        said = error
    else:
        return None
    assert said.hint
    return said


# --- fuzz ------------------------------------------------------------------------------------------------------------

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.filterwarnings("ignore")  # of scipy, about what it makes of broken files
@pytest.mark.parametrize("kind", MEMBERS)
@FUZZ
@given(data=st.data())
def test_flipped_and_cut_bytes_raise_data_corrupt_or_are_decoded(kind: str, data: st.DataObject) -> None:
    content = bytearray(MEMBERS[kind])
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    said = complaint(lambda: DECODERS[kind](bytes(content[:cut])))
    assert said is None or said.message.startswith("it ")


@pytest.mark.filterwarnings("ignore")
@FUZZ
@given(
    content=st.binary(max_size=600), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"MATLAB 5.0 MAT-file", b"P5\n"])
)
def test_random_bytes_are_neither_an_image_nor_a_label_map(content: bytes, head: bytes) -> None:
    for decode in (*DECODERS.values(), lambda content: decode_image(content, "it")):
        complaint(partial(decode, head + content))


@pytest.mark.parametrize("form", ["tar", "tgz", "zip"])
@FUZZ
@given(data=st.data())
def test_broken_archives_raise_data_corrupt_or_are_read(form: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "archive"
    files = {"a/SegmentationClass/x.png": b"1" * 700, "a/JPEGImages/x.jpg": b"2" * 300}
    if form == "zip":
        native.zipped(files, path)
    else:
        native.tar(files, path, "w:gz" if form == "tgz" else "w")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    complaint(lambda: read_all(path))


def read_all(path: Path) -> None:
    tree = open_tree(path)
    try:
        found = [f"{folder}/{name}".lstrip("/") for folder in tree.folders() for name in tree.files(folder)]
        tree.expect(found)
        for name in found:
            tree.read(name)
    finally:
        tree.close()


def test_random_bytes_as_any_source_leave_no_store(tmp_path: Path) -> None:
    dice = random.Random(0)
    heads = [b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x89HDF\r\n\x1a\n", b"BZh9", b"\xfd7zXZ\x00"]
    for index, head in enumerate(heads * 4):
        path = tmp_path / f"source{index}"
        path.write_bytes(head + dice.randbytes(dice.randrange(2000)))
        for name in ("voc2011val", "sbdtrain", "nyudv2test", "siftflowtest", "pascalcontext59val"):
            with pytest.raises(FcnbenchError) as caught:
                load_dataset(name, path, allow_partial=True)
            assert caught.value.hint
    assert not list((tmp_path / "home/stores").glob("*/[!.]*"))
    assert not list((tmp_path / "home/stores").glob("*/.scratch*"))


# --- hostile archives ------------------------------------------------------------------------------------------------


def test_names_outside_the_archive_links_and_devices_have_no_effect(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(native.png(native.nyud_native(0, 17, 23)))
    path = tmp_path / "evil.tar"
    good = native.voc(VOC_IDS)
    with tarfile.open(path, "w") as archive:
        for name, content in good.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        root = "VOCdevkit/VOC2012/SegmentationClass"
        for name, kind in (
            (f"{root}/2007_000032.png", tarfile.SYMTYPE),
            (f"{root}/2007_000039.png", tarfile.LNKTYPE),
            (f"{root}/2007_000061.png", tarfile.CHRTYPE),
            (f"{root}/2007_000063.png", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(outside)
            archive.addfile(member)
        for name in (f"../{root}/2007_000033.png", f"/{root}/2007_000042.png", f"a/../../{root}/2007_000068.png"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    with open_tree_of(path) as names:
        assert names == set(good)


class open_tree_of:  # noqa: N801 - reads as a verb
    """The names in an archive, closed afterwards."""

    def __init__(self, path: Path) -> None:
        self.tree = open_tree(path)

    def __enter__(self) -> set[str]:
        return {f"{folder}/{name}" for folder in self.tree.folders() for name in self.tree.files(folder)}

    def __exit__(self, *error: object) -> None:
        self.tree.close()


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    import gzip

    member = tarfile.TarInfo("VOCdevkit/VOC2012/SegmentationClass/2007_000032.png")
    member.size = 1 << 40
    path = tmp_path / "bomb.tgz"
    path.write_bytes(gzip.compress(member.tobuf() + bytes(1 << 20)))
    started = time.monotonic()
    with pytest.raises(DataCorrupt, match="a decompression bomb"):
        load_dataset("voc2011val", path, allow_partial=True)
    assert time.monotonic() - started < 20


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        name = f"VOCdevkit/VOC2012/SegmentationClass/{published_split('seg11valid').ids[0]}.png"
        with archive.open(name, "w", force_zip64=True) as stream:
            for _ in range(300):
                stream.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataCorrupt, match="314572800 bytes, too many for an image or a label map"):
        load_dataset("voc2011val", path, allow_partial=True)


def test_an_image_bomb_is_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(DataCorrupt, match="can't be decoded"):
        decode_label(content, "it")


def test_a_full_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = native.tar(native.sbd(VOC_IDS[:2], VOC_IDS[2:]), tmp_path / "benchmark.tgz", "w:gz")

    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with pytest.raises(OutputError, match=r"cannot copy files of .*benchmark\.tgz to .*: No space left on device"):
        load_dataset("sbdtrain", archive, allow_partial=True)


# --- kills -----------------------------------------------------------------------------------------------------------


def build_store(folder: Path, archive: Path) -> None:
    """Build a store from an archive."""
    load_dataset("siftflowtest", archive, allow_partial=True)


def test_kills_at_every_write_of_a_store_leave_the_same_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a killed process leaves, the next one builds the same store as without kills."""
    ids = published_split("siftflow-test").ids[:40]
    archive = native.zipped(native.siftflow(ids), tmp_path / "sift.zip")
    expected = load_dataset("siftflowtest", archive, allow_partial=True).manifest.fingerprint
    name = expected.removeprefix("sha256:")[:16]
    events = []
    for killed in kills_at_every_write(build_store, tmp_path / "killed", archive, functions=PARQUET_WRITES):
        events.append(killed.event)
        stores = killed.folder / "home/stores/siftflowtest"
        assert {store.name for store in stores.glob("[!.]*/")} <= {name}
        monkeypatch.setenv("FCNBENCH_HOME", str(killed.folder / "home"))
        assert load_dataset("siftflowtest", archive, allow_partial=True).manifest.fingerprint == expected
        assert [store.name for store in stores.glob("[!.]*/")] == [name]
        assert not list(stores.glob(".scratch*"))
    assert events.count("call ParquetWriter.write_table") == 3
    assert sum(event.startswith("rename .scratch.") for event in events) == 1
