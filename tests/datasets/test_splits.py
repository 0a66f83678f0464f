"""Id lists in archives: a list counts as the complete split only if it can be that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fcnbench.datasets.families import sbd
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.registry import DATASETS, find_dataset
from fcnbench.datasets.splits import ListedSplit, published_split
from fcnbench.errors import DataCorrupt, DataMissing
from tests.datasets import native

IDS = [f"2007_{index:06d}" for index in range(10, 16)]
LISTED = [
    name
    for name, entry in DATASETS.entries().items()
    if entry.provider == "fcnbench" and isinstance(find_dataset(name).split, ListedSplit)
]


def made_up(count: int) -> list[str]:
    """Ids that no published list has."""
    return [f"1999_{index:06d}" for index in range(count)]


@pytest.mark.parametrize("name", LISTED)
def test_every_listed_split_has_a_length(name: str) -> None:
    split = find_dataset(name).split
    assert isinstance(split, ListedSplit)
    inside = list(published_split("seg11valid").ids) if name == "voc2011val-full" else []
    whole = [*inside, *made_up(split.images - len(inside))]
    assert split.read(native.listing(whole), "list").images == split.images
    assert split.read(native.listing(whole[:4]), "list").images == 4
    with pytest.raises(DataCorrupt, match=rf"list has {split.images + 1} ids, expected {split.images}"):
        split.read(native.listing([*whole, "2011_999999"]), "list")


def test_a_split_of_unknown_length_cannot_be_defined() -> None:
    for images in (None, 0, -1):
        with pytest.raises(ValueError, match="expected the number of ids"):
            ListedSplit("mine", "val.txt", images)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\r\n\r\n", "is empty"),
        (b"2007_000010\r\n2007_000010\r\n", "names an image twice: 2007_000010"),
        (b"<html>\n", "holds '<html>', which is not an image id"),
    ],
)
def test_a_file_that_is_not_an_id_list_is_named(content: bytes, said: str) -> None:
    with pytest.raises(DataCorrupt, match=said):
        sbd.SBDVAL.split.read(content, "val.txt")  # type: ignore[union-attr]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\n\n", " \r\n\r\n"])
def test_line_ends_and_blank_lines_do_not_count(ending: str) -> None:
    split = ListedSplit("mine", "val.txt", len(IDS))
    assert split.read(ending.join(["", *IDS, ""]).encode(), "val.txt").ids == tuple(IDS)


@pytest.mark.parametrize("name", ["voc2012train", "sbdtrain"])
def test_a_complete_list_with_images_of_a_disjoint_split_is_refused(name: str) -> None:
    split, seg11 = find_dataset(name).split, published_split("seg11valid").ids
    assert isinstance(split, ListedSplit)
    with pytest.raises(DataCorrupt, match=rf"has 1 image \({seg11[0]}\) of seg11valid, which shares none with {name}"):
        split.read(native.listing([seg11[0], *made_up(split.images - 1)]), "list")


def test_a_complete_list_that_lacks_images_of_a_part_of_it_is_refused() -> None:
    split = find_dataset("voc2011val-full").split
    assert isinstance(split, ListedSplit)
    with pytest.raises(DataCorrupt, match=r"lacks 736 images .* of seg11valid, which is a part of voc2011val-full"):
        split.read(native.listing(made_up(split.images)), "list")


def test_a_short_list_is_a_part_of_sbdval_and_not_the_whole(tmp_path: Path) -> None:
    source = native.write(native.sbd([], IDS), tmp_path / "native")
    with pytest.raises(DataMissing, match=r"it lacks 2851 of 2857 ids in its list"):
        load_dataset("sbdval", source)
    data = load_dataset("sbdval", source, allow_partial=True)
    assert (len(data), data.manifest.total, data.manifest.complete) == (6, 2857, False)


def test_a_list_copied_over_its_sibling_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbd, "SBDVAL", replace(sbd.SBDVAL, split=replace(sbd.SBDVAL.split, images=3)))
    content = dict(native.sbd(IDS[:3], IDS[3:]))
    assert load_dataset("sbdval", native.write(content, tmp_path / "right")).manifest.complete
    content["benchmark_RELEASE/dataset/train.txt"] = native.listing(IDS[2:5])
    with pytest.raises(DataCorrupt, match=rf"val\.txt and .*train\.txt share 2 images \({IDS[3]}, {IDS[4]}\)"):
        load_dataset("sbdval", native.write(content, tmp_path / "wrong"), allow_partial=True)


def test_a_store_with_another_number_of_ids_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a store was made before the length of the list was known."""
    source = native.write(native.sbd([], IDS), tmp_path / "native")
    with monkeypatch.context() as before:
        before.setattr(sbd, "SBDVAL", replace(sbd.SBDVAL, split=replace(sbd.SBDVAL.split, images=6)))
        assert load_dataset("sbdval", source).manifest.complete
    with pytest.raises(DataMissing):
        load_dataset("sbdval")
    with pytest.raises(DataMissing, match="2851 of 2857"):
        load_dataset("sbdval", source)


@pytest.mark.parametrize("ids", [IDS[:3], [*reversed(IDS)], [*IDS, "2007_999999"]])
def test_a_source_with_other_ids_than_its_specification_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[str]
) -> None:
    """As a source of another package may have."""
    from fcnbench.datasets.families import voc
    from fcnbench.datasets.splits import Split

    source = native.write(native.voc(ids), tmp_path / "native")
    given, opens = replace(voc.VOC2012VAL, split=Split("other", tuple(ids))), voc.VOC2012VAL.open_source
    spec = replace(
        voc.VOC2012VAL,
        split=Split("mine", tuple(IDS)),
        open_source=lambda _, origins: opens(given, origins),
    )
    monkeypatch.setattr(voc, "VOC2012VAL", spec)
    with pytest.raises(DataCorrupt, match=rf"has {len(ids)} ids, and they are not the 6 of the split mine"):
        load_dataset("voc2012val", source, allow_partial=True)
