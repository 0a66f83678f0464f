"""Models that use their memory again, and write into what they are given: the integers are those of a plain one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fcnbench
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.store.dataset import Dataset, Sample
from fcnbench.evaluation.journal import Journal, Scored
from fcnbench.evaluation.loop import batches, evaluate
from fcnbench.evaluation.pipeline import Look
from fcnbench.evaluation.precision import Precision
from fcnbench.evaluation.reproducibility import check_reproducibility
from fcnbench.evaluation.timing import paper_forward_time, time_scenario
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.records.evaluation import Evaluation
from tests.datasets import native
from tests.evaluation.test_tasks import SIFT_IDS

CPU = torch.device("cpu")
COUNT, CLASSES = 14, 8


class Plain:
    """Class 1 where red is above 127, else class 0, with memory of its own for everything."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.memory: list[Tensor] = []
        self.turn = 0

    def prepare(self, image: np.ndarray) -> Tensor:
        """Eight planes, the second of which is red above 127; exact in half precision too."""
        planes = torch.zeros((CLASSES, *image.shape[:2]))
        planes[1] = torch.from_numpy(image[:, :, 0].astype(np.float32)) - 127
        return planes

    def logits(self, batch: Tensor) -> Tensor:
        return self.given(batch.to(self.dtype, copy=True))

    def given(self, answer: Tensor) -> Tensor:
        """What is returned of the right answer."""
        return answer

    def into(self, answer: Tensor, buffers: int = 1) -> Tensor:
        """The answer in one of some buffers, which take turns."""
        while len(self.memory) < buffers:
            self.memory.append(torch.zeros(1 << 20, dtype=self.dtype))
        self.turn += 1
        return self.memory[self.turn % buffers][: answer.numel()].view(answer.shape).copy_(answer)


class OneBuffer(Plain):
    def given(self, answer: Tensor) -> Tensor:
        return self.into(answer)


class TwoBuffers(Plain):
    def given(self, answer: Tensor) -> Tensor:
        return self.into(answer, 2)


class FiveBuffers(Plain):
    def given(self, answer: Tensor) -> Tensor:
        return self.into(answer, 5)


class SameObject(Plain):
    """Gives back one and the same tensor, with other sizes and values."""

    whole = torch.zeros(0)

    def given(self, answer: Tensor) -> Tensor:
        if self.whole.dtype != answer.dtype:
            self.whole = torch.zeros(0, dtype=answer.dtype)
        return self.whole.resize_(answer.shape).copy_(answer)


class NumpysMemory(Plain):
    """Makes tensors of one numpy array."""

    array = np.zeros(1 << 23, np.uint8)

    def given(self, answer: Tensor) -> Tensor:
        space = torch.from_numpy(self.array[: answer.nbytes]).view(answer.dtype)
        return space.view(answer.shape).copy_(answer)


class KeepsArray(Plain):
    """Keeps arrays of its old answers, and writes over them."""

    def given(self, answer: Tensor) -> Tensor:
        for old in self.memory:
            old.fill_(0)
        self.memory = [answer.view(torch.uint8) if self.turn % 2 else answer]
        self.turn += 1
        return answer[:, :]


class OwnInput(Plain):
    """Answers in its input's memory, and keeps that."""

    def logits(self, batch: Tensor) -> Tensor:
        for old in self.memory:
            old.zero_()
        self.memory = [batch]
        batch.mul_(2)
        return batch if self.dtype == torch.float32 else batch.to(self.dtype)


class SpoilsInput(Plain):
    """Writes into its input after it has read it."""

    def logits(self, batch: Tensor) -> Tensor:
        answer = super().logits(batch)
        batch.fill_(-1)
        return answer


class PreparesInOneBuffer(Plain):
    buffer = torch.zeros(1 << 20)

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        return self.buffer[: planes.numel()].view(planes.shape).copy_(planes)


class PreparesInOneArray(SpoilsInput):
    array = np.zeros(1 << 20, np.float32)

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        self.array[: planes.numel()] = planes.numpy().ravel()
        return torch.from_numpy(self.array)[: planes.numel()].view(planes.shape)


class SpoilsImage(Plain):
    """Writes into the image that it prepares, and gives the image's memory away."""

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        image[:] = 255
        return planes


