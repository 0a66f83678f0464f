"""All objects that a model holds, found by following its attributes, containers, functions and classes.

A model may keep networks and numbers outside of `nn.Module`'s own lists of parts: in plain lists, closures, default
arguments, class attributes, or global variables of its file.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from fcnbench.models.code.source_files import is_user_file
from fcnbench.models.segmenter import SegmenterWrapper

_MAX_OBJECTS = 100_000
"""Objects after which the search stops: a model may keep a dataset in memory."""

_MAX_MAPPING_VALUES = 1_000
"""Values that are read from a mapping that is not a dict, which may compute each when it is read."""

_LEAVES = (str, bytes, bytearray, int, float, complex, bool, type(None), type, types.ModuleType, range)
"""Types whose instances are not searched."""

_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset, deque)

_CLASS_ATTRIBUTES: tuple[type, ...] = (nn.Module, Tensor, np.ndarray, list, tuple, dict)
"""Types of class attributes that are followed."""

_METHODS: tuple[type, ...] = (
    types.FunctionType, staticmethod, classmethod, property, functools.partial, functools.partialmethod,
    functools.cached_property, type(functools.lru_cache(len)),
)  # fmt: skip
"""Types of methods in a class, which are followed where the class is the user's."""


def reachable_objects(model: object) -> Iterator[Any]:
    """Yield a model and the objects that it holds, each once."""
    queue, seen, alive, searched_types = deque([model]), set[int](), list[Any](), set[type]()
    while queue and len(seen) < _MAX_OBJECTS:
        item = queue.popleft()
        if is_instance(item, _LEAVES) or id(item) in seen:
            continue
        seen.add(id(item))
        alive.append(item)  # as long as it lives, no other object has its id
        yield item
        if not is_instance(item, (Tensor, np.ndarray)):
            queue.extend(_held_by(item))
            if type(item) not in searched_types:
                searched_types.add(type(item))
                with suppress(Exception):
                    queue.extend(_held_by_class(type(item)))


def is_instance(item: Any, types_: tuple[type, ...]) -> bool:
    """Return `isinstance(item, types_)`, also for objects whose `__class__` raises, such as dead weak proxies."""
    try:
        return isinstance(item, types_)
    except Exception:  # noqa: BLE001 - third-party code computes `__class__`
        return issubclass(type(item), types_)


def _held_by(item: Any) -> list[Any]:
    """Return what an object holds as a container, in its attributes, and in its slots."""
    if is_instance(item, (SegmenterWrapper,)):
        return [item.inner]  # its other attributes follow from that
    held: list[Any] = []
    for read in (_content, _attributes, _slots):
        # Reading from an object may raise anything; the rest of the model is searched nevertheless.
        with suppress(Exception):
            held += read(item)
    return held


def _content(item: Any) -> Iterable[Any]:  # noqa: PLR0911 - one line per type
    if isinstance(item, nn.Module):
        return item._modules.values()
    if isinstance(item, dict):
        return dict.values(item)
    if isinstance(item, list | tuple | set | frozenset | deque):
        # The stored items, whatever a subclass yields.
        content: Iterable[Any] = next(base for base in _SEQUENCES if isinstance(item, base)).__iter__(item)
        return content
    if isinstance(item, Mapping):
        return list(islice(item.values(), _MAX_MAPPING_VALUES))
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, types.MethodType):
        return [item.__self__, item.__func__]
    if isinstance(item, types.FunctionType):
        cells = [cell.cell_contents for cell in item.__closure__ or () if _is_filled(cell)]
        return [*cells, *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values(), *_globals_of(item)]
    if isinstance(item, staticmethod | classmethod):
        return [item.__func__]
    if isinstance(item, property):
        return [item.fget, item.fset, item.fdel]
    return ()


def _globals_of(function: types.FunctionType) -> Iterator[Any]:
    """Yield the global variables that a function of the user's names."""
    if not _is_user_code(function.__code__.co_filename):
        return
    queue = [function.__code__]
    while queue:
        code = queue.pop()
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
        queue += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


@functools.cache
def _is_user_code(file: str) -> bool:
    return is_user_file(Path(file))


def _attributes(item: Any) -> Iterable[Any]:
    attributes = getattr(item, "__dict__", {})
    if isinstance(item, nn.Module):
        # A module may keep networks in plain lists, which are not among its parts.
        return [value for name, value in attributes.items() if name not in ("_parameters", "_buffers", "_modules")]
    return list(attributes.values())


def _slots(item: Any) -> Iterator[Any]:
    for slot in _slots_of(type(item)):  # type: ignore[arg-type] # types are hashable
        with suppress(AttributeError):  # the slot is empty
            yield slot.__get__(item)


@functools.lru_cache(maxsize=1024)
def _slots_of(type_: type) -> list[types.MemberDescriptorType]:
    members = [vars(base).values() for base in type_.__mro__ if "__slots__" in vars(base)]
    return [slot for values in members for slot in values if isinstance(slot, types.MemberDescriptorType)]


def _held_by_class(type_: type) -> list[Any]:
    """Return the networks, numbers and containers in a class, and its methods if the class is the user's."""
    return [value for base in type_.__mro__ for value in _class_attributes(base)]


def _class_attributes(type_: type) -> list[Any]:
    module = sys.modules.get(type_.__module__)
    file = None if module is None else vars(module).get("__file__")
    followed = (*_CLASS_ATTRIBUTES, *_METHODS) if file is None or _is_user_code(file) else _CLASS_ATTRIBUTES
    return [
        value
        for name, value in list(vars(type_).items())
        if is_instance(value, followed) and (not name.startswith("__") or is_instance(value, _METHODS))
    ]


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
