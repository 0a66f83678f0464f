"""`fcnbench doctor DATASET`: everything is read and recounted, damage is named, nothing is repaired."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.datasets.store.check import Examination
from fcnbench.datasets.store.dataset import PARQUET_NAME
from fcnbench.errors import DataMissing, UnknownName
from tests.conftest import jpeg
from tests.datasets import native


def finding(found: Examination, subject: str) -> tuple[bool, str]:
    (one,) = [each for each in found.findings if each.subject == subject]
    return one.sound, one.text


def test_a_sound_store(tmp_path: Path, voc_ids: list[str]) -> None:
    folder = native.write(native.voc(voc_ids), tmp_path / "native")
    (folder / f"VOCdevkit/VOC2012/JPEGImages/{voc_ids[0]}.jpg").unlink()
    data = load_dataset("voc2011val", folder, allow_partial=True)
    found = fcnbench.examine("voc2011val")
    assert all(each.sound for each in found.findings)
    assert finding(found, "extent")[1] == "a part: 4 of 736 pictures, 5 label maps"
    assert "unverified" in finding(found, "source")[1]
    assert "5 different, from 17x23 to 21x27" in finding(found, "sizes")[1]
    assert "of the pixels are ignored" in finding(found, "histogram")[1]
    assert "tvmonitor" in finding(found, "absent classes")[1]
    assert finding(found, "shared with voc2012val") == (True, f"5 ids ({', '.join(sorted(voc_ids))})")
    labels = [sample.label for sample in data]
    for count in found.classes:
        assert count.pixels == sum(int((label == count.index).sum()) for label in labels)
        assert count.images == sum(bool((label == count.index).any()) for label in labels)
    assert sum(count.share for count in found.classes) == pytest.approx(1)


def test_damage_is_named_and_not_repaired(tmp_path: Path, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", native.write(native.voc(voc_ids), tmp_path / "native"), allow_partial=True)
    path = data.folder / PARQUET_NAME
    table = parquet.read_table(path)
    rows = table.to_pylist()
    rows[1]["image"]["bytes"] = jpeg(18, 24, seed=99)
    rows[3]["label"]["bytes"] = native.png(np.zeros((20, 26), np.uint8))
    parquet.write_table(table.from_pylist(rows, table.schema), path)
    damaged = path.read_bytes()
    found = fcnbench.examine("voc2011val")
    sound, text = finding(found, "digests")
    assert not sound
    assert f"2 of 5 damaged ({voc_ids[1]}, {voc_ids[3]})" in text
    assert path.read_bytes() == damaged


def test_a_picture_under_two_ids_is_found(tmp_path: Path, voc_ids: list[str]) -> None:
    content = dict(native.voc(voc_ids))
    root = "VOCdevkit/VOC2012"
    for folder, ending in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        content[f"{root}/{folder}/{voc_ids[4]}.{ending}"] = content[f"{root}/{folder}/{voc_ids[0]}.{ending}"]
    load_dataset("voc2011val", native.write(content, tmp_path / "native"), allow_partial=True)
    sound, text = finding(fcnbench.examine("voc2011val"), "duplicates")
    assert not sound
    assert f"{voc_ids[0]} = {voc_ids[4]}" in text


def test_the_same_picture_in_train_and_test_is_found(tmp_path: Path) -> None:
    train, test = published_split("nyud-train").ids[:2], published_split("nyud-test").ids[:2]
    load_dataset("nyudv2train", native.write(native.nyud(train), tmp_path / "train"), allow_partial=True)
    load_dataset("nyudv2test", native.write(native.nyud(test), tmp_path / "test"), allow_partial=True)
    sound, text = finding(fcnbench.examine("nyudv2test"), "shared with nyudv2train")
    assert (sound, text) == (False, f"the same pictures under other ids: {', '.join(train)}")


def test_seg11valid_is_derived_where_both_lists_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VOC2011 val minus SBD train, in small: the counts of the two lists are cut down, the published list stays."""
    from dataclasses import replace

    from fcnbench.datasets.families import sbd, voc

    seg11 = published_split("seg11valid").ids
    extra = ["2007_999998", "2007_999999"]
    whole = voc.VOC2011VAL_FULL.split
    monkeypatch.setattr(voc, "VOC2011VAL_FULL", replace(voc.VOC2011VAL_FULL, split=replace(whole, images=738)))
    monkeypatch.setattr(sbd, "SBDTRAIN", replace(sbd.SBDTRAIN, split=replace(sbd.SBDTRAIN.split, images=2)))
    root = "VOCdevkit/VOC2011"
    release = native.write(native.voc([*seg11, *extra], root, {"Segmentation/val": [*extra, *seg11]}), tmp_path / "v")
    load_dataset("voc2011val-full", release)
    load_dataset("voc2011val", release)
    assert "derivation" not in {each.subject for each in fcnbench.examine("voc2011val").findings}
    load_dataset("sbdtrain", native.write(native.sbd(extra, seg11[:1]), tmp_path / "s"))
    assert finding(fcnbench.examine("voc2011val"), "derivation")[0]
    load_dataset("sbdtrain", native.write(native.sbd([extra[0], "2007_999997"], []), tmp_path / "other"))
    assert not finding(fcnbench.examine("voc2011val"), "derivation")[0]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_dataset("pocket")
    assert main(["doctor", "pocket"]) == 0
    shown = capsys.readouterr().out
    assert "ok      absent classes: star" in shown
    assert "      1  disk" in shown
    assert main(["doctor", "pocket", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["sound"]
    assert content["classes"][7] == {"index": 7, "name": "star", "pixels": 0, "share": 0.0, "images": 0}
    assert main(["doctor", "voc2012val"]) == 3
    assert main(["doctor", "nothing"]) == 2


def test_nothing_to_look_at() -> None:
    with pytest.raises(DataMissing, match="sbdval is not in the local store"):
        fcnbench.examine("sbdval")
    with pytest.raises(UnknownName):
        fcnbench.examine("nothing")


def test_it_runs_without_torch(tmp_path: Path) -> None:
    code = "import sys, fcnbench; fcnbench.fetch('pocket'); fcnbench.examine('pocket'); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"
