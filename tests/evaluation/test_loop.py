"""The loop: the same integers whatever the place they are counted, and every wrong answer of a model named."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fcnbench.datasets.load import load_dataset
from fcnbench.errors import DataMissing, Interrupted, ModelError, PredictionError
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import Evaluation, evaluate, label_map, scorable
from fcnbench.evaluation.prefetch import prefetched
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.models.load import load_model
from fcnbench.models.segmenter import Segmenter

CPU = torch.device("cpu")


class Stub:
    """A segmenter whose logits a test decides."""

    def __init__(self, classes: int = 8) -> None:
        self.classes = classes

    def prepare(self, image: np.ndarray) -> Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))

    def logits(self, batch: Tensor) -> Tensor:
        """Class 1 where red is above 127, else class 0."""
        logits = torch.zeros(1, self.classes, *batch.shape[2:])
        logits[:, 1] = batch[:, 0] - 127
        return logits


def score(segmenter: Segmenter, count: int = 3, key: str = "test", trials: int = 0) -> Evaluation:
    data = load_dataset("pocket")
    with Journal({"key": key}, 8) as journal:
        return evaluate(segmenter, data, scorable(data, count), CPU, journal, trials)


def test_matrices_equal_a_plain_sequential_evaluation() -> None:
    found = score(Stub(), 5)
    for place, sample in enumerate(load_dataset("pocket")[:5]):
        assert found.ids[place] == sample.id
        prediction = (sample.image[:, :, 0] > 127).astype(np.uint8)
        np.testing.assert_array_equal(found.matrices[place], confusion_matrix(sample.label, prediction, 8))
    assert found.matrices.dtype == np.int64


def test_two_runs_give_the_same_integers_and_predictions() -> None:
    model = load_model("fcn8s-pocket")
    first, second = score(model, 4), score(model, 4, key="another")
    np.testing.assert_array_equal(first.matrices, second.matrices)
    assert first.predictions == second.predictions


def test_timing_has_every_phase_of_every_image_and_the_papers_trials() -> None:
    timing = score(Stub(), 3, trials=2).timing
    assert {phase: len(seconds) for phase, seconds in timing.phases.items()} == {
        "decode": 3, "prepare": 3, "forward": 3, "score": 3,
    }  # fmt: skip
    assert len(timing.paper) == 2
    assert 0 < timing.images_per_second <= 3 / timing.seconds + 1e-9
    assert all(second > 0 for seconds in timing.phases.values() for second in seconds)


class WrongShape(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        return super().logits(batch)[..., ::2, ::2]


class WrongClasses(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        return super().logits(batch)[:, :5]


class NaNs(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        logits = super().logits(batch)
        logits[0, 3, 2, 2] = float("nan")
        return logits


class Labels(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        return super().logits(batch).long()


class NoTensor(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        return None  # a plugin may do anything


class Batched(Stub):
    def prepare(self, image: np.ndarray) -> Tensor:
        return super().prepare(image)[None]


class Fails(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (WrongShape, PredictionError, r"on image val-0000: logits are \(1, 8, \d+, \d+\), expected \(1, 8, \d+, \d+\)"),
        (WrongClasses, PredictionError, r"on image val-0000: logits are \(1, 5,.*the 8 classes of pocket8"),
        (NaNs, PredictionError, "on image val-0000: the logits hold NaN"),
        (Labels, PredictionError, "logits are torch.int64, expected floating point"),
        (NoTensor, PredictionError, "logits are NoneType"),
        (Batched, PredictionError, r"prepare gave \(1, 3,"),
        (Fails, ModelError, r"the model failed on image val-0000 \(\d+x\d+\): RuntimeError: out of luck"),
    ],
)
def test_wrong_answers_are_named_with_their_image(model: type[Stub], error: type[ModelError], message: str) -> None:
    with pytest.raises(error, match=message):
        score(model())


def test_a_model_that_fails_at_500x500_is_told_how_to_leave_that_out() -> None:
    class OnlySmall(Stub):
        def logits(self, batch: Tensor) -> Tensor:
            if batch.shape[-1] == 500:
                raise RuntimeError("too large")
            return super().logits(batch)

    with pytest.raises(ModelError, match="500x500 picture: RuntimeError: too large") as caught:
        score(OnlySmall(), trials=1)
    assert "--trials 0" in caught.value.hint


def test_an_interrupted_run_goes_on_where_it_stopped() -> None:
    class Stopped(Stub):
        seen = 0

        def logits(self, batch: Tensor) -> Tensor:
            Stopped.seen += 1
            if Stopped.seen == 4:
                raise KeyboardInterrupt
            return super().logits(batch)

    whole = score(Stub(), 6, key="whole")
    with pytest.raises(Interrupted, match="stopped after 3 of 6 images") as caught:
        score(Stopped(), 6)
    assert caught.value.exit_code == 130
    assert "it goes on from there" in caught.value.hint
    again = score(Stopped(), 6)
    assert Stopped.seen == 7  # 3 images, the interruption, the 3 that were left
    assert again.resumed == 3
    np.testing.assert_array_equal(again.matrices, whole.matrices)
    assert again.predictions == whole.predictions
    assert len(again.timing.phases["forward"]) == 3


def test_a_torn_last_line_of_the_journal_is_scored_again(tmp_path: Path) -> None:
    whole = score(Stub(), 4)
    (journal,) = (tmp_path / "home/journals").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    for damaged in (b"".join(lines)[:-7], b"".join(lines[:3]) + b"00000000 {}\n", b"".join(lines[:3]) + b"\0\0\0"):
        journal.write_bytes(damaged)
        again = score(Stub(), 4)
        assert again.resumed == 3
        np.testing.assert_array_equal(again.matrices, whole.matrices)


def test_a_journal_in_use_by_another_run_is_left_alone() -> None:
    with Journal({"key": "test"}, 8) as first, Journal({"key": "test"}, 8) as second:
        assert (first.kept, second.kept) == (True, False)
        second.forget()
    with Journal({"key": "test"}, 8) as third:
        assert third.kept
        third.forget()


def test_only_samples_with_a_picture_are_scored(make_voc: object, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids, without_images=(voc_ids[0], voc_ids[3]))
    data = load_dataset("voc2011val", folder, allow_partial=True)
    assert scorable(data) == [1, 2, 4]
    assert scorable(data, 2) == [1, 2]


def test_labels_alone_can_not_be_run(make_voc: object, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids, without_images=tuple(voc_ids)), allow_partial=True)
    with pytest.raises(DataMissing, match=r"holds no pictures of the kind that the model takes \(rgb\)"):
        scorable(data)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_label_maps_do_not_depend_on_the_way_they_are_found(dtype: torch.dtype) -> None:
    logits = torch.randn(5, 40, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    np.testing.assert_array_equal(label_map(logits), logits.double().numpy().argmax(0))
    logits[2, 7, 7] = float("nan")
    with pytest.raises(PredictionError, match="NaN"):
        label_map(logits)


def test_an_error_while_reading_reaches_the_loop_and_the_thread_ends() -> None:
    data = load_dataset("pocket")

    def read_all() -> None:
        with prefetched(data, [0, 1, 99]) as samples:
            for _ in samples:
                pass

    with pytest.raises(IndexError):
        read_all()
    assert not [thread for thread in threading.enumerate() if thread.name == "fcnbench-prefetch"]


def test_leaving_the_loop_early_ends_the_thread() -> None:
    with prefetched(load_dataset("pocket"), range(64)) as samples:
        next(samples)
    assert not [thread for thread in threading.enumerate() if thread.name == "fcnbench-prefetch"]
