"""Waiting for something that another thread does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

PATIENCE = 60
"""Seconds after which a thread is taken to hang."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not in time.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what the test waits for does not happen"
        time.sleep(0.001)


def wait_until_blocked(thread: threading.Thread, after: Callable[[], bool]) -> bool:
    """Wait until a condition holds and a thread waits for another one; return False if the thread ended instead.

    Raises:
        AssertionError: neither happened in time.
    """
    wait_until(lambda: not thread.is_alive() or (after() and _is_blocked(thread)))
    return thread.is_alive()


def _is_blocked(thread: threading.Thread) -> bool:
    """Return whether a thread is inside `Condition.wait` or the like, which all of Python's queues and futures use."""
    frame = sys._current_frames().get(thread.ident or 0)  # documented, in spite of its name
    return frame is not None and (frame.f_globals["__name__"], frame.f_code.co_name) == ("threading", "wait")
