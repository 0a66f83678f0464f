"""Models that reuse their memory, and write into their input: the integers are those of a plain model."""

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
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import batches, evaluate
from fcnbench.evaluation.near_ties import NearTieCount
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.precision import Precision
from fcnbench.evaluation.reproducibility import check_reproducibility
from fcnbench.evaluation.timing import paper_forward_time, time_scenario
from fcnbench.metrics.confusion import confusion_matrix
from fcnbench.metrics.counts import CONFUSION, GEO_CONFUSION
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.records.evaluation import NEAR_TIES, Evaluation, ImageCounts
from tests.datasets import native
from tests.evaluation.test_second_heads_and_modalities import SIFT_IDS

CPU = torch.device("cpu")
COUNT, CLASSES = 14, 8


class Plain:
    """Predicts class 1 where red is above 127, else class 0; every result has new memory."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.memory: list[Tensor] = []
        self.turn = 0

    def prepare(self, image: np.ndarray) -> Tensor:
        """Return eight planes, the second of which is red minus 127; exact in half precision, too."""
        planes = torch.zeros((CLASSES, *image.shape[:2]))
        planes[1] = torch.from_numpy(image[:, :, 0].astype(np.float32)) - 127
        return planes

    def logits(self, batch: Tensor) -> Tensor:
        return self.returned(batch.to(self.dtype, copy=True))

    def returned(self, logits: Tensor) -> Tensor:
        """Return the right logits, in the memory that this model uses."""
        return logits

    def into(self, logits: Tensor, buffers: int = 1) -> Tensor:
        """Return the logits in one of some buffers, which take turns."""
        while len(self.memory) < buffers:
            self.memory.append(torch.zeros(1 << 20, dtype=self.dtype))
        self.turn += 1
        return self.memory[self.turn % buffers][: logits.numel()].view(logits.shape).copy_(logits)


class OneBuffer(Plain):
    def returned(self, logits: Tensor) -> Tensor:
        return self.into(logits)


class TwoBuffers(Plain):
    def returned(self, logits: Tensor) -> Tensor:
        return self.into(logits, 2)


class FiveBuffers(Plain):
    def returned(self, logits: Tensor) -> Tensor:
        return self.into(logits, 5)


class SameObject(Plain):
    """Returns the same tensor object each time, with another size and other values."""

    whole = torch.zeros(0)

    def returned(self, logits: Tensor) -> Tensor:
        if self.whole.dtype != logits.dtype:
            self.whole = torch.zeros(0, dtype=logits.dtype)
        return self.whole.resize_(logits.shape).copy_(logits)


class NumpyMemory(Plain):
    """Returns tensors in the memory of one numpy array."""

    array = np.zeros(1 << 23, np.uint8)

    def returned(self, logits: Tensor) -> Tensor:
        space = torch.from_numpy(self.array[: logits.nbytes]).view(logits.dtype)
        return space.view(logits.shape).copy_(logits)


class KeepsArray(Plain):
    """Keeps its earlier logits, and overwrites them."""

    def returned(self, logits: Tensor) -> Tensor:
        for old in self.memory:
            old.fill_(0)
        self.memory = [logits.view(torch.uint8) if self.turn % 2 else logits]
        self.turn += 1
        return logits[:, :]


class OwnInput(Plain):
    """Returns logits in its input's memory, and keeps that."""

    def logits(self, batch: Tensor) -> Tensor:
        for old in self.memory:
            old.zero_()
        self.memory = [batch]
        batch.mul_(2)
        return batch if self.dtype == torch.float32 else batch.to(self.dtype)


class OverwritesInput(Plain):
    """Overwrites its input after it has read it."""

    def logits(self, batch: Tensor) -> Tensor:
        logits = super().logits(batch)
        batch.fill_(-1)
        return logits


class PreparesInOneBuffer(Plain):
    buffer = torch.zeros(1 << 20)

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        return self.buffer[: planes.numel()].view(planes.shape).copy_(planes)


class PreparesInOneArray(OverwritesInput):
    array = np.zeros(1 << 20, np.float32)

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        self.array[: planes.numel()] = planes.numpy().ravel()
        return torch.from_numpy(self.array)[: planes.numel()].view(planes.shape)


