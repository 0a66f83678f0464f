"""A second copy of a module, with caches of its own."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from unittest import mock


def second_copy(name: str) -> ModuleType:
    """Execute a module once more, and return the copy; the first one stays the one that others import.

    >>> second_copy("tests.second_copy") is sys.modules["tests.second_copy"]
    False
    """
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    copy = module_from_spec(spec)
    with mock.patch.dict(sys.modules, {name: copy}):
        spec.loader.exec_module(copy)
    return copy