TWINS = (
    OneBuffer, TwoBuffers, FiveBuffers, SameObject, NumpysMemory, KeepsArray, OwnInput, SpoilsInput,
    PreparesInOneBuffer, PreparesInOneArray, SpoilsImage,
)  # fmt: skip


class Kept:
    """A dataset that decodes every sample once."""

    def __init__(self, data: Dataset) -> None:
        self.manifest, self.label_space, self.geo = data.manifest, data.label_space, data.geo
        self.samples = list(data[:COUNT])
        self.folder = data.folder

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


@cache
def pocket() -> Any:
    return Kept(load_dataset("pocket"))


@cache
def golden() -> list[np.ndarray]:
    return [
        confusion_matrix(sample.label, (sample.image[:, :, 0] > 127).astype(np.uint8), CLASSES)
        for sample in pocket().samples
    ]


PRECISIONS = {torch.bfloat16: "bf16", torch.float16: "fp16"}
"""Precisions of runs whose logits may be of these dtypes."""


@cache
def plainly(dtype: torch.dtype, batch: int) -> list[Scored]:
    return as_late_as_can_be(Plain(dtype), pocket(), batch)


def as_late_as_can_be(segmenter: Any, data: Any, batch: int, margins: bool = True) -> list[Scored]:
    """Everything prepared before the first forward pass, and all of these before the first is scored."""
    look = Look(segmenter, data, CPU, margins=margins)
    look.expect(Precision(PRECISIONS.get(getattr(segmenter, "dtype", None), "fp32")))
    places = list(range(len(data.manifest.rows)))[:COUNT]
    with torch.inference_mode():
        reads = [look.read(group) for group in batches(data.manifest.rows, places, batch)]
        answered = [each for read in reads for each in look.forward(read)]
        scored = {each.id: each for each in map(look.score, answered)}
    return [scored[data.manifest.rows[place].id] for place in places]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("twin", TWINS)
def test_reused_memory_changes_no_integer(twin: type[Plain], batch: int, dtype: torch.dtype) -> None:
    found = as_late_as_can_be(twin(dtype), pocket(), batch)
    for matrix, right, each in zip(golden(), plainly(dtype, batch), found, strict=True):
        np.testing.assert_array_equal(right.matrix, matrix)
        np.testing.assert_array_equal(each.matrix, matrix)
        np.testing.assert_array_equal(each.margins, right.margins)
        assert each.prediction == right.prediction


