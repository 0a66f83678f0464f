"""Whether somebody else can still write into a tensor's memory.

The loop prepares images ahead in other threads and reads logits behind, so what a model returned has to keep its values
after the model was called again. A model may use its memory again (one buffer, two or three in turn, an array of
numpy's, its own input). A tensor is its receiver's alone where PyTorch allocated its memory for this process and counts
one owner of it. The count is not public, so it is tried first; where it is missing or wrong, nothing counts as owned.
"""

from __future__ import annotations

import sys
from functools import cache

import torch
from torch import Tensor


def take(box: list[Tensor]) -> tuple[Tensor, bool]:
    """Take a tensor out of a list that holds the only reference of the caller's.

    Args:
        box: the tensor, which is removed.

    Returns:
        The tensor or an alias of it, and whether nobody else can reach its memory. False for memory of numpy's, memory
        shared with other processes, subclasses of Tensor, and devices other than the CPU.

    >>> buffer = torch.zeros(3)
    >>> take([torch.zeros(3)])[1], take([buffer[1:]])[1]
    (True, False)
    """
    given = box.pop()
    base = _single()
    if base is None or type(given) is not Tensor or given.device.type != "cpu" or given.layout is not torch.strided:
        return given, False
    # The model may have kept the very object. Its memory has a second owner then, once an alias has replaced it here.
    alias = given.detach()
    del given
    storage = alias.untyped_storage()
    alone = storage.resizable() and not storage.is_shared()
    del storage
    return alias, alone and _owners(alias) == base


def owned(box: list[Tensor]) -> Tensor:
    """Take a tensor out of a list that holds the caller's only reference: a copy, unless nobody else can reach it.

    >>> buffer = torch.zeros(3)
    >>> mine = owned([buffer])
    >>> buffer.add_(1), mine
    (tensor([1., 1., 1.]), tensor([0., 0., 0.]))
    """
    tensor, alone = take(box)
    return tensor if alone else tensor.clone()


def _owners(tensor: Tensor) -> int:
    """Owners of a tensor's memory, as PyTorch and Python count them, this function among them."""
    storage = tensor.untyped_storage()
    # All of Python has one object for a storage, which PyTorch counts once.
    return int(torch._C._storage_Use_Count(storage._cdata)) + sys.getrefcount(storage)


@cache
def _single() -> int | None:
    """What is counted for a tensor that has its memory for itself; None where that does not tell it from others."""
    try:
        single = _owners(torch.zeros(4, device="cpu"))
        counts = []
        for other in (lambda each: each, lambda each: each[1:], Tensor.numpy, Tensor.untyped_storage):
            box = [torch.zeros(4, device="cpu")]
            holder: list[object] = [other(box[0])]
            alias = box.pop().detach()
            counts.append(_owners(alias))
            holder.clear()
            counts.append(_owners(alias))
    except (AttributeError, RuntimeError, TypeError):
        return None
    return single if min(counts[::2]) > single and set(counts[1::2]) == {single} else None
