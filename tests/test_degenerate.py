"""Images with little or nothing to score end in numbers or in a sentence, never in a warning of numpy's.

Warnings are errors in every test; here every command that computes runs on such images.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataCorrupt, UsageError
from tests.conftest import jpeg, palette_png, voc_label
from tests.datasets import native

IDS = published_split("seg11valid").ids[:3]


def label(kind: str, seed: int) -> np.ndarray:
    height, width = native.size_of(seed)
    found = np.full((height, width), {"ignored": 255, "background": 0, "pixel": 255, "dot": 3}.get(kind, 0), np.uint8)
    if kind == "pixel":
        found[0, 0] = 5
    if kind == "void below":
        found[3:] = 255
    if kind == "object":
        found = voc_label(height, width, seed)
    return found[:1, :1] if kind == "dot" else found


def source(folder: Path, kinds: tuple[str, ...]) -> Path:
    """VOC images of these kinds, and predictions of class 7 everywhere beside them."""
    content, root = {}, "native/VOCdevkit/VOC2012"
    for seed, (name, kind) in enumerate(zip(IDS, kinds, strict=False)):
        truth = label(kind, seed)
        content[f"{root}/SegmentationClass/{name}.png"] = palette_png(truth)
        content[f"{root}/JPEGImages/{name}.jpg"] = jpeg(*truth.shape, seed)
        content[f"sevens/{name}.png"] = palette_png(np.full_like(truth, 7))
    native.write(content, folder)
    return folder / "native"


SETS = [
    ("background",),
    ("pixel",),
    ("dot",),
    ("ignored", "background"),
    ("ignored", "pixel", "pixel"),
    ("void below", "background"),
    ("ignored", "dot", "object"),
]


@pytest.mark.parametrize("kinds", SETS, ids=" + ".join)
def test_every_command_bears_images_with_little_to_score(
    tmp_path: Path, kinds: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    given = source(tmp_path, kinds)
    options = {"from_": given, "allow_partial": True}
    perfect = fcnbench.run("oracle-perfect", "voc2011val", **options, trials=0, board=tmp_path / "a")
    sevens = fcnbench.score(tmp_path / "sevens", "voc2011val", **options, trimap=True, board=tmp_path / "b")
    assert perfect.record.scores().mean_iu == 1.0
    paths = [str(next((tmp_path / name).rglob("record.json"))) for name in "ab"]
    predictions = ["--predictions", str(tmp_path / "sevens")]
    capsys.readouterr()
    for command in (
        ["score", "--record", paths[0]],
        ["score", "--record", paths[1]],
        ["compare", *paths],
        ["compare", "--lens", paths[1]],
        ["check", "--baseline", paths[0], "--record", paths[1]],
        ["report", paths[1], "--output", str(tmp_path / "page.html")],
        ["report", paths[1], *predictions, "--output", str(tmp_path / "page2.html")],
        ["doctor", "voc2011val"],
    ):
        assert main(command) in ((0, 1) if command[0] in ("check", "doctor") else (0,)), command
        assert main([*command, "--json"]) in (0, 1)
        json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert sevens.record.scores().pixel_acc == 0.0


def test_nothing_at_all_to_score_is_a_sentence(tmp_path: Path) -> None:
    given = source(tmp_path, ("ignored", "ignored"))
    with pytest.raises(UsageError, match="no pixel was scored"):
        fcnbench.run("oracle-perfect", "voc2011val", from_=given, allow_partial=True, trials=0, board=tmp_path)
    with pytest.raises(UsageError, match="no pixel was scored"):
        fcnbench.score(tmp_path / "sevens", "voc2011val", allow_partial=True, trimap=True, board=tmp_path)


def test_a_second_label_map_without_a_labelled_pixel_costs_no_other_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = published_split("siftflow-test").ids[:2]
    content = native.siftflow(ids)
    unlabelled = native.mat(S=-np.ones((16, 16)))
    content = {name: unlabelled if "GeoLabels" in name else data for name, data in content.items()}
    command = ["run", "--model", "oracle-perfect", "--dataset", "siftflowtest", "--allow-partial", "--trials", "0"]
    given = ["--from", str(native.write(content, tmp_path / "native")), "--board", str(tmp_path)]
    assert main([*command, *given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["scores"]
    assert found["mean_iu"] == 1.0
    assert "geo_pixel_acc" not in found
    assert main(["score", "--record", str(next(tmp_path.rglob("record.json")))]) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, 0.5])
def test_numbers_that_are_no_class_are_named(tmp_path: Path, value: float) -> None:
    ids = published_split("siftflow-test").ids[:1]
    content, values = dict(native.siftflow(ids)), np.ones((16, 16))
    values[3, 3] = value
    for name in content:
        if "SemanticLabels" in name:
            content[name] = native.mat(S=values)
    with pytest.raises(DataCorrupt, match=r"expected integers 0\.\.33"):
        load_dataset("siftflowtest", native.write(content, tmp_path / "native"), allow_partial=True)
