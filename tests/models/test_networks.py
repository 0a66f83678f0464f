"""Networks inside a model, wherever it keeps them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fcnbench.models.networks import networks_in, set_evaluation_mode, state_digest


class Slotted:
    """Keeps its network in a slot."""

    __slots__ = ("net",)

    def __init__(self, net: nn.Module) -> None:
        self.net = net


class Hidden(nn.Module):
    """Keeps a network in a plain list, which PyTorch does not count among its own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.nets = [net]


def enclosed(net: nn.Module) -> Callable[[Any], Any]:
    """A function around a network."""
    return lambda batch: net(batch)  # noqa: PLW0108 - its closure is what matters


KEEPERS: dict[str, Callable[[nn.Module], Any]] = {
    "itself": lambda net: net,
    "attribute": lambda net: SimpleNamespace(net=net),
    "list": lambda net: SimpleNamespace(nets=[1, net]),
    "tuple": lambda net: SimpleNamespace(nets=("a", (net,))),
    "dict": lambda net: SimpleNamespace(nets={"a": {"b": net}}),
    "set": lambda net: {net},
    "slot": Slotted,
    "closure": enclosed,
    "partial": lambda net: functools.partial(enclosed, net=net),
    "bound method": lambda net: SimpleNamespace(net=net).__dict__["net"].forward,
    "hidden in a module": Hidden,
    "hidden in a part of a module": lambda net: nn.Sequential(nn.Sequential(Hidden(net))),
}


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_a_network_is_found_and_put_into_evaluation_mode(keep: Callable[[nn.Module], Any]) -> None:
    net = nn.Sequential(nn.Dropout())
    model = keep(net)
    assert net.training
    assert net in networks_in(model)
    set_evaluation_mode(model)
    assert not net.training
    assert not net[0].training


def test_the_outermost_networks_are_named_once_and_circles_end() -> None:
    inner = nn.ReLU()
    outer = nn.Sequential(inner)
    model = SimpleNamespace(inner=inner, outer=outer)
    model.itself = model
    assert networks_in(model) == [outer]


def test_any_number_that_a_model_holds_changes_its_digest() -> None:
    model = SimpleNamespace(net=nn.Conv2d(1, 1, 1), table=np.arange(3), bias=[torch.zeros(2)])
    before = state_digest(model, None)
    assert state_digest(model, None) == before
    model.table[1] = 7
    changed = state_digest(model, None)
    model.bias[0][1] = 1
    again = state_digest(model, None)
    with torch.no_grad():
        model.net.weight += 1
    assert len({before, changed, again, state_digest(model, None)}) == 4
    assert state_digest(model, model.net) == state_digest(model, model.net)
    known = state_digest(model, model.net)
    with torch.no_grad():
        model.net.weight += 1
    assert state_digest(model, model.net) == known
