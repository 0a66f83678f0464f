"""The steps of one image: training mode, random seeds, and what is done only once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcnbench.datasets.load import load_dataset
from fcnbench.errors import ModelError
from fcnbench.evaluation import pipeline
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.models.torch_state import seed
from tests.counts import specs


class Late(nn.Module):
    """A network that makes a layer in its first forward pass, or in that of every new size.

    Args:
        make: makes the layer.
        each_size: whether every size gets a layer.
        hidden: whether the layer is kept in an attribute that PyTorch does not search.
    """

    num_classes = 8

    def __init__(self, make: Callable[[], nn.Module], *, each_size: bool = False, hidden: bool = False) -> None:
        super().__init__()
        self.make, self.each_size, self.hidden = make, each_size, hidden
        self.parts: dict[str, nn.Module] = {}

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits [N, 8, H, W]."""
        key = str(tuple(batch.shape)) if self.each_size else "part"
        if key not in self.parts:
            self.parts[key] = self.make()
            if not self.hidden:
                self.add_module(key, self.parts[key])
        return self.parts[key](torch.cat([batch, batch, batch[:, :2]], 1))


def score(net: nn.Module, count: int = 5) -> NDArray[np.int64]:
    """Return the confusion matrices of a network on the first images."""
    with Journal({"key": "pipeline"}, specs(8)) as journal:
        data = load_dataset("pocket")
        done = evaluate(
            ImagePipeline(ModuleSegmenter(net), data, torch.device("cpu")), scorable(data, count), journal, 0
        )
        journal.forget()
    return done.matrices


@pytest.mark.parametrize("each_size", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_layers_that_a_forward_pass_makes_in_training_mode_are_refused(each_size: bool, hidden: bool) -> None:
    def norm() -> nn.Module:
        return nn.BatchNorm2d(8)

    with pytest.raises(ModelError, match="in training mode"):
        score(Late(norm, each_size=each_size, hidden=hidden))
    made = iter(range(100))

    def later() -> nn.Module:
        return norm() if next(made) else norm().eval()

    if each_size:
        with pytest.raises(ModelError, match="in training mode"):
            score(Late(later, each_size=True, hidden=hidden))
    assert score(Late(lambda: norm().eval(), each_size=each_size, hidden=hidden)).sum() > 0


class Switching(nn.Module):
    """A network that switches training mode on at some point of a forward pass."""

    num_classes = 8

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when, self.drop = when, nn.Dropout(0.9)

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits [N, 8, H, W]."""
        if self.when == "before":
            self.drop.train()
        found = self.drop(torch.cat([batch, batch, batch[:, :2]], 1))
        if self.when == "after":
            self.train()
        if self.when == "within":
            self.train()
            self.eval()
        return found


def test_training_mode_that_a_model_switches_on_is_refused() -> None:
    for when in ("before", "after"):
        with pytest.raises(ModelError, match="the forward pass leaves Switching or a layer in it in training mode"):
            score(Switching(when))
    np.testing.assert_array_equal(score(Switching("within")), score(Switching("never")))
    net = Switching("never")
    net.prepare = lambda image: net.train() and torch.from_numpy(image.copy()).permute(2, 0, 1).float()
    with pytest.raises(ModelError, match="in training mode"):
        score(net)


def test_a_model_is_searched_for_networks_only_before_and_after_the_first_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[object] = []
    search = pipeline.networks_in
    monkeypatch.setattr(pipeline, "networks_in", lambda model: searched.append(model) or search(model))
    score(Switching("never"))
    assert len(searched) == 2


def test_seeding_gives_what_pytorchs_own_gives_and_starts_no_device() -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    seed(7, "cpu")
    torch.testing.assert_close(torch.rand(3), expected[0], rtol=0, atol=0)
    np.testing.assert_array_equal(np.random.rand(3), expected[1])
    assert not torch.cuda.is_initialized()
