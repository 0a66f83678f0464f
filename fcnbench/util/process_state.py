"""Process-wide settings that third-party code may change: hold them at a value, check them, restore them.

The code of a model runs in this process. It may change the working directory, `sys.path`, the locale, signal handlers,
warning filters, or the standard streams. `hold_settings` fixes a list of settings inside a block; `restore_settings`,
called after third-party code has run, sets changed settings back and returns their names; the end of the block restores
the values from before it. This module defines the settings of Python and numpy, `models/torch_state.py` those of
PyTorch.
"""

from __future__ import annotations

import locale
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLES = ("FCNBENCH_HOME", "FCNBENCH_BOARD", "FCNBENCH_OFFLINE", "FCNBENCH_PATIENCE")
"""Environment variables of fcnbench; code of a model can't change them during a run."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that stop a run; Windows has no SIGHUP."""


@dataclass(frozen=True)
class Setting:
    """One process-wide setting.

    Attributes:
        name: name for messages.
        read: returns the value; called often, in any thread.
        write: sets the value.
        first_read: returns the value at the start of a block, if that takes more than `read`.
        own_thread: whether the setting belongs to one thread, and can be read and set only in it.
        at_end: whether the setting is restored only at the end of the block: code that runs later in the block may need
            the changed value.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    first_read: Callable[[], Any] | None = None
    own_thread: bool = False
    at_end: bool = False


@dataclass(frozen=True)
class _HeldValue:
    """A setting, the value it is held at, and the thread that called `hold_settings`."""

    setting: Setting
    value: Any
    thread: int = field(default_factory=threading.get_ident)

    @property
    def changed(self) -> bool:
        readable = not self.setting.own_thread or threading.get_ident() == self.thread
        return readable and bool(self.setting.read() != self.value)


_held: dict[str, _HeldValue] = {}
"""The settings that are held now, by name: a process has one set of settings."""


@contextmanager
def hold_settings(settings: Iterable[Setting], wanted: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Hold process-wide settings at chosen values inside the block, and restore the previous values after it.

    Blocks can be nested; the values of the innermost block count.

    Args:
        settings: the settings.
        wanted: values by name; a setting without one is held at its present value.

    >>> timeout = next(item for item in process_settings() if item.name == "the socket timeout")
    >>> with hold_settings([timeout], {"the socket timeout": 5.0}):
    ...     socket.setdefaulttimeout(1.0)
    ...     restore_settings()
    ['the socket timeout']
    """
    chosen, previous = wanted or {}, list[_HeldValue]()
    outer = dict(_held)
    try:
        for setting in settings:
            value = (setting.first_read or setting.read)()
            previous.append(_HeldValue(setting, value))
            _held[setting.name] = _HeldValue(setting, chosen.get(setting.name, value))
        restore_settings()
        yield
    finally:
        _held.clear()
        _held.update(outer)
        _write_changed(previous)


def restore_settings(*, own_thread_only: bool = False) -> list[str]:
    """Set held settings that have changed back to their values, and return their names.

    Args:
        own_thread_only: skip settings that belong to the whole process, as other threads may be using them now.
    """
    checked = (held for held in _held.values() if not held.setting.at_end)
    changed = [held for held in checked if held.setting.own_thread >= own_thread_only and held.changed]
    _write_changed(changed)
    return [held.setting.name for held in changed]


def _write_changed(values: Iterable[_HeldValue]) -> None:
    for held in values:
        if held.changed:
            held.setting.write(held.value)


def process_settings() -> list[Setting]:
    """Return the settings of Python, and of numpy and Pillow if they are imported."""
    settings = [
        Setting("the working directory", _working_directory, _change_directory),
        Setting("sys.path", lambda: list(sys.path), _set_path, at_end=True),
        Setting("fcnbench's environment variables", _own_variables, _set_own_variables),
        Setting("standard output", lambda: _Same(sys.stdout), lambda same: setattr(sys, "stdout", same.value)),
        Setting("standard error", lambda: _Same(sys.stderr), lambda same: setattr(sys, "stderr", same.value)),
        Setting("warning filters", lambda: (list(warnings.filters), warnings.showwarning), _set_warnings),
        Setting("the locale", lambda: locale.setlocale(locale.LC_ALL), _set_locale),
        Setting("the socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout),
    ]
    # Only the main thread may set handlers; Python reads a handler set by C code as None.
    if threading.current_thread() is threading.main_thread():
        settings += [_handler(name) for name in _SIGNALS if hasattr(signal, name)]
    if (pillow := sys.modules.get("PIL.Image")) is not None and "PIL.ImageFile" in sys.modules:
        file = sys.modules["PIL.ImageFile"]
        # fcnbench decodes strictly whatever their values; a model may need them for decoding of its own.
        settings.append(_attribute_at_end("Pillow's truncated images", file, "LOAD_TRUNCATED_IMAGES"))
        settings.append(_attribute_at_end("Pillow's largest image", pillow, "MAX_IMAGE_PIXELS"))
    if "numpy" in sys.modules:
        import numpy as np

        settings.append(Setting("numpy's error handling", np.geterr, lambda value: _ignore(np.seterr(**value))))
    return settings


@contextmanager
def preserve_random_states() -> Iterator[None]:
    """Restore the states of the global random generators of Python and numpy after the block.

    >>> random.seed(3)
    >>> with preserve_random_states():
    ...     first = random.random()
    >>> first == random.random()
    True
    """
    state = random.getstate()
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)


def seed_generators(seed: int) -> None:
    """Seed the global random generators of Python and numpy.

    Args:
        seed: 0..2^32 - 1.
    """
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


def absolute_if_exists(text: str) -> str:
    """Return the path of an existing file, or an existing path with a folder in it, as absolute; else the text as is.

    >>> absolute_if_exists("random:0")
    'random:0'
    """
    with suppress(OSError, ValueError, RuntimeError):
        path = Path(text).expanduser()
        if path.is_file() or (len(path.parts) > 1 and path.exists()):
            return str(path.absolute())
    return text


def _attribute_at_end(name: str, owner: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value), at_end=True)


class _Same:
    """Wraps an object so that it compares by identity."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - called after every forward pass; a string is quicker
    except OSError:  # it was removed
        return None


def _change_directory(path: str | None) -> None:
    if path is not None:
        with suppress(OSError):
            os.chdir(path)


def _set_path(value: list[str]) -> None:
    sys.path[:] = value


def _own_variables() -> list[str | None]:
    return [os.environ.get(name) for name in VARIABLES]


def _set_own_variables(values: list[str | None]) -> None:
    for name, value in zip(VARIABLES, values, strict=True):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _set_warnings(value: tuple[list[Any], Any]) -> None:
    warnings.filters[:] = value[0]  # type: ignore[index]
    warnings.showwarning = value[1]
    # Drop the cache of decisions under the old filters; `simplefilter` would do so too, but adds a filter.
    getattr(warnings, "_filters_mutated", lambda: None)()


def _set_locale(value: str) -> None:
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, value)


def _handler(name: str) -> Setting:
    number = getattr(signal, name)

    def put(handler: Any) -> None:
        if handler is not None:
            signal.signal(number, handler)

    return Setting(f"the handler of {name}", lambda: signal.getsignal(number), put, own_thread=True)


def _ignore(_: object) -> None:
    return
