"""The memory of a tensor: owned alone, or copied."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from fcnbench.models.load import load_model
from fcnbench.models.tensor_ownership import owned, take
from tests.second_copy import second_copy

KEPT: list[object] = []


def keeping(how: Callable[[Tensor], object]) -> Callable[[], Tensor]:
    """Return a model that keeps a reference to the memory of the tensor that it returns."""

    def give() -> Tensor:
        given = torch.zeros(6)
        KEPT.append(how(given))
        return given

    return give


OTHERS: dict[str, Callable[[], Tensor]] = {
    "the object": keeping(lambda given: given),
    "a view": keeping(lambda given: given[2:]),
    "an alias": keeping(lambda given: given.detach()),
    "an array": keeping(lambda given: given.numpy()),
    "an array of an alias": keeping(lambda given: given.detach().numpy()),
    "its storage": keeping(lambda given: given.untyped_storage()),
    "a capsule": keeping(lambda given: given.__dlpack__()),
    "a memoryview": keeping(lambda given: memoryview(given.numpy())),
    "numpy's memory": lambda: torch.from_numpy(np.zeros(6, np.float32)),
    "a buffer's memory": lambda: torch.frombuffer(bytearray(24), dtype=torch.float32),
    "shared memory": lambda: torch.zeros(6).share_memory_(),
    "a parameter": lambda: torch.nn.Parameter(torch.zeros(6)),
    "a subclass": lambda: torch.zeros(6).as_subclass(Special),  # type: ignore[arg-type]
}


class Special(Tensor):
    """A subclass of Tensor."""


@pytest.mark.parametrize("mode", [False, True])
@pytest.mark.parametrize("kind", OTHERS)
def test_memory_that_somebody_else_can_reach_is_copied(kind: str, mode: bool) -> None:
    KEPT.clear()
    with torch.inference_mode(mode):
        assert not take([OTHERS[kind]()])[1]
        mine = owned([OTHERS[kind]()])
        assert torch.equal(mine, torch.zeros(6))
        holder = KEPT[-1] if KEPT else None
        if isinstance(holder, Tensor):
            holder.add_(1)
            assert torch.equal(mine, torch.zeros(6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", [False, True])
def test_usual_logits_are_not_copied(dtype: torch.dtype, mode: bool) -> None:
    layer = torch.nn.Conv2d(3, 4, 1).to(dtype)
    batch = torch.ones(2, 3, 5, 5, dtype=dtype)
    with torch.inference_mode(mode):
        for give in (
            lambda: layer(batch),
            lambda: torch.relu(layer(batch))[..., 1:4].transpose(2, 3),
            lambda: {"out": layer(batch)}["out"],
        ):
            given = give()
            address, box = given.data_ptr(), [given]
            del given
            mine, alone = take(box)
            assert alone
            assert not box
            assert mine.data_ptr() == address
    for fast in (False, True):
        segmenter = load_model("fcn8s-pocket", fast=fast)
        prepared = owned([segmenter.prepare(np.zeros((20, 30, 3), np.uint8))])
        assert take([segmenter.prepare(np.zeros((20, 30, 3), np.uint8))])[1]
        assert take([segmenter.logits(prepared[None])])[1]


@pytest.mark.parametrize("wrong", [lambda _: 1, lambda _: (_ for _ in ()).throw(AttributeError("no such function"))])
def test_where_owners_are_not_counted_everything_is_copied(
    wrong: Callable[[object], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert take([torch.zeros(3)])[1]
    copy = second_copy("fcnbench.models.tensor_ownership")
    assert copy.take([torch.zeros(3)])[1]
    copy = second_copy("fcnbench.models.tensor_ownership")
    monkeypatch.setattr(sys, "getrefcount", wrong)
    assert not copy.take([torch.zeros(3)])[1]