def looped(segmenter: Any, data: Any, batch: int) -> Evaluation:
    with Journal({"key": f"{type(segmenter).__name__} {batch}"}, CLASSES) as journal:
        return evaluate(Look(segmenter, data, CPU, margins=True), list(range(COUNT)), journal, 0, batch=batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_loop_gives_the_integers_of_a_plain_model_for_every_twin(batch: int) -> None:
    for twin in (Plain, *TWINS):
        np.testing.assert_array_equal(looped(twin(), pocket(), batch).matrices, golden())


class Heads(Plain):
    """Two heads, in one memory or in one each."""

    together, buffers = True, 1

    def all_logits(self, batch: Tensor) -> dict[str, Tensor]:
        classes = (batch[:, 1] + 127).long() % 33
        planes = nn.functional.one_hot(torch.cat([classes, classes % 3]), 33).permute(0, 3, 1, 2).to(self.dtype)
        out, geo = planes[: len(batch)], planes[len(batch) :, :3]
        if not self.together:
            return {"out": out.clone(), "geo": geo.clone()}
        both = self.into(torch.cat([out, geo], 1), self.buffers)
        return {"out": both[:, :33], "geo": both[:, 33:]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("buffers", [1, 2])
def test_two_heads_may_share_memory(tmp_path: Path, buffers: int, batch: int, dtype: torch.dtype) -> None:
    archive = native.zipped(native.siftflow(SIFT_IDS), tmp_path / "sift.zip")
    data = load_dataset("siftflowtest", archive, allow_partial=True)
    alone, shared = Heads(dtype), Heads(dtype)
    alone.together, shared.buffers = False, buffers
    expected, found = (as_late_as_can_be(each, data, batch) for each in (alone, shared))
    assert len({str(each.matrix) for each in expected}) == len(expected) == len(SIFT_IDS)
    for right, each in zip(expected, found, strict=True):
        np.testing.assert_array_equal(each.matrix, right.matrix)
        assert each.geo is not None
        np.testing.assert_array_equal(each.geo, right.geo)
        np.testing.assert_array_equal(each.margins, right.margins)


class Repeats:
    """Answers from the ground truth: red herrings where that is class 0."""

    modalities: tuple[str, ...] = ()
    array = np.zeros(1 << 20, np.uint8)

    def __init__(self, how: str) -> None:
        self.how = how

    def prepare(self, image: np.ndarray) -> Tensor:
        raise AssertionError

    def logits(self, batch: Tensor) -> Tensor:
        raise AssertionError

    def answer(self, label: np.ndarray) -> np.ndarray:
        right = np.where((label == 0) | (label == 255), 1, label).astype(np.uint8)
        if self.how == "in the label":
            label[:] = right
            return label
        if self.how == "in one array":
            space = self.array[: label.size].reshape(label.shape)
            space[:] = right
            return space
        if self.how == "spoils the label":
            label[:] = 3
        return right


@pytest.mark.parametrize("how", ["in the label", "in one array", "spoils the label"])
def test_an_answer_from_the_truth_leaves_the_truth_alone(how: str) -> None:
    data = pocket()
    before = [sample.label.copy() for sample in data.samples]
    for _ in range(2):
        expected = as_late_as_can_be(Repeats("plainly"), data, 1, margins=False)
        found = as_late_as_can_be(Repeats(how), data, 1, margins=False)
        for right, each in zip(expected, found, strict=True):
            assert right.matrix[0, 0] == 0
            np.testing.assert_array_equal(each.matrix, right.matrix)
    for sample, label in zip(data.samples, before, strict=True):
        np.testing.assert_array_equal(sample.label, label)


def test_a_model_may_spoil_the_images_of_a_dataset_that_keeps_them() -> None:
    data = pocket()
    before = [np.array(sample.image) for sample in data.samples]
    as_late_as_can_be(SpoilsImage(), data, 4)
    for sample, image in zip(data.samples, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)


@pytest.mark.parametrize("twin", TWINS)
def test_the_reproducibility_check_finds_no_flips_of_models_that_reuse_memory(twin: type[Plain]) -> None:
    found = check_reproducibility(Look(twin(), pocket(), CPU), [0, 1, 2])
    assert found.flips == {"second run": 0, "batch of 2": 0, "one thread": 0}


class Spoils(nn.Module):
    """Writes into its input, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, float]] = set()

    def forward(self, batch: Tensor) -> Tensor:
        self.seen.add((len(batch), float(batch[0].sum())))
        return batch.mul_(0.5).sub_(1)


def times(net: Spoils) -> None:
    paper_forward_time(ModuleSegmenter(net), CPU, 2)


def single(net: Spoils) -> None:
    time_scenario(ModuleSegmenter(net), CPU, "single-stream", 1, trials=3, seconds=0)


def throughput(net: Spoils) -> None:
    time_scenario(ModuleSegmenter(net), CPU, "throughput", 2, trials=7, seconds=0)


@pytest.mark.parametrize("timed", [times, single, throughput])
def test_every_timed_pass_gets_the_same_input(timed: Callable[[Spoils], None]) -> None:
    net = Spoils()
    timed(net)
    assert len({total for _, total in net.seen}) == 1


DOCTORED = """
import numpy as np, torch
class Model:
    memory, turns = torch.zeros(1 << 22), 0
    def prepare(self, image):
        planes = image.transpose(2, 0, 1).astype(np.float32)
        image[:] = 0
        space = self.memory[: planes.size].view(planes.shape)
        return space.copy_(torch.from_numpy(planes))
    def logits(self, batch):
        Model.turns += {restless}
        answer = batch[:, [0, 1, 2, 0, 1, 2, 0, 1]] + self.turns
        batch.zero_()
        return self.memory[1 << 21 :][: answer.numel()].view(answer.shape).copy_(answer)
"""


@pytest.mark.parametrize("restless", [0, 1])
def test_the_doctor_judges_models_that_use_memory_again_by_their_numbers(tmp_path: Path, restless: int) -> None:
    (tmp_path / "net.py").write_text(DOCTORED.replace("{restless}", str(restless)))
    found = {each.subject: each.sound for each in fcnbench.examine_model(f"{tmp_path}/net.py:Model", device="cpu")}
    wrong = {subject for subject, sound in found.items() if not sound}
    assert wrong == ({"determinism", "ahead", "batch"} if restless else set())
