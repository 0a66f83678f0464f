"""Networks of a model, wherever it keeps them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fcnbench.models.networks import networks_in, set_evaluation_mode, state_digest
from fcnbench.models.segmenter import ModuleSegmenter


class Slotted:
    """Keeps its network in a slot."""

    __slots__ = ("net",)

    def __init__(self, net: nn.Module) -> None:
        self.net = net


class Private:
    """Keeps its network in a slot with a private name."""

    __slots__ = ("__net", "empty")

    def __init__(self, net: nn.Module) -> None:
        self.__net = net


def of_class(net: nn.Module) -> Any:
    """Return an object whose class has the network as an attribute."""
    return type("Shared", (), {"net": net})()


def with_default(net: nn.Module) -> Callable[..., Any]:
    """Return a function with the network as a default argument."""

    def call(batch: Any, net: nn.Module = net) -> Any:
        return net(batch)

    return call


class Hidden(nn.Module):
    """Keeps a network in a plain list, which is not among its parts."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.nets = [net]


def enclosed(net: nn.Module) -> Callable[[Any], Any]:
    """Return a function with the network in its closure."""
    return lambda batch: net(batch)  # noqa: PLW0108 - its closure is what matters


def in_methods(net: nn.Module, how: Callable[[Any], Any]) -> Any:
    """Return an object whose class has a method with a network in its closure."""

    class Wrapped:
        @how
        def logits(*_: Any) -> Any:
            return net

    return Wrapped()


NAMED: dict[str, nn.Module] = {}
"""A global network that functions of this module use."""


def by_name(net: nn.Module) -> Any:
    """Return an object with a method that uses a global network of its module."""
    NAMED["net"] = net

    class Naming:
        def logits(self, batch: Any) -> Any:
            return [NAMED["net"](each) for each in batch]

    return Naming()


KEEPERS: dict[str, Callable[[nn.Module], Any]] = {
    "itself": lambda net: net,
    "attribute": lambda net: SimpleNamespace(net=net),
    "list": lambda net: SimpleNamespace(nets=[1, net]),
    "tuple": lambda net: SimpleNamespace(nets=("a", (net,))),
    "dict": lambda net: SimpleNamespace(nets={"a": {"b": net}}),
    "set": lambda net: {net},
    "slot": Slotted,
    "private slot": Private,
    "class attribute": of_class,
    "list of a class": lambda net: type("Shared", (), {"nets": [net]})(),
    "default of a function": with_default,
    "closure": enclosed,
    "partial": lambda net: functools.partial(enclosed, net=net),
    "bound method": lambda net: SimpleNamespace(net=net).__dict__["net"].forward,
    "method": lambda net: in_methods(net, lambda function: function),
    "static method": lambda net: in_methods(net, staticmethod),
    "class method": lambda net: in_methods(net, classmethod),
    "property": lambda net: in_methods(net, property),
    "cached method": lambda net: in_methods(net, functools.lru_cache),
    "cached property": lambda net: in_methods(net, functools.cached_property),
    "method with a partial": lambda net: in_methods(net, lambda function: functools.partialmethod(function, net)),
    "name in the module": by_name,
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


def broken(**methods: Callable[..., Any]) -> Any:
    """Return an object that raises, or never ends, when it is read."""
    bases = (Mapping,) if "__len__" in methods else (list,) if "__iter__" in methods else ()
    return type("Broken", bases, methods)()


def fails(*_: object) -> Any:
    """Raise an unusual exception."""
    raise KeyError("no")


def gone() -> Any:
    """Return a weak proxy of a deleted object."""
    return weakref.proxy(broken())


ODD: dict[str, Callable[[], Any]] = {
    "attributes": lambda: broken(__getattr__=fails, __eq__=fails, __hash__=fails, __bool__=fails),
    "slots": lambda: broken(__slots__=("a",), __getattr__=fails),
    "class": lambda: broken(__class__=property(fails)),
    "dictionary": lambda: broken(__dict__=property(fails)),
    "everything": lambda: broken(__getattribute__=fails),
    "list": lambda: broken(__iter__=fails),
    "mapping": lambda: broken(__iter__=fails, __len__=fails, __getitem__=fails),
    "mapping without end": lambda: broken(__iter__=lambda _: count(), __len__=fails, __getitem__=lambda *_: object()),
    "gone": gone,
    "generator": lambda: (each for each in ()),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_objects_that_break_hide_no_network(make: Callable[[], Any]) -> None:
    net = nn.Sequential(nn.Dropout())
    model = SimpleNamespace(odd=make(), more=SimpleNamespace(net=net))
    set_evaluation_mode(model)
    assert not net.training
    assert state_digest(model, None)


def test_networks_without_a_mode_are_left_as_they_are() -> None:
    net = nn.Conv2d(3, 8, 1).eval()
    program = torch.export.export(net, (torch.zeros(1, 3, 4, 4),)).module()
    set_evaluation_mode(SimpleNamespace(program=program))
    assert torch.equal(ModuleSegmenter(program).logits(torch.ones(1, 3, 4, 4)), net(torch.ones(1, 3, 4, 4)))


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
