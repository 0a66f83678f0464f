"""What some datasets add to a run: a second label map, further modalities, a class that is not counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fcnbench
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.errors import DataMissing, ModelError, PredictionError
from fcnbench.evaluation.journal import Journal
from fcnbench.metrics.scores import scores
from tests.counts import counted, specs
from tests.datasets import native

SIFT_IDS = list(published_split("siftflow-test").ids[:4])
NYUD_IDS = list(published_split("nyud-test").ids[:3])

TWO_HEADS = """
import torch
from torch import nn
class Net(nn.Module):
    num_classes = 33
    def prepare(self, image):
        return torch.from_numpy(image).permute(2, 0, 1).float()
    def forward(self, batch):
        n, _, h, w = batch.shape
        classes = (batch.sum(1) % 33).long().clamp(0, 32)
        out = nn.functional.one_hot(classes, 33).permute(0, 3, 1, 2).float()
        geo = nn.functional.one_hot(classes % {geo}, {geo}).permute(0, 3, 1, 2).float()
        return {answer}
def build(num_classes):
    return Net()
"""

MODALITIES = """
import numpy as np
import torch
from fcnbench import ModuleSegmenter
class Constant(torch.nn.Module):
    def forward(self, batch):
        assert batch.shape[1] == {planes}, batch.shape
        n, _, h, w = batch.shape
        logits = torch.zeros(n, 40, h, w)
        logits[:, 3] = 1
        return logits
def prepare(*images):
    assert [(image.dtype.name, image.ndim) for image in images] == {kinds}
    planes = [image.astype(np.float32).reshape(*image.shape[:2], -1) for image in images]
    return torch.from_numpy(np.concatenate(planes, 2)).permute(2, 0, 1)
def build(num_classes):
    return ModuleSegmenter(Constant(), prepare, modalities={modalities})
