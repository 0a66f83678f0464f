"""A model with chosen logits, and the loop over a few images with it."""

import numpy as np
import torch
from torch import Tensor

from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.models.segmenter import Segmenter
from fcnbench.records.evaluation import Evaluation
from tests.counts import specs

CPU = torch.device("cpu")


class Stub:
    """A segmenter with chosen logits."""

    def __init__(self, classes: int = 8) -> None:
        self.classes = classes

    def prepare(self, image: np.ndarray) -> Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits of class 1 where red is above 127, else of class 0."""
        logits = torch.zeros(1, self.classes, *batch.shape[2:])
        logits[:, 1] = batch[:, 0] - 127
        return logits


def score(segmenter: Segmenter, count: int = 3, key: str = "test", trials: int = 0) -> Evaluation:
    data = load_dataset("pocket")
    with Journal({"key": key}, specs(8)) as journal:
        return evaluate(ImagePipeline(segmenter, data, CPU), scorable(data, count), journal, trials)
