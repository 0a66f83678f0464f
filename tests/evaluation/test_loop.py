"""The loop: the same integers for any batch size and number of threads, and every error of a model with its image."""

import threading
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.store.manifest import Row
from fcnbench.errors import DataMissing, ModelError, PredictionError
from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import batches, evaluate, scorable
from fcnbench.evaluation.near_ties import near_ties
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.models.load import load_model
from tests.counts import specs
from tests.evaluation.stub import CPU, Stub, score


def test_matrices_equal_a_plain_sequential_evaluation() -> None:
    found = score(Stub(), 5)
    for index, sample in enumerate(load_dataset("pocket")[:5]):
        assert found.ids[index] == sample.id
        prediction = (sample.image[:, :, 0] > 127).astype(np.uint8)
        np.testing.assert_array_equal(found.matrices[index], confusion_matrix(sample.label, prediction, 8))
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


class NoLargest(Stub):
    def logits(self, batch: Tensor) -> Tensor:
        logits = super().logits(batch)
        logits[0, :, 2, 2] = float("-inf")
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
        (NoLargest, PredictionError, "on image val-0000: the logits are minus infinity in every class at some pixel"),
        (Labels, PredictionError, "logits are torch.int64, expected floating point"),
        (NoTensor, PredictionError, "logits are NoneType"),
        (Batched, PredictionError, r"prepare gave \(1, 3,"),
        (Fails, ModelError, r"the model failed on image val-0000 \(\d+x\d+\): RuntimeError: out of luck"),
    ],
)
def test_wrong_logits_are_refused_with_their_image(model: type[Stub], error: type[ModelError], message: str) -> None:
    with pytest.raises(error, match=message):
        score(model())


def test_a_model_that_fails_at_500x500_can_be_run_without_that_timing() -> None:
    class OnlySmall(Stub):
        def logits(self, batch: Tensor) -> Tensor:
            if batch.shape[-1] == 500:
                raise RuntimeError("too large")
            return super().logits(batch)

    with pytest.raises(ModelError, match="500x500 image: RuntimeError: too large") as caught:
        score(OnlySmall(), trials=1)
    assert "--trials 0" in caught.value.hint


def test_only_samples_with_an_image_are_scored(make_voc: object, voc_ids: list[str]) -> None:
    folder = make_voc(voc_ids, without_images=(voc_ids[0], voc_ids[3]))
    data = load_dataset("voc2011val", folder, allow_partial=True)
    assert scorable(data) == [1, 2, 4]
    assert scorable(data, 2) == [1, 2]


