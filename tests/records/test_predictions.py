"""Predictions as files: saved by a run, scored from a folder of any framework, and every wrong one named."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcnbench
from fcnbench.datasets.codec.images import encode_label
from fcnbench.errors import DataMissing, Interrupted, PredictionError, UsageError
from fcnbench.labelspace import VOC_PALETTE
from fcnbench.records.predictions import PredictionWriter, open_predictions
from fcnbench.records.scoring import PredictionsError
from tests.conftest import palette_png, voc_label
from tests.kills import finish, kills_at_every_write

Make = Callable[..., Path]


def pocket_maps(folder: Path, count: int = 64) -> Path:
    """The truth of pocket as predictions, void pixels answered with class 0."""
    folder.mkdir(parents=True)
    for sample in fcnbench.load_dataset("pocket")[:count]:
        label = np.where(sample.label == 255, 0, sample.label).astype(np.uint8)
        (folder / f"{sample.id}.png").write_bytes(encode_label(label, VOC_PALETTE))
    return folder


@pytest.fixture(scope="module")
def pocket_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests copy it."""
    root = tmp_path_factory.mktemp("predictions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNBENCH_HOME", str(root / "home"))
        return pocket_maps(root / "maps")


@pytest.fixture
def maps(pocket_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pocket_folder, tmp_path / "maps"))


# --- a run saves, score reads ----------------------------------------------------------------------------------------


def test_what_a_run_saved_scores_like_the_run(tmp_path: Path) -> None:
    ran = fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", trials=0)
    scored = fcnbench.score(tmp_path / "saved", board=tmp_path, model="fcn8s-pocket")
    np.testing.assert_array_equal(scored.record.evaluation.matrices, ran.record.evaluation.matrices)
    assert scored.record.predictions == ran.record.predictions
    assert scored.scores == ran.scores
    assert scored.record.data == ran.record.data
    assert (
        scored.record.protocol.signature()
        == "fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:unknown|prec:unknown|input:files"
    )
    assert scored.board == ran.board
    rows = fcnbench.read_board(scored.board)
    assert list(rows["predictions_digest"].unique()) == [ran.record.predictions]
    assert set(rows["provider"]) == {"fcnbench", "predictions"}


def test_saved_maps_have_the_voc_palette_and_their_own_size(tmp_path: Path) -> None:
    fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", limit=2)
    with Image.open(tmp_path / "saved/val-0000.png") as opened:
        assert opened.mode == "P"
        assert opened.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        sample = fcnbench.load_dataset("pocket")[0]
        assert opened.size == sample.label.shape[::-1]
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["val-0000.png", "val-0001.png"]


def test_voc_predictions_come_in_the_devkits_layout(make_voc: Make, voc_ids: list[str], tmp_path: Path) -> None:
    fcnbench.run(
        "fcn32s", "voc2011val", weights="random:0", from_=make_voc(voc_ids), allow_partial=True, limit=2,
        board=tmp_path, save_predictions=tmp_path / "results/VOC2012/Segmentation",
    )  # fmt: skip
    folder = tmp_path / "results/VOC2012/Segmentation/comp6_val_cls"
    assert sorted(path.stem for path in folder.iterdir()) == voc_ids[:2]
    scored = fcnbench.score(tmp_path / "results", "voc2011val", allow_partial=True, board=tmp_path)
    assert scored.record.protocol.count == "2/736"
    assert scored.board is None


def test_a_taken_folder_is_refused_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/mine.txt").write_text("mine")
    monkeypatch.setattr("fcnbench.models.load.open_model", lambda *a, **k: pytest.fail("the run began"))
    with pytest.raises(UsageError, match="not empty"):
        fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved")
    assert (tmp_path / "saved/mine.txt").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", limit=1)
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["val-0000.png"]


def interrupted(tmp_path: Path, images: int, after: int) -> None:
    """Begin a run that saves predictions, and interrupt it when so many are written."""
    put, seen = PredictionWriter.put, []

    def enough(self: PredictionWriter, sample_id: str, *more: object) -> None:
        if len(seen) == after:
            raise KeyboardInterrupt
        seen.append(sample_id)
        put(self, sample_id, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PredictionWriter, "put", enough)
        with pytest.raises(Interrupted, match=f"stopped after {after} of {images}"):
            fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", limit=images)


def test_an_interrupted_run_goes_on_and_the_folder_appears_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path, images=6, after=3)
    assert not (tmp_path / "saved").exists()
    put, seen = PredictionWriter.put, []
    monkeypatch.setattr(PredictionWriter, "put", lambda self, name, *more: (seen.append(name), put(self, name, *more)))
    again = fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", limit=6)
    assert again.record.evaluation.resumed == 3
    assert len(seen) == 3
    assert len(list((tmp_path / "saved").iterdir())) == 6
    assert not list(tmp_path.glob(".saved*"))


def test_predictions_of_an_interrupted_run_over_more_images_are_left_out(tmp_path: Path) -> None:
    interrupted(tmp_path, images=8, after=5)
    done = fcnbench.run(board=tmp_path, save_predictions=tmp_path / "saved", limit=2)
    assert sorted(path.stem for path in (tmp_path / "saved").iterdir()) == sorted(done.record.evaluation.ids)


