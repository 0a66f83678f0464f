"""The leakage check: a model is not ranked on images that it was trained on."""

from collections.abc import Callable
from pathlib import Path

import pytest

import fcnbench
from fcnbench.datasets.families.voc import VOC2011VAL, VOC2012VAL
from fcnbench.datasets.leakage import find_leakage
from fcnbench.datasets.splits import published_split
from fcnbench.leaderboard.board import build_board, read_board
from tests.datasets import native

Make = Callable[..., Path]


def test_declared_splits_and_listed_ids_are_compared_with_the_evaluated_ones() -> None:
    found = find_leakage(VOC2011VAL.split.ids[:3], ("voc2012val", "sbd"), ["2007_000033", "elsewhere"])
    assert found.ids == VOC2011VAL.split.ids[:3]
    assert (found.declared, found.unknown, found.listed) == (("voc2012val", "sbd"), ("sbd",), 2)
    assert find_leakage(["val-0000"], ("pocket-train",)).ids == ()
    assert find_leakage(["train-0000"], "pocket-train").ids == ("train-0000",)
    assert find_leakage(["a", "b", "c"], (), ["c", "a"]).ids == ("a", "c")


def test_every_split_leaks_into_itself() -> None:
    for name in ("seg11valid", "voc2012val"):
        ids = published_split(name).ids
        assert find_leakage(ids, name).ids == ids


MODEL = """
from fcnbench import ModuleSegmenter, load_model
def build(num_classes):
    net = load_model("fcn8s-pocket").module
    return ModuleSegmenter(net, load_model("fcn8s-pocket").prepare, num_classes, {declared})
"""


@pytest.mark.parametrize(
    ("declared", "leaked"),
    [("['pocket']", 64), ("[], ['val-0003', 'val-0007']", 2), ("['pocket-train']", 0), ("['imagenet']", 0), ("[]", 0)],
)
def test_a_leaking_run_gets_a_marked_record_and_no_row(
    tmp_path: Path, declared: str, leaked: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(MODEL.format(declared=declared))
    finished = fcnbench.run(f"{tmp_path}/net.py:build", board=tmp_path, trials=0)
    assert len(finished.record.leakage.ids) == leaked
    assert (finished.board is None) == bool(leaked)
    assert len(read_board(build_board(tmp_path, "pocket"))) == (0 if leaked else 1)
    said = capsys.readouterr().err
    assert (f"declares {leaked} of the 64 images as training images (val-000" in said) == bool(leaked)
    assert ("unchecked" in said) == ("imagenet" in declared)


def test_the_command_reports_leakage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fcnbench.cli.main import main

    (tmp_path / "net.py").write_text(MODEL.format(declared="['pocket']"))
    assert main(["run", "--model", f"{tmp_path}/net.py:build", "--trials", "0", "--board", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "LEAK: trained on 64 of these images (val-0000, val-0001" in shown
    assert "none: a model is not ranked on images that it was trained on" in shown


PASCAL = [f"2007_{index:06d}" for index in range(10, 16)]


def test_a_split_with_an_unknown_list_blocks_runs_that_may_share_images() -> None:
    found = find_leakage(VOC2012VAL.split.ids, ("sbdtrain",), split="voc2012val")
    assert (found.unlisted, found.ids, found.clear) == (("sbdtrain",), (), False)
    # seg11valid is VOC2011 val without SBD train, so the papers' own case needs no list.
    assert find_leakage(VOC2011VAL.split.ids, ("sbdtrain", "voc2012train"), split="seg11valid").clear
    assert not find_leakage(VOC2011VAL.split.ids, ("voc2011val-full",), split="seg11valid").clear
    # Nor can VOC's images be among scenes of another kind.
    assert find_leakage(["coast_natu975"], ("sbdtrain",), split="siftflow-test").clear


def test_the_list_in_a_local_store_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from fcnbench.datasets.families import sbd

    monkeypatch.setattr(sbd, "SBDTRAIN", replace(sbd.SBDTRAIN, split=replace(sbd.SBDTRAIN.split, images=3)))
    evaluated = [PASCAL[0], "2008_000001", PASCAL[2]]
    fcnbench.fetch("sbdtrain", from_=native.write(native.sbd(PASCAL[:2], []), tmp_path / "part"), allow_partial=True)
    assert find_leakage(evaluated, "sbdtrain").unlisted == ("sbdtrain",)  # a part of the list is not the list
    fcnbench.fetch("sbdtrain", from_=native.write(native.sbd(PASCAL[:3], []), tmp_path / "whole"))
    found = find_leakage(evaluated, "sbdtrain")
    assert (found.ids, found.unlisted, found.clear) == ((PASCAL[0], PASCAL[2]), (), False)


def test_train_and_test_of_nyudv2_and_sift_flow_are_disjoint() -> None:
    test = published_split("nyud-test").ids
    assert find_leakage(test, "nyudv2train").clear
    assert find_leakage(test, "nyudv2test").ids == test
    assert find_leakage(published_split("nyud-val").ids, "nyudv2train").ids == published_split("nyud-val").ids
    assert find_leakage(published_split("siftflow-test").ids, "siftflowtrain").clear


def test_an_uncleared_run_enters_no_board(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from fcnbench.cli.main import main
    from fcnbench.datasets.families import sbd

    small = replace(sbd.SBDVAL.split, images=len(PASCAL))
    monkeypatch.setattr(sbd, "SBDVAL", replace(sbd.SBDVAL, split=small))
    (tmp_path / "net.py").write_text(
        "import torch\nfrom fcnbench import ModuleSegmenter\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.zeros(x.shape[0], 21, *x.shape[2:])\n"
        "def build(num_classes):\n"
        "    return ModuleSegmenter(Net(), train_splits=['sbdtrain'])\n"
    )
    source = native.write(native.sbd([], PASCAL), tmp_path / "native")
    (source / "benchmark_RELEASE/dataset/train.txt").unlink()
    command = ["run", "--model", f"{tmp_path}/net.py:build", "--dataset", "sbdval", "--from", str(source)]
    assert main([*command, "--board", str(tmp_path), "--trials", "0"]) == 0
    said = capsys.readouterr()
    assert "UNCLEARED: net.py:build declares training on sbdtrain" in said.err
    assert "`fcnbench fetch sbdtrain` first" in said.err
    assert "board     none: whether the model was trained on these images is not known" in said.out
    assert not list((tmp_path / "leaderboards").glob("v1/*"))


def test_training_images_that_circulate_as_sbd_leak_into_voc2012_val_and_not_into_seg11valid(shared: Path) -> None:
    """494 real training-side ids of the wild: 35 are in VOC2012 val, none in the papers' split."""
    trained = sorted(path.stem for path in (shared / "data/sbd_aug/img").iterdir())
    assert len(trained) == 494
    leaked = find_leakage(VOC2012VAL.split.ids, (), trained).ids
    assert len(leaked) == 35
    assert set(leaked) <= set(trained)
    assert find_leakage(VOC2011VAL.split.ids, (), trained).ids == ()