class OverwritesImage(Plain):
    """Overwrites the image that it preprocesses."""

    def prepare(self, image: np.ndarray) -> Tensor:
        planes = super().prepare(image)
        image[:] = 255
        return planes


VARIANTS = (
    OneBuffer, TwoBuffers, FiveBuffers, SameObject, NumpyMemory, KeepsArray, OwnInput, OverwritesInput,
    PreparesInOneBuffer, PreparesInOneArray, OverwritesImage,
)  # fmt: skip


class CachedDataset:
    """A dataset that decodes every sample once."""

    def __init__(self, data: Dataset) -> None:
        self.manifest, self.label_space, self.geo = data.manifest, data.label_space, data.geo
        self.samples = list(data[:COUNT])
        self.folder = data.folder

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


@cache
def pocket() -> Any:
    return CachedDataset(load_dataset("pocket"))


@cache
def golden() -> list[np.ndarray]:
    return [
        confusion_matrix(sample.label, (sample.image[:, :, 0] > 127).astype(np.uint8), CLASSES)
        for sample in pocket().samples
    ]


PRECISIONS = {torch.bfloat16: "bf16", torch.float16: "fp16"}
"""Precisions of runs whose logits may be of these dtypes."""


@cache
def plain_scores(dtype: torch.dtype, batch: int) -> list[ImageCounts]:
    return score_late(Plain(dtype), pocket(), batch)


def score_late(segmenter: Any, data: Any, batch: int, ties: bool = True) -> list[ImageCounts]:
    """Preprocess everything before the first forward pass, and run all of these before the first is scored."""
    pipeline = ImagePipeline(segmenter, data, CPU, counts=[NearTieCount(data.label_space)] if ties else ())
    pipeline.expect(Precision(PRECISIONS.get(getattr(segmenter, "dtype", None), "fp32")))
    indices = list(range(len(data.manifest.rows)))[:COUNT]
    with torch.inference_mode():
        groups = [pipeline.read(group) for group in batches(data.manifest.rows, indices, batch)]
        pending = [each for group in groups for each in pipeline.forward(group)]
        scored = {each.id: each for each in map(pipeline.score, pending)}
    return [scored[data.manifest.rows[index].id] for index in indices]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_reused_memory_changes_no_integer(variant: type[Plain], batch: int, dtype: torch.dtype) -> None:
    found = score_late(variant(dtype), pocket(), batch)
    for matrix, right, each in zip(golden(), plain_scores(dtype, batch), found, strict=True):
        np.testing.assert_array_equal(right.counts[CONFUSION], matrix)
        np.testing.assert_array_equal(each.counts[CONFUSION], matrix)
        np.testing.assert_array_equal(each.counts[NEAR_TIES], right.counts[NEAR_TIES])
        assert each.digests == right.digests


def run_loop(segmenter: Any, data: Any, batch: int) -> Evaluation:
    pipeline = ImagePipeline(segmenter, data, CPU, counts=[NearTieCount(data.label_space)])
    with Journal({"key": f"{type(segmenter).__name__} {batch}"}, pipeline.specs) as journal:
        return evaluate(pipeline, list(range(COUNT)), journal, 0, batch=batch)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_loop_gives_the_integers_of_a_plain_model_for_every_variant(batch: int) -> None:
    for variant in (Plain, *VARIANTS):
        np.testing.assert_array_equal(run_loop(variant(), pocket(), batch).matrices, golden())


class Heads(Plain):
    """Two heads, which share their memory or not."""

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
    expected, found = (score_late(each, data, batch) for each in (alone, shared))
    assert len({str(each.counts[CONFUSION]) for each in expected}) == len(expected) == len(SIFT_IDS)
    for right, each in zip(expected, found, strict=True):
        np.testing.assert_array_equal(each.counts[CONFUSION], right.counts[CONFUSION])
        assert each.counts[GEO_CONFUSION] is not None
        np.testing.assert_array_equal(each.counts[GEO_CONFUSION], right.counts[GEO_CONFUSION])
        np.testing.assert_array_equal(each.counts[NEAR_TIES], right.counts[NEAR_TIES])