def test_images_that_a_run_without_saving_had_scored_are_predicted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcnbench.evaluation.run.assemble", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fcnbench.run(board=tmp_path, limit=3)
    monkeypatch.undo()
    monkeypatch.setenv("FCNBENCH_HOME", str(tmp_path / "home"))
    again = fcnbench.run(board=tmp_path, limit=3, save_predictions=tmp_path / "saved")
    assert again.record.evaluation.resumed == 0
    assert len(list((tmp_path / "saved").iterdir())) == 3


def test_two_processes_with_one_folder_leave_it_whole(tmp_path: Path) -> None:
    fcnbench.load_dataset("pocket")
    command = [sys.executable, "-m", "fcnbench", "run", "--save-predictions", "saved", "--trials", "0"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=tmp_path, **pipes) for _ in range(2)]
    said = [process.communicate()[1] for process in processes]
    # The second may find the folder there before it begins, and then says so.
    codes = sorted(process.returncode for process in processes)
    assert codes == [0, 0] or (codes == [0, 2] and any("name a new folder" in text for text in said)), said
    assert len(list((tmp_path / "saved").iterdir())) == 64
    assert not list(tmp_path.glob(".saved*"))


def run_and_save(folder: Path) -> None:
    """Run a model on two images, and save its predictions."""
    fcnbench.run("oracle-perfect", board=folder, save_predictions=folder / "out/saved", limit=2, trials=0)


def test_a_run_killed_at_any_write_leaves_no_half_of_the_folder_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start"
    monkeypatch.setenv("FCNBENCH_HOME", str(start / "home"))
    fcnbench.load_dataset("pocket")
    events = []
    for killed in kills_at_every_write(run_and_save, start, below=("out", "home/journals")):
        events.append(killed.event)
        saved = killed.folder / "out/saved"
        if not saved.exists():
            finish(run_and_save, killed.folder)
        assert sorted(path.name for path in saved.iterdir()) == ["val-0000.png", "val-0001.png"]
        assert not list(killed.folder.glob("out/.saved*"))
    # Each prediction is renamed, and then their folder.
    assert sum(event.startswith("rename .val-") for event in events) == 2
    assert sum(event.startswith("rename .saved.") for event in events) == 1
    assert sum(event.startswith("write half of") and event.endswith(".jsonl") for event in events) >= 2


# --- score -----------------------------------------------------------------------------------------------------------


def test_the_truth_itself_scores_one(maps: Path, tmp_path: Path) -> None:
    found = fcnbench.score(maps, board=tmp_path)
    assert set(found.scores.values()) == {1.0}
    assert found.record.model.name == "maps"
    assert found.board is not None


def test_grey_and_palette_are_the_same_prediction(maps: Path, tmp_path: Path) -> None:
    before = fcnbench.score(maps, board=tmp_path).record.predictions
    for path in maps.iterdir():
        with Image.open(path) as opened:
            indices = np.array(opened)
        Image.fromarray(indices).save(path)
    assert fcnbench.score(maps, board=tmp_path).record.predictions == before


@pytest.mark.parametrize("below", ["comp5_val_cls", "results/VOC2012/Segmentation/comp6_test_cls"])
def test_the_devkits_layout_is_found(pocket_folder: Path, tmp_path: Path, below: str) -> None:
    shutil.copytree(pocket_folder, tmp_path / "top" / below)
    assert fcnbench.score(tmp_path / "top", board=tmp_path).scores["mean_iu"] == 1.0
    assert fcnbench.score(tmp_path / "top" / below, board=tmp_path).scores["mean_iu"] == 1.0


def test_two_folders_of_results_are_a_question(pocket_folder: Path, tmp_path: Path) -> None:
    for name in ("comp5_val_cls", "comp6_val_cls"):
        shutil.copytree(pocket_folder, tmp_path / "top" / name)
    with pytest.raises(PredictionError, match="comp5_val_cls, comp6_val_cls"):
        fcnbench.score(tmp_path / "top", board=tmp_path)


