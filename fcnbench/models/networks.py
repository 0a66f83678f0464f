"""The networks inside a model: every `torch.nn.Module` that can be found from what its factory returned."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from fcnbench.errors import ModelError
from fcnbench.models.code.source_files import users_own
from fcnbench.models.segmenter import SegmenterWrapper, in_evaluation_mode
from fcnbench.models.tensor_bytes import Part, number_parts
from fcnbench.util.digests import digest_bytes

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
        if _in_training_mode(network):
            in_evaluation_mode(network)


@contextmanager
def layers_made() -> Iterator[list[bool]]:
    """Tell whether networks got parameters or layers inside the block: the list is not empty then."""
    made: list[bool] = []

    def note(*_: object) -> None:
        made.append(True)

    handles = [register_module_parameter_registration_hook(note), register_module_module_registration_hook(note)]
    try:
        yield made
    finally:
        for handle in handles:
            handle.remove()


def refuse_training_mode(networks: Iterable[nn.Module], what: str) -> None:
    """Refuse networks that are in training mode, which the model's code has switched on itself.

    Args:
        networks: the networks of a model.
        what: the part of its code that ran last, for the message.

    Raises:
        ModelError: one of them, or a layer in it, is in training mode.
    """
    for network in networks:
        if _in_training_mode(network):
            raise ModelError(
                f"{what} leaves {type(network).__name__} or a layer in it in training mode",
                "leave the mode as it is; make layers in the factory, or call eval() on those that are made later",
            )


def _in_training_mode(network: nn.Module) -> bool:
    # A frozen TorchScript network has no mode any more.
    return any(getattr(part, "training", False) for part in network.modules())


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
    waiting, seen, alive, kinds = deque([model]), set[int](), list[Any](), set[type]()
    while waiting and len(seen) < _MOST:
        each = waiting.popleft()
        if _is(each, _PLAIN) or id(each) in seen:
            continue
        seen.add(id(each))
        alive.append(each)  # so that no id is given twice
        yield each
        if not _is(each, (Tensor, np.ndarray)):
            waiting.extend(_inside(each))
            if type(each) not in kinds:
                kinds.add(type(each))
                with suppress(Exception):
                    waiting.extend(_of_class(type(each)))


def _is(each: Any, kinds: tuple[type, ...]) -> bool:
    """`isinstance`, for objects that may break when they are asked: proxies of what is gone, for one."""
    try:
        return isinstance(each, kinds)
    except Exception:  # noqa: BLE001 - it is somebody else's code that answers
        return issubclass(type(each), kinds)


def _inside(each: Any) -> list[Any]:
    """What an object holds: its content as a container, and its attributes."""
    if _is(each, (SegmenterWrapper,)):
        return [each.inner]  # what it keeps itself is made of that
    found: list[Any] = []
    for look in (_content, _attributes, _slots):
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
        return [*cells, *(each.__defaults__ or ()), *(each.__kwdefaults__ or {}).values(), *_globals_of(each)]
    if isinstance(each, staticmethod | classmethod):
        return [each.__func__]
    if isinstance(each, property):
        return [each.fget, each.fset, each.fdel]
    return ()


def _globals_of(function: types.FunctionType) -> Iterator[Any]:
    """What a function of the user's own names of its module: networks, numbers, containers, functions, objects."""
    if not _is_users(function.__code__.co_filename):
        return
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
        waiting += [each for each in code.co_consts if isinstance(each, types.CodeType)]


@functools.cache
def _is_users(file: str) -> bool:
    return users_own(Path(file))


_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset, deque)


def _attributes(each: Any) -> Iterable[Any]:
    own = getattr(each, "__dict__", {})
    if isinstance(each, nn.Module):
        # A module may keep networks in plain lists, which it does not count among its own.
        return [value for name, value in own.items() if name not in ("_parameters", "_buffers", "_modules")]
    return list(own.values())


def _slots(each: Any) -> Iterator[Any]:
    for slot in _slots_of(type(each)):  # type: ignore[arg-type] # types can be hashed
        with suppress(AttributeError):  # it is empty
            yield slot.__get__(each)


@functools.lru_cache(maxsize=1024)
def _slots_of(kind: type) -> list[types.MemberDescriptorType]:
    slotted = [vars(each).values() for each in kind.__mro__ if "__slots__" in vars(each)]
    return [slot for values in slotted for slot in values if isinstance(slot, types.MemberDescriptorType)]


def _of_class(kind: type) -> list[Any]:
    """Networks, numbers and containers that are attributes of a class, and its functions where it is the user's own."""
    return [value for each in kind.__mro__ for value in _held_by(each)]


def _held_by(kind: type) -> list[Any]:
    own = vars(sys.modules[kind.__module__]).get("__file__") if kind.__module__ in sys.modules else None
    kinds = (*_HELD_BY_CLASSES, *_FUNCTIONS) if own is None or _is_users(own) else _HELD_BY_CLASSES
    found = list(vars(kind).items())
    return [
        value for name, value in found if _is(value, kinds) and (not name.startswith("__") or _is(value, _FUNCTIONS))
    ]


_HELD_BY_CLASSES: tuple[type, ...] = (nn.Module, Tensor, np.ndarray, list, tuple, dict)
_FUNCTIONS: tuple[type, ...] = (
    types.FunctionType, staticmethod, classmethod, property, functools.partial, functools.partialmethod,
    functools.cached_property, type(functools.lru_cache(len)),
)  # fmt: skip
"""What methods are, as classes hold them."""


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
