"""The networks inside a model: every `torch.nn.Module` that can be found from what its factory returned."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fcnbench.ground.digests import digest_bytes
from fcnbench.models.segmenter import Around

_MOST = 100_000
"""Objects that are looked at: a model that keeps a dataset in memory is not searched to its end."""

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type, types.ModuleType, range)


def networks_in(model: object) -> list[nn.Module]:
    """Return the outermost networks that a model holds: itself, or those in its attributes, lists, tuples, dicts, sets.

    Functions are followed into what they enclose, bound methods into their objects, partial calls into their arguments.

    Args:
        model: what a factory returned.

    >>> layer = nn.Conv2d(3, 8, 1)
    >>> networks_in({"heads": [layer]}) == [layer]
    True
    """
    found = [each for each in _objects_in(model) if isinstance(each, nn.Module)]
    inside = {id(part) for each in found for part in each.modules() if part is not each}
    return [each for each in found if id(each) not in inside]


def set_evaluation_mode(model: object) -> None:
    """Switch every network of a model to evaluation mode, where it is not in it already."""
    for network in networks_in(model):
        if any(part.training for part in network.modules()):
            network.eval()


def state_digest(model: object, known: nn.Module | None) -> str:
    """Return a digest of all numbers that a model holds, beyond those of a network whose digest is known.

    Args:
        model: what a factory returned.
        known: a network to leave out.

    Returns:
        Digest of the parameters and buffers of its networks, and of loose tensors and numpy arrays.
    """
    left_out = {id(part) for part in known.modules()} if known is not None else set()
    parts: list[bytes | memoryview] = []
    for each in _objects_in(model):
        values: list[tuple[str, Any]] = [("", each)]
        if isinstance(each, nn.Module):
            own = [*each._parameters.items(), *each._buffers.items()]
            values = [] if id(each) in left_out else own
        for name, value in values:
            if isinstance(value, Tensor | np.ndarray):
                parts += [f"{name} {value.dtype} {tuple(value.shape)}\n".encode(), raw_bytes(value)]
    return digest_bytes(*parts)


def raw_bytes(values: Tensor | np.ndarray[Any, Any]) -> bytes | memoryview:
    """Return the bytes of a tensor or an array, in the order of its indices."""
    if isinstance(values, Tensor):
        flat = values.detach().cpu().contiguous().reshape(-1)
        return flat.view(torch.uint8).numpy().data if flat.numel() else b""
    return b"" if values.dtype.hasobject else np.ascontiguousarray(values).tobytes()


def _objects_in(model: object) -> Iterator[Any]:
    """Give a model and the objects in it, each once."""
    waiting, seen, alive = deque([model]), set[int](), list[Any]()
    while waiting and len(seen) < _MOST:
        each = waiting.popleft()
        if isinstance(each, _PLAIN) or id(each) in seen:
            continue
        seen.add(id(each))
        alive.append(each)  # so that no id is given twice
        yield each
        if not isinstance(each, Tensor | np.ndarray):
            waiting.extend(_inside(each))


def _inside(each: Any) -> Iterable[Any]:  # noqa: PLR0911 - one line for each kind
    if isinstance(each, Around):
        return [each.inner]  # what it keeps itself is made of that
    if isinstance(each, nn.Module):
        # A module may keep networks in plain lists, which it does not count among its own.
        own = {"_parameters", "_buffers", "_modules"}
        return [*each._modules.values(), *(value for name, value in vars(each).items() if name not in own)]
    if isinstance(each, Mapping):
        return list(each.values())
    if isinstance(each, list | tuple | set | frozenset | deque):
        return list(each)
    if isinstance(each, functools.partial):
        return [each.func, *each.args, *each.keywords.values()]
    if isinstance(each, types.MethodType):
        return [each.__self__]
    if isinstance(each, types.FunctionType):
        return [cell.cell_contents for cell in each.__closure__ or () if _filled(cell)]
    slots = [getattr(each, name, None) for kind in type(each).__mro__ for name in _slots(kind)]
    return [*getattr(each, "__dict__", {}).values(), *slots]


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