def test_everything_that_is_wrong_is_named_at_once(maps: Path, tmp_path: Path) -> None:
    def rewrite(sample_id: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        with Image.open(maps / f"{sample_id}.png") as opened:
            Image.fromarray(change(np.array(opened))).save(maps / f"{sample_id}.png")

    (maps / "val-0003.png").unlink()
    (maps / "val-0009.png").unlink()
    rewrite("val-0004", lambda label: label[:-1])
    rewrite("val-0005", lambda label: np.stack([label] * 3, axis=2))
    rewrite("val-0006", lambda label: np.full_like(label, 8))
    (maps / "val-0007.png").write_bytes(b"not a PNG")
    (maps / "val-0008.png").write_bytes(b"")
    (maps / "2007_000033.png").write_bytes((maps / "val-0000.png").read_bytes())
    (maps / "notes.txt").write_text("hello")
    (maps / ".DS_Store").write_text("")
    with pytest.raises(PredictionsError) as caught:
        fcnbench.score(maps, board=tmp_path)
    for text in (
        "without a prediction: val-0003, val-0009", "val-0004 (", "val-0005", "val-0006", "val-0007", "val-0008",
        "2007_000033", "notes.txt", ".DS_Store", "of mode RGB", "value 8",
    ):  # fmt: skip
        assert text in str(caught.value)
    named = [name.partition(" ")[0] for names in caught.value.problems.values() for name in names]
    assert len(named) == len(set(named)) == 10
    assert not (tmp_path / "submissions").exists()
    # A partial result forgives what is missing or too much, and nothing else.
    with pytest.raises(PredictionsError) as caught:
        fcnbench.score(maps, board=tmp_path, allow_partial=True)
    assert "val-0003" not in str(caught.value)
    assert "val-0004" in str(caught.value)


def test_a_part_is_scored_where_allowed_and_marked(
    maps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(maps.iterdir())[10:]:
        path.unlink()
    (maps / "2007_000033.png").write_bytes((maps / "val-0000.png").read_bytes())
    found = fcnbench.score(maps, board=tmp_path, allow_partial=True)
    assert found.record.protocol.count == "10/64"
    assert found.board is None
    said = capsys.readouterr().err
    assert "without a prediction: 54" in said
    assert "2007_000033" in said


def test_images_are_not_needed(make_voc: Make, voc_ids: list[str], tmp_path: Path) -> None:
    folder = make_voc(voc_ids, without_images=tuple(voc_ids))
    maps = tmp_path / "maps"
    maps.mkdir()
    for seed, sample_id in enumerate(voc_ids[:4]):
        label = voc_label(17 + seed % 7, 23 + seed % 5, seed)
        (maps / f"{sample_id}.png").write_bytes(palette_png(np.where(label == 255, 0, label)))
    found = fcnbench.score(maps, "voc2011val", from_=folder, allow_partial=True, board=tmp_path)
    assert found.record.protocol.count == "4/736"
    assert found.scores["mean_iu"] == 1.0
    with pytest.raises(DataMissing, match="only 5 of the 736 label maps"):
        fcnbench.score(maps, "voc2011val", from_=folder, board=tmp_path)


def test_a_palette_in_another_order_is_noticed(maps: Path, tmp_path: Path) -> None:
    """A program that makes PNGs smaller puts used colours first: same colours, other indices."""
    path = maps / "val-0000.png"
    with Image.open(path) as opened:
        used = np.unique(np.array(opened))
        assert list(used) != list(range(len(used)))
        small = Image.fromarray(np.searchsorted(used, np.array(opened)).astype(np.uint8))
    small.putpalette([value for index in used for value in VOC_PALETTE[index]])
    small.save(path)
    with pytest.raises(PredictionsError, match="put into another order"):
        fcnbench.score(maps, board=tmp_path)


def test_other_palettes_are_taken_as_they_are(maps: Path, tmp_path: Path) -> None:
    for path in maps.iterdir():
        with Image.open(path) as opened:
            indices = Image.fromarray(np.array(opened))
        indices.putpalette([7 * value % 256 for value in range(768)])
        indices.save(path)
    assert fcnbench.score(maps, board=tmp_path).scores["mean_iu"] == 1.0


def test_declared_training_keeps_a_folder_from_the_board(maps: Path, tmp_path: Path) -> None:
    found = fcnbench.score(maps, board=tmp_path, train_splits=["pocket"])
    assert found.board is None
    assert len(found.record.leakage.ids) == 64


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda path: None, DataMissing, "there is no folder"),
        (lambda path: path.mkdir(), DataMissing, "holds no prediction"),
        (lambda path: path.write_text("x"), DataMissing, "there is no folder"),
    ],
)
def test_no_folder_is_said(tmp_path: Path, make: Callable[[Path], object], error: type[Exception], text: str) -> None:
    make(tmp_path / "maps")
    with pytest.raises(error, match=text):
        fcnbench.score(tmp_path / "maps", board=tmp_path)


def test_score_takes_one_thing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either predictions or a record"):
        fcnbench.score()
    with pytest.raises(UsageError, match="either predictions or a record"):
        fcnbench.score(tmp_path, record=tmp_path)


def test_scoring_needs_no_torch(maps: Path, tmp_path: Path) -> None:
    fcnbench.load_dataset("pocket")
    code = (
        "import sys, fcnbench\n"
        f"found = fcnbench.score({str(maps)!r}, board={str(tmp_path)!r})\n"
        "fcnbench.score(record=found.path); fcnbench.compare(found.path, found.path); fcnbench.lens(found.path)\n"
        "fcnbench.check(found.path, record=found.path)\n"
        "sys.exit('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_files_are_listed_apart_from_what_is_none(maps: Path) -> None:
    (maps / "geo").mkdir()
    (maps / "sub").mkdir()
    found = open_predictions(maps)
    assert len(found.files) == 64
    assert found.geo == {}
    assert found.extra == ("geo", "sub")
