"""Whether a model can still write into a tensor that it returned.

The loop preprocesses images ahead in other threads and reads logits later, so a returned tensor must keep its values
after the model was called again. A model may reuse its memory: one buffer, several in rotation, a numpy array, or its
own input. A tensor belongs to its receiver alone if PyTorch allocated its memory for this process and counts one owner
of it. The count is not public, so it is tried first; where it is missing or wrong, every tensor counts as shared.
"""

from __future__ import annotations

import sys
from functools import cache

import torch
from torch import Tensor


def take(box: list[Tensor]) -> tuple[Tensor, bool]:
    """Take a tensor out of a list that holds the caller's only reference to it.

    Args:
        box: a list whose last item is the tensor, which is removed.

    Returns:
        The tensor or an alias of it, and whether nobody else can reach its memory. That is False for memory of numpy,
        memory shared with other processes, subclasses of Tensor, and devices other than the CPU.

    >>> buffer = torch.zeros(3)
    >>> take([torch.zeros(3)])[1], take([buffer[1:]])[1]
    (True, False)
    """
    tensor = box.pop()
    single = _single_owner_count()
    if (
        single is None
        or type(tensor) is not Tensor
        or tensor.device.type != "cpu"
        or tensor.layout is not torch.strided
    ):
        return tensor, False
    # The model may have kept this very object. After an alias replaces it here, the memory then has a second owner.
    alias = tensor.detach()
    del tensor
    storage = alias.untyped_storage()
    private = storage.resizable() and not storage.is_shared()
    del storage
    return alias, private and _count_owners(alias) == single


def owned(box: list[Tensor]) -> Tensor:
    """Take a tensor out of a list that holds the caller's only reference, and copy it unless nobody else can reach it.

    >>> buffer = torch.zeros(3)
    >>> tensor = owned([buffer])
    >>> buffer.add_(1), tensor
    (tensor([1., 1., 1.]), tensor([0., 0., 0.]))
    """
    tensor, alone = take(box)
    return tensor if alone else tensor.clone()


def _count_owners(tensor: Tensor) -> int:
    """Return the number of owners of a tensor's memory that PyTorch and Python count, this function included."""
    storage = tensor.untyped_storage()
    # All Python references share one storage object, which PyTorch counts once.
    return int(torch._C._storage_Use_Count(storage._cdata)) + sys.getrefcount(storage)


@cache
def _single_owner_count() -> int | None:
    """Return the count for a tensor without other owners; None where the count does not detect other owners."""
    try:
        single = _count_owners(torch.zeros(4, device="cpu"))
        counts = []
        for share in (lambda tensor: tensor, lambda tensor: tensor[1:], Tensor.numpy, Tensor.untyped_storage):
            box = [torch.zeros(4, device="cpu")]
            other_owner: list[object] = [share(box[0])]
            alias = box.pop().detach()
            counts.append(_count_owners(alias))
            other_owner.clear()
            counts.append(_count_owners(alias))
    except (AttributeError, RuntimeError, TypeError):
        return None
    return single if min(counts[::2]) > single and set(counts[1::2]) == {single} else None
