"""Process-wide settings that other people's code may change: read, set, checked and restored.

A model's code runs in this process. It may change the working directory, `sys.path`, the locale, signal handlers,
warning filters, or the standard streams, and leave them so. This module knows the settings of Python and numpy;
`models/torch_state.py` adds those of PyTorch.
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
"""Environment variables that say where files go, and more; a model's code can't change them during a run."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that stop a run; Windows has no SIGHUP."""


@dataclass(frozen=True)
class Switch:
    """One process-wide setting.

    Attributes:
        name: for messages.
        read: return its value; called often, by any thread.
        write: set its value.
        first_read: return its value at the start, where that takes more than `read` does.
        own_thread: whether it belongs to the thread that holds it, and can be read or set there alone.
        at_end: whether it is restored only at the end: code that runs later may need what was set before.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    first_read: Callable[[], Any] | None = None
    own_thread: bool = False
    at_end: bool = False


@dataclass(frozen=True)
class _Hold:
    """A setting, the value that it is held at, and the thread that holds it."""

    switch: Switch
    value: Any
    thread: int = field(default_factory=threading.get_ident)

    @property
    def changed(self) -> bool:
        here = not self.switch.own_thread or threading.get_ident() == self.thread
        return here and bool(self.switch.read() != self.value)


_holds: dict[str, _Hold] = {}
"""What is held now, by name: a process has one set of settings."""


@contextmanager
def held(switches: Iterable[Switch], wanted: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Hold process-wide settings at chosen values inside the block, and restore what was found.

    Args:
        switches: the settings.
        wanted: values by name; a setting without one is held at the value that is found. Inside another block the inner
            values count.
    """
    chosen, found = wanted or {}, list[_Hold]()
    before = dict(_holds)
    try:
        for switch in switches:
            value = (switch.first_read or switch.read)()
            found.append(_Hold(switch, value))
            _holds[switch.name] = _Hold(switch, chosen.get(switch.name, value))
        settle()
        yield
    finally:
        _holds.clear()
        _holds.update(before)
        _put(found)


def settle(*, own_thread_only: bool = False) -> list[str]:
    """Set the held settings back that have changed; return their names.

    Args:
        own_thread_only: leave alone what other threads may be using just now.
    """
    looked_at = (hold for hold in _holds.values() if not hold.switch.at_end)
    changed = [hold for hold in looked_at if hold.switch.own_thread >= own_thread_only and hold.changed]
    _put(changed)
    return [hold.switch.name for hold in changed]


def _put(holds: Iterable[_Hold]) -> None:
    for hold in holds:
        if hold.changed:
            hold.switch.write(hold.value)


def process_switches() -> list[Switch]:
    """Return the settings of Python itself, and of numpy where it is imported."""
    switches = [
        Switch("the working directory", _working_directory, _change_directory),
        Switch("sys.path", lambda: list(sys.path), _set_path, at_end=True),
        Switch("fcnbench's environment variables", _own_variables, _set_own_variables),
        Switch("standard output", lambda: _Same(sys.stdout), lambda same: setattr(sys, "stdout", same.value)),
        Switch("standard error", lambda: _Same(sys.stderr), lambda same: setattr(sys, "stderr", same.value)),
        Switch("warning filters", lambda: (list(warnings.filters), warnings.showwarning), _set_warnings),
        Switch("the locale", lambda: locale.setlocale(locale.LC_ALL), _set_locale),
        Switch("the socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout),
    ]
    # Python lets the main thread alone set handlers, and reads None for one that C code has set.
    if threading.current_thread() is threading.main_thread():
        switches += [_handler(name) for name in _SIGNALS if hasattr(signal, name)]
    if (pillow := sys.modules.get("PIL.Image")) is not None and "PIL.ImageFile" in sys.modules:
        file = sys.modules["PIL.ImageFile"]
        # Images are decoded strictly, whatever these say; a model's own decoding may need them.
        switches.append(_attribute_at_end("Pillow's truncated images", file, "LOAD_TRUNCATED_IMAGES"))
        switches.append(_attribute_at_end("Pillow's largest image", pillow, "MAX_IMAGE_PIXELS"))
    if "numpy" in sys.modules:
        import numpy as np

        switches.append(Switch("numpy's error handling", np.geterr, lambda value: _ignore(np.seterr(**value))))
    return switches


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Restore the states of Python's and numpy's global random generators after the block."""
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
    """Seed Python's and numpy's global random generators.

    Args:
        seed: 0..2^32 - 1.
    """
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


def absolute_if_there(text: str) -> str:
    """Return the path of a file as an absolute one, likewise `folder/name` of anything; other text as it is.

    >>> absolute_if_there("random:0")
    'random:0'
    """
    with suppress(OSError, ValueError, RuntimeError):
        path = Path(text).expanduser()
        if path.is_file() or (len(path.parts) > 1 and path.exists()):
            return str(path.absolute())
    return text


def _attribute_at_end(name: str, owner: Any, attribute: str) -> Switch:
    return Switch(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value), at_end=True)


class _Same:
    """Compares by identity, whatever the object's own equality says."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - it is asked for after every forward pass, and a string is quicker
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
    # The cache of decisions belongs to the old filters; `simplefilter` would reset it, and add a filter.
    getattr(warnings, "_filters_mutated", lambda: None)()


def _set_locale(value: str) -> None:
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, value)


def _handler(name: str) -> Switch:
    number = getattr(signal, name)

    def put(handler: Any) -> None:
        if handler is not None:
            signal.signal(number, handler)

    return Switch(f"the handler of {name}", lambda: signal.getsignal(number), put, own_thread=True)


def _ignore(_: object) -> None:
    return
