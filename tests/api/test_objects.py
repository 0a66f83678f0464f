"""The public functions take objects where they take names and paths, and an object never passes for another one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fcnbench
from fcnbench.datasets.families.pocket.family import POCKET_VAL
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.splits import Split
from fcnbench.errors import DataMissing, Interrupted, ModelError, UnknownName, UsageError, WeightsError
from fcnbench.models.objects import INTERACTIVE, name_of

CODE = """
import torch
from torch import nn
from helper import SEED


class Net(nn.Module):
    num_classes = 8

    def __init__(self, seed=SEED):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Conv2d(3, 8, 1)

    def forward(self, x):
        return self.layer(x)


class Own:
    def __init__(self, seed=0):
        import fcnbench
        self.inner = fcnbench.ModuleSegmenter(Net(seed))

    def prepare(self, image):
        return self.inner.prepare(image)

    def logits(self, batch):
        return self.inner.logits(batch)


def build(num_classes=8, weights=None):
    return Net(int(weights or 0))
"""

TINY = replace(
    POCKET_VAL, name="tiny", split=Split("pocket-val", POCKET_VAL.split.ids[:2]), fingerprint=None
)  # fmt: skip


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's own, with a neighbour that it imports."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "users_net.py").write_text(CODE)
    (folder / "helper.py").write_text("SEED = 0\n")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    module = importlib.import_module("users_net")
    yield module
    for name in ("users_net", "helper"):
        sys.modules.pop(name, None)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    return partial(fcnbench.run, limit=2, trials=0, board=tmp_path / "board")


def test_an_object_gives_the_number_of_the_same_network_in_a_file(net: Any, run: Callable[..., Any]) -> None:
    named = run(f"{net.__file__}:build")
    given = {
        "users_net.py:Net": (net.Net(), net.Net, partial(net.Net, 0), fcnbench.ModuleSegmenter(net.Net())),
        "users_net.py:Own": (net.Own(), net.Own),
        "users_net.py:build": (net.build,),
    }
    for name, models in given.items():
        for model in models:
            done = run(model, "pocket")
            facts = done.record.model
            assert done.scores == named.scores
            assert (facts.name, facts.provider, facts.weights) == (name, "users_net.py", None)
            assert facts.version == named.record.model.version
            assert facts.weights_digest == named.record.model.weights_digest
            assert done.record.code is not None
            assert done.record.code.files == {
                name: named.record.code.files[name] for name in ("users_net.py", "helper.py")
            }


def test_a_factory_gets_the_weights_and_an_object_has_its_own(net: Any, run: Callable[..., Any]) -> None:
    first, second = run(net.build, weights="1"), run(net.Net(1))
    assert first.record.predictions == second.record.predictions
    assert first.record.model.weights == "1"
    with pytest.raises(WeightsError, match="takes no weights"):
        run(net.Net(1), weights="1")
    with pytest.raises(UsageError, match="the model is a int, expected a name"):
        run(3)
    with pytest.raises(ModelError, match="returns an object of type int"):
        run(lambda: 3)


def test_a_network_of_a_package_is_named_after_its_class_and_package(run: Callable[..., Any]) -> None:
    facts = run(nn.Sequential(nn.Conv2d(3, 8, 1))).record.model
    assert (facts.name, facts.provider, facts.version) == ("Sequential", "torch", version("torch"))
    assert facts.preprocessing == "imagenet_rgb"
    loaded = fcnbench.load_model("fcn8s-pocket", num_classes=8)
    own, named = run(loaded), run("fcn8s-pocket")
    assert own.record.predictions == named.record.predictions
    assert own.record.model.provider == "fcnbench"
    assert own.record.leakage.declared == named.record.leakage.declared


def test_code_that_no_file_holds_is_called_interactive() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def build(num_classes):\n    pass\nclass Net:\n    pass", space)
    assert (name_of(space["build"]).display, name_of(space["build"]).provider) == ("build", INTERACTIVE)
    assert name_of(lambda: None).display == "test_objects.py:lambda"


def test_a_network_without_preprocessing_says_which_one_it_gets(
    net: Any, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(net.Net())
    assert "users_net.py:Net declares no preprocessing" in capsys.readouterr().err
    run(fcnbench.ModuleSegmenter(net.Net(), lambda image: torch.zeros(3, *image.shape[:2])))
    assert "declares no preprocessing" not in capsys.readouterr().err


def test_a_network_in_training_comes_back_as_it_was(net: Any, run: Callable[..., Any]) -> None:
    model = nn.Sequential(net.Net(), nn.Dropout2d(0.5))
    model[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    first = run(model)
    assert [part.training for part in model] == [False, True]
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model(torch.rand(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    second = run(model)
    assert first.record.model.weights_digest != second.record.model.weights_digest
    assert first.record.predictions != second.record.predictions


class Stops(nn.Module):
    """Stops once, at its second image, as Ctrl-C does."""

    def __init__(self, flip: bool) -> None:
        super().__init__()
        self.layer, self.flip, self.seen, self.stopped = nn.Conv2d(3, 8, 1), flip, 0, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        if self.seen == 4 and not self.stopped:
            self.stopped = True
            raise KeyboardInterrupt
        return self.layer(x).flip(1) if self.flip else self.layer(x)


def test_an_interrupted_run_of_an_object_is_continued_by_no_other(run: Callable[..., Any], tmp_path: Path) -> None:
    first = Stops(flip=False)
    with pytest.raises(Interrupted, match="a model that is an object starts over"):
        run(first, limit=5)
    assert list((tmp_path / "home/journals").glob("*.jsonl")) == []
    # The same class with the same weights, and another answer.
    second = Stops(flip=True)
    second.load_state_dict(first.state_dict())
    second.stopped = True
    other = run(second, limit=5)
    assert other.record.evaluation.resumed == 0
    first.stopped = True
    again = run(first, limit=5)
    assert again.record.evaluation.resumed == 0
    assert again.record.predictions != other.record.predictions
    assert again.identity.parts != run(first, limit=5).identity.parts


def test_records_are_taken_as_runs_records_paths_and_folders(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("fcn8s-pocket")
    others = (done, done.record, done.path, str(done.path.parent))
    for one in others:
        assert fcnbench.compare(one, done).flips == 0
        assert fcnbench.lens(one)[0].why == "the same"
        assert fcnbench.check(one, record=done.record).passed
        assert fcnbench.check(done, record=one).verdicts[0].kind == "identical"
        assert fcnbench.report(one, output=tmp_path / "page.html").is_file()
        assert fcnbench.score(record=one).mismatches == ()
        (verification,) = fcnbench.verify(one, write=False)
        assert {finding.subject for finding in verification.findings if not finding.sound} == {"whole"}
    for wrong in (3, None, object()):
        for call in (fcnbench.lens, fcnbench.report, fcnbench.check, partial(fcnbench.compare, done)):
            with pytest.raises(UsageError, match="is not a record"):
                call(wrong)
    with pytest.raises(DataMissing, match="there is no record"):
        fcnbench.lens(tmp_path / "nowhere")


def test_a_record_without_a_file_is_submitted_and_verified(tmp_path: Path) -> None:
    done = fcnbench.run("oracle-perfect", trials=0, board=tmp_path / "board")
    for run in (done, done.record, replace(done, path=tmp_path / "gone/record.json")):
        folder = tmp_path / f"boards-{id(run)}"
        found = fcnbench.submit(run, contact="a@b.org", licence="none", board=folder)
        assert found.sound
        assert found.path.is_file()
        assert fcnbench.verify(run, write=False)[0].sound


def test_a_model_that_is_an_object_is_held_against_a_baseline(net: Any, run: Callable[..., Any]) -> None:
    baseline = run(net.Net(1))
    assert fcnbench.check(baseline, model=net.Net(1)).verdicts[0].kind == "identical"
    assert not fcnbench.check(baseline, model=net.Net(2)).passed
    with pytest.raises(UnknownName, match="can't be run again by its name"):
        fcnbench.check(baseline)


def test_datasets_are_taken_as_names_specifications_and_loaded(run: Callable[..., Any], tmp_path: Path) -> None:
    loaded, named = fcnbench.load_dataset("pocket"), run(dataset="pocket")
    for dataset in (loaded, POCKET_VAL):
        done = run("fcn8s-pocket", dataset)
        assert done.record.predictions == named.record.predictions
        assert done.record.protocol == named.record.protocol
        assert fcnbench.plan(dataset=dataset).dataset == "pocket"
        assert len(fcnbench.fetch(dataset)) == 64
        assert fcnbench.examine_model("fcn8s-pocket", dataset)[0].sound
    assert fcnbench.examine(loaded).findings[0].sound
    with pytest.raises(UsageError, match="the dataset is a int, expected a name"):
        run(dataset=3)
    with pytest.raises(UsageError, match="is loaded, and from_ names a copy of it"):
        run(dataset=loaded, from_=tmp_path)
    with pytest.raises(UsageError, match="is not the dataset of the signature"):
        run(dataset=loaded, signature=named.record.protocol.signature().replace("pocket", "voc2011val"))


def test_a_specification_need_not_be_registered_and_can_not_pass_for_another(tmp_path: Path) -> None:
    done = fcnbench.run("fcn8s-pocket", TINY, trials=0, board=tmp_path, save_predictions=tmp_path / "maps")
    assert (done.record.protocol.dataset, done.record.protocol.count) == ("tiny", "2")
    scored = fcnbench.score(tmp_path / "maps", fcnbench.load_dataset(TINY), board=tmp_path)
    assert scored.scores == done.scores
    assert sorted(path.name for path in fcnbench.export(TINY, "voc", tmp_path / "voc").iterdir())
    with pytest.raises(UsageError, match="pocket is a registered dataset, and this is another one"):
        fcnbench.run("fcn8s-pocket", replace(TINY, name="pocket"), trials=0, board=tmp_path)


def test_results_have_short_representations(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("fcn8s-pocket")
    check, comparison = fcnbench.check(done, record=done), fcnbench.compare(done, done)
    timing = fcnbench.bench(nn.Conv2d(3, 8, 1), trials=1, seconds=0, board=tmp_path)
    rescored, (verification,) = fcnbench.score(record=done), fcnbench.verify(done, write=False)
    for result, text in (
        (done, "<Run of fcn8s-pocket on pocket, 2/64 images: pixel_acc 0."),
        (done.record, "<Record "),
        (check, "<Check passed: fcn8s-pocket on pocket: identical, pixel for pixel>"),
        (check.verdicts[0], "<Verdict fcn8s-pocket on pocket: identical"),
        (comparison, "<Comparison of 2 images: mean IU 0."),
        (timing, "<Bench of Conv2d, single-stream, fp32, "),
        (rescored, "<Rescored "),
        (verification, "<Verification of "),
        (fcnbench.load_dataset("pocket"), "<Dataset pocket, 64 of 64 images, 8 classes>"),
        (fcnbench.load_dataset("pocket")[0], "<Sample val-0000, 241x152: label, image>"),
        (find_dataset("voc2011val"), "<DatasetSpec voc2011val: 736 images, 21 classes>"),
        (fcnbench.load_model("fcn8s-pocket"), "<FastSegmenter of <ModuleSegmenter of FCN, 8 classes, "),
        (fcnbench.plan("fcn8s-pocket", board=tmp_path), "<Plan of fcn8s-pocket on pocket: 0 downloads, results in "),
    ):
        assert repr(result).startswith(text)
        assert len(repr(result)) < 400
    assert "identical" in check._repr_html_()
    assert "<table>" in done._repr_html_()
    assert "2 images in common" in comparison._repr_html_()


def test_a_record_is_recomputed_without_other_arguments(run: Callable[..., Any]) -> None:
    options: Any = {"record": run("fcn8s-pocket"), "trimap": True}
    with pytest.raises(UsageError, match="recomputes a record without other arguments"):
        fcnbench.score(**options)


def test_a_class_is_a_factory_even_where_it_looks_like_a_segmenter(net: Any) -> None:
    assert name_of(net.Own).display == "users_net.py:Own"
    assert isinstance(fcnbench.load_model(net.Own).prepare(np.zeros((4, 4, 3), np.uint8)), torch.Tensor)


@pytest.mark.parametrize("wrong", [3, 1.5, b"x", ["x"], {}, object(), np.zeros(2), True])
@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: fcnbench.run(board=wrong),
        lambda wrong: fcnbench.run(weights=wrong),
        lambda wrong: fcnbench.run(from_=wrong),
        lambda wrong: fcnbench.run(device=wrong),
        lambda wrong: fcnbench.run(precision=wrong),
        lambda wrong: fcnbench.run(signature=wrong),
        lambda wrong: fcnbench.run(dense=wrong),
        lambda wrong: fcnbench.run(dataset=wrong),
        lambda wrong: fcnbench.bench("fcn8s-pocket", scenario=wrong),
        fcnbench.score,
        lambda wrong: fcnbench.score(record=wrong),
        lambda wrong: fcnbench.score("predictions", model=wrong),
        lambda wrong: fcnbench.score("predictions", train_splits=[wrong]),
        fcnbench.lens,
        lambda wrong: fcnbench.compare(wrong, wrong),
        fcnbench.report,
        lambda wrong: fcnbench.export("pocket", wrong),
        lambda wrong: fcnbench.export("pocket", "voc", output=wrong),
        fcnbench.verify,
        fcnbench.board,
        fcnbench.verify_boards,
        fcnbench.board_pages,
        fcnbench.read_board,
        fcnbench.read_sweep,
        lambda wrong: fcnbench.run_cell(wrong, wrong),
        fcnbench.load_dataset,
        lambda wrong: fcnbench.confusion_matrix([0], wrong, 2),
    ],
)
def test_a_value_of_another_type_is_wrong_usage_before_anything_is_done(
    call: Callable[[Any], object], wrong: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        call(wrong)
    assert not list(tmp_path.glob("fcnbench-results"))


def test_only_what_is_a_dataset_passes_for_one() -> None:
    """A path, or anything else with a name, is not one."""
    with pytest.raises(UsageError, match=r"the dataset is a \w+Path"):
        fcnbench.run(dataset=Path("pocket"))


@pytest.mark.parametrize("predictions", ["ab", ("a",), ("a", "b", "c"), {"a": 1, "b": 2}])
def test_compare_takes_two_folders_of_predictions(run: Callable[..., Any], predictions: Any) -> None:
    finished = run("oracle-perfect")
    with pytest.raises(UsageError, match="expected the folders of both runs"):
        fcnbench.compare(finished, finished, predictions=predictions)


def test_a_path_that_can_not_be_one_is_wrong_usage() -> None:
    for path, says in (("~no-such-user/run", "begins with ~"), ("a\0b", "holds a NUL character")):
        with pytest.raises(UsageError, match=says):
            fcnbench.lens(path)