def test_labels_alone_can_not_be_run(make_voc: object, voc_ids: list[str]) -> None:
    data = load_dataset("voc2011val", make_voc(voc_ids, without_images=tuple(voc_ids)), allow_partial=True)
    with pytest.raises(DataMissing, match=r"holds no images of the kind that the model takes \(rgb\)"):
        scorable(data)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_label_maps_are_numpys_in_every_dtype(dtype: torch.dtype) -> None:
    logits = torch.randn(5, 40, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    np.testing.assert_array_equal(label_map(logits), logits.double().numpy().argmax(0))
    logits[1, 7, 7] = logits[3, 7, 7] = float("inf")
    assert label_map(logits)[7, 7] == 1
    logits[:, 7, 7] = float("-inf")
    with pytest.raises(PredictionError, match="minus infinity in every class"):
        label_map(logits)
    logits[2, 7, 7] = float("nan")
    with pytest.raises(PredictionError, match="NaN"):
        label_map(logits)


def test_two_logits_of_plus_infinity_are_a_near_tie() -> None:
    logits = torch.zeros(3, 1, 3)
    logits[:2, 0, 0] = float("inf")
    logits[1, 0, 1] = float("inf")
    logits[1:, 0, 2] = torch.tensor([50.0, float("-inf")])
    assert near_ties(logits, np.zeros((1, 3), np.uint8), 255).tolist() == [1, 1, 1, 1]


def test_an_error_while_reading_reaches_the_loop_and_the_thread_ends() -> None:
    data = load_dataset("pocket")

    with pytest.raises(IndexError), Journal({"key": "test"}, specs(8)) as journal:
        evaluate(ImagePipeline(Stub(), data, CPU), [0, 1, 99], journal, 0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench")]


def test_leaving_the_loop_early_ends_the_thread() -> None:
    with pytest.raises(ModelError):
        score(Fails(), 60)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench")]


class LimitedMemory(Stub):
    """Runs out of memory with more than `fit` images at a time, and records the batch sizes."""

    def __init__(self, fit: int, error: type[RuntimeError] = torch.cuda.OutOfMemoryError) -> None:
        super().__init__()
        self.fit, self.error = fit, error
        self.given: list[int] = []

    def logits(self, batch: Tensor) -> Tensor:
        if len(batch) > self.fit:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried to allocate too much")
        self.given.append(len(batch))
        return torch.cat([super(LimitedMemory, self).logits(each[None]) for each in batch])


def of_one_size(count: int) -> list[int]:
    """Return the indices of `count` images of one size in pocket."""
    rows = load_dataset("pocket").manifest.rows
    sizes = Counter((row.height, row.width) for row in rows)
    size, _ = sizes.most_common(1)[0]
    return [index for index, row in enumerate(rows) if (row.height, row.width) == size][:count]


def test_batches_are_of_one_size_and_hold_every_index_once() -> None:
    sizes = [(3, 4), (3, 4), (4, 3), (3, 4), (4, 3), (5, 5), (3, 4)] * 20
    rows = [Row(str(index), *size, None, "") for index, size in enumerate(sizes)]
    indices = list(range(3, len(rows)))
    groups = batches(rows, indices, 4)
    assert sorted(index for group in groups for index in group) == indices
    assert all(len({sizes[index] for index in group}) == 1 and len(group) <= 4 for group in groups)
    assert len(groups) < len(indices) / 2
    assert batches(rows, indices, 1) == [[index] for index in indices]


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_batches_change_no_integer_and_keep_the_order(batch: int) -> None:
    alone, model = score(Stub(), 20, key="alone"), LimitedMemory(fit=99)
    data = load_dataset("pocket")
    with Journal({"key": "batches"}, specs(8)) as journal:
        found = evaluate(ImagePipeline(model, data, CPU), scorable(data, 20), journal, 0, batch=batch)
    assert found.ids == alone.ids
    np.testing.assert_array_equal(found.matrices, alone.matrices)
    assert found.predictions == alone.predictions
    assert sum(model.given) == 20
    assert len(found.timing.phases["forward"]) == 20
    assert found.execution is not None
    assert found.execution.batch == batch


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, RuntimeError])
def test_out_of_memory_halves_the_batch_and_goes_on(
    error: type[RuntimeError], capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = load_dataset("pocket"), LimitedMemory(fit=2, error=error)
    read = ImagePipeline(model, data, CPU).read(of_one_size(1) * 7)
    pending = ImagePipeline(model, data, CPU).forward(read)
    assert [prediction.prepared for prediction in pending] == read
    assert model.given == [2, 2, 2, 1]
    assert "out of memory with a batch of 7: going on with 4" in capsys.readouterr().err


def test_one_image_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ModelError, match="val-0000") as caught:
        score(LimitedMemory(fit=0), 2)
    assert "one image at a time is too much" in caught.value.hint


def test_an_error_other_than_out_of_memory_does_not_halve_the_batch() -> None:
    class Broken(Stub):
        def logits(self, batch: Tensor) -> Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    data = load_dataset("pocket")
    pipeline = ImagePipeline(Broken(), data, CPU)
    with pytest.raises(ModelError, match="cannot be multiplied"):
        pipeline.forward(pipeline.read(of_one_size(1) * 4))


def test_reading_runs_in_other_threads_and_the_forward_pass_in_the_callers() -> None:
    seen: dict[str, set[str]] = {"prepare": set(), "logits": set()}

    class RecordsThreads(Stub):
        def prepare(self, image: np.ndarray) -> Tensor:
            seen["prepare"].add(threading.current_thread().name)
            return super().prepare(image)

        def logits(self, batch: Tensor) -> Tensor:
            seen["logits"].add(threading.current_thread().name)
            return super().logits(batch)

    score(RecordsThreads(), 6)
    assert seen["logits"] == {threading.current_thread().name}
    assert all(name.startswith("fcnbench-work") for name in seen["prepare"])