class FromGroundTruth:
    """An oracle that repeats the ground truth, with class 1 in place of class 0."""

    modalities: tuple[str, ...] = ()
    array = np.zeros(1 << 20, np.uint8)

    def __init__(self, how: str) -> None:
        self.how = how

    def prepare(self, image: np.ndarray) -> Tensor:
        raise AssertionError

    def logits(self, batch: Tensor) -> Tensor:
        raise AssertionError

    def predict_from_ground_truth(self, label: np.ndarray) -> np.ndarray:
        right = np.where((label == 0) | (label == 255), 1, label).astype(np.uint8)
        if self.how == "in the label":
            label[:] = right
            return label
        if self.how == "in one array":
            space = self.array[: label.size].reshape(label.shape)
            space[:] = right
            return space
        if self.how == "overwrites the label":
            label[:] = 3
        return right


@pytest.mark.parametrize("how", ["in the label", "in one array", "overwrites the label"])
def test_an_oracle_can_not_change_the_ground_truth(how: str) -> None:
    data = pocket()
    before = [sample.label.copy() for sample in data.samples]
    for _ in range(2):
        expected = score_late(FromGroundTruth("in new memory"), data, 1, ties=False)
        found = score_late(FromGroundTruth(how), data, 1, ties=False)
        for right, each in zip(expected, found, strict=True):
            assert right.counts[CONFUSION][0, 0] == 0
            np.testing.assert_array_equal(each.counts[CONFUSION], right.counts[CONFUSION])
    for sample, label in zip(data.samples, before, strict=True):
        np.testing.assert_array_equal(sample.label, label)


def test_a_model_may_overwrite_the_images_of_a_dataset_that_keeps_them() -> None:
    data = pocket()
    before = [np.array(sample.image) for sample in data.samples]
    score_late(OverwritesImage(), data, 4)
    for sample, image in zip(data.samples, before, strict=True):
        np.testing.assert_array_equal(sample.image, image)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_reproducibility_check_finds_no_flips_of_models_that_reuse_memory(variant: type[Plain]) -> None:
    found = check_reproducibility(ImagePipeline(variant(), pocket(), CPU), [0, 1, 2])
    assert found.flips == {"second run": 0, "batch of 2": 0, "one thread": 0}


class RecordsInput(nn.Module):
    """Overwrites its input, and records what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, float]] = set()

    def forward(self, batch: Tensor) -> Tensor:
        self.seen.add((len(batch), float(batch[0].sum())))
        return batch.mul_(0.5).sub_(1)


def paper(net: RecordsInput) -> None:
    paper_forward_time(ModuleSegmenter(net), CPU, 2)


def single(net: RecordsInput) -> None:
    time_scenario(ModuleSegmenter(net), CPU, "single-stream", 1, trials=3, seconds=0)


def throughput(net: RecordsInput) -> None:
    time_scenario(ModuleSegmenter(net), CPU, "throughput", 2, trials=7, seconds=0)


@pytest.mark.parametrize("timed", [paper, single, throughput])
def test_every_timed_pass_gets_the_same_input(timed: Callable[[RecordsInput], None]) -> None:
    net = RecordsInput()
    timed(net)
    assert len({total for _, total in net.seen}) == 1


REUSING = """
import numpy as np, torch
class Model:
    memory, turns = torch.zeros(1 << 22), 0
    def prepare(self, image):
        planes = image.transpose(2, 0, 1).astype(np.float32)
        image[:] = 0
        space = self.memory[: planes.size].view(planes.shape)
        return space.copy_(torch.from_numpy(planes))
    def logits(self, batch):
        Model.turns += {changing}
        answer = batch[:, [0, 1, 2, 0, 1, 2, 0, 1]] + self.turns
        batch.zero_()
        return self.memory[1 << 21 :][: answer.numel()].view(answer.shape).copy_(answer)
"""


@pytest.mark.parametrize("changing", [0, 1])
def test_the_doctor_judges_models_that_reuse_memory_by_their_logits(tmp_path: Path, changing: int) -> None:
    (tmp_path / "net.py").write_text(REUSING.replace("{changing}", str(changing)))
    found = {each.subject: each.sound for each in fcnbench.examine_model(f"{tmp_path}/net.py:Model", device="cpu")}
    wrong = {subject for subject, sound in found.items() if not sound}
    assert wrong == ({"determinism", "ahead", "batch"} if changing else set())
