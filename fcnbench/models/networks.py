"""The networks inside a model: every `torch.nn.Module` that can be found from what its factory returned."""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor, nn

from fcnbench.ground.digests import digest_bytes
from fcnbench.models.segmenter import Around, in_evaluation_mode
from fcnbench.models.tensorbytes import Part, number_parts

_MOST = 100_000
"""Objects that are looked at: a model that keeps a dataset in memory is not searched to its end."""

_MOST_MADE = 1_000
"""Values that are taken from a mapping of an unknown kind, which may make each when it is asked for it."""

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), type, types.ModuleType, range)


def networks_in(model: object) -> list[nn.Module]:
    """Return the outermost networks that a model holds: itself, or those in its attributes, lists, tuples, dicts, sets.

    Functions are followed into what they enclose and their defaults, bound methods into their objects, partial calls
    into their arguments, objects into what their classes hold.

    Args:
        model: what a factory returned.

    >>> layer = nn.Conv2d(3, 8, 1)
    >>> networks_in({"heads": [layer]}) == [layer]
    True
    """
    found = [each for each in _objects_in(model) if _is(each, (nn.Module,))]
    inside = {id(part) for each in found for part in each.modules() if part is not each}
    return [each for each in found if id(each) not in inside]


def set_evaluation_mode(model: object) -> None:
    """Switch every network of a model to evaluation mode, where it is not in it already."""
    keep_evaluation_mode(networks_in(model))


def keep_evaluation_mode(networks: Iterable[nn.Module]) -> None:
    """Switch networks to evaluation mode, where they are not in it already; much quicker than to search a model."""
    for network in networks:
        # A frozen TorchScript network has no mode any more.
        if any(getattr(part, "training", False) for part in network.modules()):
            in_evaluation_mode(network)


def state_digest(model: object, known: nn.Module | None) -> str:
    """Return a digest of all numbers that a model holds, beyond those of a network whose digest is known.

    Args:
        model: what a factory returned.
        known: a network to leave out.

    Returns:
        Digest of the parameters and buffers of its networks, and of loose tensors and numpy arrays.
    """
    left_out = {id(part) for part in known.modules()} if known is not None else set()
    parts: list[Part] = []
    for each in _objects_in(model):
        values: list[tuple[str, Any]] = [("", each)]
        if _is(each, (nn.Module,)):
            own = [*each._parameters.items(), *each._buffers.items()]
            values = [] if id(each) in left_out else own
        for name, value in values:
            if _is(value, (Tensor, np.ndarray)):
                parts += number_parts(name, value)
    return digest_bytes(*parts)


def _objects_in(model: object) -> Iterator[Any]:
    """Give a model and the objects in it, each once."""
    waiting, seen, alive = deque([model]), set[int](), list[Any]()
    while waiting and len(seen) < _MOST:
        each = waiting.popleft()
        if _is(each, _PLAIN) or id(each) in seen:
            continue
        seen.add(id(each))
        alive.append(each)  # so that no id is given twice
        yield each
        if not _is(each, (Tensor, np.ndarray)):
            waiting.extend(_inside(each))


def _is(each: Any, kinds: tuple[type, ...]) -> bool:
    """`isinstance`, for objects that may break when they are asked: proxies of what is gone, for one."""
    try:
        return isinstance(each, kinds)
    except Exception:  # noqa: BLE001 - it is somebody else's code that answers
        return issubclass(type(each), kinds)


def _inside(each: Any) -> list[Any]:
    """What an object holds: its content as a container, its attributes, and those of its class."""
    if _is(each, (Around,)):
        return [each.inner]  # what it keeps itself is made of that
    found: list[Any] = []
    for look in (_content, _attributes, _slots, _of_class):
        # An object may raise whatever is read from it; the rest of the model is looked at all the same.
        with suppress(Exception):
            found += look(each)
    return found


def _content(each: Any) -> Iterable[Any]:  # noqa: PLR0911 - one line for each kind
    if isinstance(each, nn.Module):
        return each._modules.values()
    if isinstance(each, dict):
        return dict.values(each)
    if isinstance(each, list | tuple | set | frozenset | deque):
        # As it is stored, whatever a subclass gives.
        content: Iterable[Any] = next(kind for kind in _CONTAINERS if isinstance(each, kind)).__iter__(each)
        return content
    if isinstance(each, Mapping):
        return list(islice(each.values(), _MOST_MADE))
    if isinstance(each, functools.partial):
        return [each.func, *each.args, *each.keywords.values()]
    if isinstance(each, types.MethodType):
        return [each.__self__, each.__func__]
    if isinstance(each, types.FunctionType):
        cells = [cell.cell_contents for cell in each.__closure__ or () if _filled(cell)]
        return [*cells, *(each.__defaults__ or ()), *(each.__kwdefaults__ or {}).values()]
    return ()


_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset, deque)


def _attributes(each: Any) -> Iterable[Any]:
    own = getattr(each, "__dict__", {})
    if isinstance(each, nn.Module):
        # A module may keep networks in plain lists, which it does not count among its own.
        return [value for name, value in own.items() if name not in ("_parameters", "_buffers", "_modules")]
    return list(own.values())


def _slots(each: Any) -> Iterator[Any]:
    for kind in type(each).__mro__:
        if "__slots__" in vars(kind):
            for slot in list(vars(kind).values()):
                if isinstance(slot, types.MemberDescriptorType):
                    with suppress(AttributeError):  # it is empty
                        yield slot.__get__(each)


def _of_class(each: Any) -> Iterator[Any]:
    """Networks, numbers and containers that are attributes of an object's class."""
    for kind in type(each).__mro__:
        for name, value in list(vars(kind).items()):
            if not name.startswith("__") and _is(value, _HELD_BY_CLASSES):
                yield value


_HELD_BY_CLASSES = (nn.Module, Tensor, np.ndarray, list, tuple, dict)


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