"""
RGB, DEPTH = ("uint8", 3), ("uint16", 2)


def siftflow(tmp_path: Path) -> Path:
    return native.zipped(native.siftflow(SIFT_IDS), tmp_path / "sift.zip")


def two_heads(tmp_path: Path, answer: str, geo: int = 3) -> str:
    (tmp_path / "net.py").write_text(TWO_HEADS.replace("{answer}", answer).replace("{geo}", str(geo)))
    return f"{tmp_path}/net.py:build"


def test_the_second_label_map_is_scored_in_the_same_run(tmp_path: Path) -> None:
    model = two_heads(tmp_path, '{"out": out, "geo": geo}')
    run = fcnbench.run(model, "siftflowtest", from_=siftflow(tmp_path), allow_partial=True, board=tmp_path)
    data = load_dataset("siftflowtest", allow_partial=True)
    right = total = 0
    for sample in data:
        assert sample.image is not None
        assert sample.geo is not None
        predicted = sample.image.astype(int).sum(2) % 33 % 3
        counted = sample.geo != 255
        right += int((predicted == sample.geo)[counted].sum())
        total += int(counted.sum())
    assert run.scores["geo_pixel_acc"] == right / total
    content = json.loads(run.path.read_text())
    assert content["scores"]["gt"]["geo_pixel_acc"] == right / total
    assert "mean_iu_nobg" not in run.scores  # SIFT Flow has no background
    assert "|geo:geo3" in content["signature"]["long"]
    with np.load(run.path.with_name("confusion.npz")) as matrices:
        assert matrices["geo_confusion"].shape == (4, 3, 3)
        assert scores(matrices["geo_confusion"].sum(0)).pixel_acc == right / total


def test_a_model_without_the_second_head_is_scored_on_the_first(tmp_path: Path) -> None:
    run = fcnbench.run(
        two_heads(tmp_path, "out"), "siftflowtest", from_=siftflow(tmp_path), allow_partial=True, board=tmp_path
    )
    assert list(run.scores) == ["pixel_acc", "mean_acc", "mean_iu", "fw_iu"]
    with np.load(run.path.with_name("confusion.npz")) as matrices:
        assert "geo_confusion" not in matrices


def test_the_reproducibility_check_repeats_both_heads(tmp_path: Path) -> None:
    # The second head of every pass predicts another class than the one before.
    model = two_heads(tmp_path, '{"out": out, "geo": geo.roll(int(next(passes)), 1)}')
    (tmp_path / "net.py").write_text(
        "import itertools\npasses = itertools.count()\n" + (tmp_path / "net.py").read_text()
    )
    options = {"from_": siftflow(tmp_path), "allow_partial": True, "board": tmp_path, "trials": 0}
    found = fcnbench.run(model, "siftflowtest", certify=True, **options).record.evaluation.reproducibility
    assert found is not None
    pixels = sum(sample.label.size for sample in load_dataset("siftflowtest", allow_partial=True))
    assert found.pixels == 2 * pixels
    assert found.flips == {"second run": pixels, "batch of 2": pixels, "one thread": 0}


def test_a_wrong_second_head_is_named(tmp_path: Path) -> None:
    model = two_heads(tmp_path, '{"out": out, "geo": geo}', geo=4)
    with pytest.raises(PredictionError, match=r"logits are \(1, 4, 16, 16\), expected \(1, 3, 16, 16\).* geo3"):
        fcnbench.run(model, "siftflowtest", from_=siftflow(tmp_path), allow_partial=True, board=tmp_path)


def test_an_interrupted_run_keeps_both_matrices() -> None:
    scored = counted("a", np.arange(9).reshape(3, 3), "sha256:0", np.eye(2, dtype=np.int64))
    plain = counted("b", np.arange(9).reshape(3, 3), "sha256:0")
    with Journal({"a": "b"}, specs(3, 2)) as journal:
        journal.add(scored)
        journal.add(plain)
    with Journal({"a": "b"}, specs(3, 2)) as journal:
        assert "geo_confusion" not in journal.done["b"].counts
        found = journal.done["a"].counts.get("geo_confusion")
        assert found is not None
        np.testing.assert_array_equal(found, scored.counts["geo_confusion"])
        np.testing.assert_array_equal(journal.done["a"].counts["confusion"], scored.counts["confusion"])


@pytest.mark.parametrize(
    ("modalities", "planes", "kinds", "signature"),
    [
        (("rgb",), 3, [RGB], "|labels:gupta"),
        (("hha",), 3, [RGB], "|input:hha|labels:gupta"),
        (("rgb", "depth"), 4, [RGB, DEPTH], "|input:rgb+depth|labels:gupta"),
        (("rgb", "hha"), 6, [RGB, RGB], "|input:rgb+hha|labels:gupta"),
    ],
)
def test_a_model_declares_its_modalities(
    tmp_path: Path, modalities: tuple[str, ...], planes: int, kinds: list[tuple[str, int]], signature: str
) -> None:
    net = MODALITIES.replace("{planes}", str(planes)).replace("{kinds}", str(kinds))
    (tmp_path / "net.py").write_text(net.replace("{modalities}", str(modalities)))
    source = native.write(native.nyud(NYUD_IDS), tmp_path / "native")
    run = fcnbench.run(
        f"{tmp_path}/net.py:build", "nyudv2test", from_=source, allow_partial=True, board=tmp_path, trials=1
    )
    usual = "fcn2|data:nyudv2test#3/654|classes:40|ignore:255|mean:gt|infer:native|prec:fp32"
    assert run.record.protocol.signature() == usual + signature


def test_missing_modalities_are_named(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        MODALITIES.replace("{planes}", "3").replace("{kinds}", str([RGB])).replace("{modalities}", "('hha',)")
    )
    source = native.write(native.nyud(NYUD_IDS, hha=False), tmp_path / "native")
    with pytest.raises(DataMissing, match=r"no images of the kind that the model takes \(hha\)"):
        fcnbench.run(f"{tmp_path}/net.py:build", "nyudv2test", from_=source, allow_partial=True, board=tmp_path)
    (tmp_path / "net.py").write_text((tmp_path / "net.py").read_text().replace("('hha',)", "('thermal',)"))
    with pytest.raises(ModelError, match=r"modalities are \('thermal',\), expected some of rgb, depth, hha"):
        fcnbench.run(f"{tmp_path}/net.py:build", "nyudv2test", from_=source, allow_partial=True, board=tmp_path)


def test_the_mean_without_background_is_given_where_there_is_one() -> None:
    matrix = np.array([[50, 0, 0], [10, 30, 0], [0, 20, 20]])
    found = scores(matrix)
    assert found.mean_iu_without(0) == pytest.approx((30 / 60 + 20 / 40) / 2)
    assert np.isnan(scores([[5, 1], [0, 0]]).mean_iu_without(0))
    # Under `reference`, an absent class that is predicted counts.
    assert scores([[5, 1], [0, 0]], "union").mean_iu_without(0) == 0


def test_saved_predictions_of_two_heads_score_like_the_run(tmp_path: Path) -> None:
    model = two_heads(tmp_path, "{'out': out, 'geo': geo}")
    saved = tmp_path / "saved"
    ran = fcnbench.run(
        model, "siftflowtest", from_=siftflow(tmp_path), allow_partial=True, board=tmp_path, save_predictions=saved
    )
    scored = fcnbench.score(saved, "siftflowtest", allow_partial=True, board=tmp_path)
    np.testing.assert_array_equal(scored.record.evaluation.geo, ran.record.evaluation.geo)
    assert scored.scores == ran.scores
    assert "geo_pixel_acc" in scored.record.intervals()
    assert fcnbench.score(record=ran.path).mismatches == ()
    (saved / "geo" / f"{SIFT_IDS[0]}.png").unlink()
    part = fcnbench.score(saved, "siftflowtest", allow_partial=True, board=tmp_path)
    assert part.record.evaluation.geo is None
