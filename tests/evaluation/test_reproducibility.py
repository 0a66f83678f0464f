"""The reproducibility check: flipped pixels are counted, and ways that a model can't be run in are named."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import fcnbench
from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.reproducibility import CHECKED_IMAGES, check_reproducibility
from fcnbench.models.load import load_model
from fcnbench.records.files import load

CPU = torch.device("cpu")


class Irreproducible:
    """A segmenter of which every prediction flips one more pixel, and which accepts one image at a time."""

    def __init__(self) -> None:
        self.turn = 0

    def prepare(self, image: np.ndarray) -> Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))

    def logits(self, batch: Tensor) -> Tensor:
        if len(batch) > 1:
            raise ValueError("one at a time")
        self.turn += 1
        logits = torch.zeros(1, 8, *batch.shape[2:])
        logits[0, 1].view(-1)[: self.turn] = 1
        return logits


def test_flips_are_counted_and_impossible_ways_are_named() -> None:
    data = load_dataset("pocket")
    found = check_reproducibility(ImagePipeline(Irreproducible(), data, CPU), [3, 4])
    assert found.images == 2
    assert found.pixels == data[3].label.size + data[4].label.size
    assert found.flips == {"second run": 2, "batch of 2": None, "one thread": 4}
    assert "batch of 2 not possible" in found.describe()


def test_a_sound_net_on_one_machine_hardly_flips() -> None:
    data = load_dataset("pocket")
    found = check_reproducibility(ImagePipeline(load_model("fcn8s-pocket"), data, CPU), list(range(20)))
    assert found.images == CHECKED_IMAGES
    assert found.flips["second run"] == 0
    assert all(flips < found.pixels / 1000 for flips in found.flips.values())


def test_the_check_is_recorded_read_back_and_suggested(tmp_path: Path) -> None:
    run = fcnbench.run(board=tmp_path, trials=0, certify=True)
    assert load(run.path).evaluation.reproducibility == run.record.evaluation.reproducibility
    (found,) = fcnbench.verify(run.path)
    said = {finding.subject: finding.text for finding in found.findings}
    assert "on 8 images" in said["reproducibility"]
    assert fcnbench.score(record=run.path).mismatches == ()
    plain = fcnbench.run(board=tmp_path, trials=0)
    (found,) = fcnbench.verify(plain.path)
    assert "run --certify" in {finding.subject: finding.text for finding in found.findings}["reproducibility"]


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    check_reproducibility(ImagePipeline(load_model("fcn8s-pocket"), load_dataset("pocket"), CPU), [0])
    assert torch.get_num_threads() == before
