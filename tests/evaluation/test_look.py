"""What is done for every image, and what only once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation import look as looks
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.look import Look
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.models.switches import seed


class Late(nn.Module):
    """A network that makes a layer in its first forward pass, outside of what PyTorch knows, and leaves training on."""

    num_classes = 8

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[nn.Module] = []
        self.found: list[bool] = []

    def forward(self, batch: Tensor) -> Tensor:
        """Logits of class 0."""
        if not self.parts:
            self.parts = [nn.Dropout()]
        self.found.append(self.parts[0].training or self.training)
        self.train()
        self.parts[0].train()
        return torch.zeros(len(batch), 8, *batch.shape[2:]).index_fill_(1, torch.tensor([0]), 1.0)


def test_the_model_is_searched_for_networks_once_more_after_the_first_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    searched, net = [], Late()
    found = looks.networks_in
    monkeypatch.setattr(looks, "networks_in", lambda model: searched.append(model) or found(model))
    with Journal({"key": "searched"}, 8) as journal:
        data = load_dataset("pocket")
        evaluate(Look(ModuleSegmenter(net), data, torch.device("cpu")), scorable(data, 5), journal, 0)
        journal.forget()
    assert len(searched) == 2
    assert net.found == [True, False, False, False, False]


def test_seeding_gives_what_pytorchs_own_gives_and_starts_no_device() -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    seed(7, "cpu")
    torch.testing.assert_close(torch.rand(3), expected[0], rtol=0, atol=0)
    np.testing.assert_array_equal(np.random.rand(3), expected[1])
    assert not torch.cuda.is_initialized()
