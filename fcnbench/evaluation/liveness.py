"""Signs of life of the ranks of a run, in the rendezvous store: a rank that stops giving them is named with its host.

A timeout alone, as that of `torch.distributed.monitored_barrier`, can't tell a rank that still scores images from one
that is dead; a heartbeat can.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fcnbench.errors import RankLost, UsageError

TIMEOUT_VARIABLE = "FCNBENCH_PATIENCE"
"""Environment variable: seconds without a heartbeat after which a rank counts as dead."""

_TIMEOUT_SECONDS = 60.0
_BEAT_SECONDS = 1.0
"""Seconds between heartbeats."""

_HEARTBEAT, _FAILURE = "alive/{rank}", "failed"
"""Keys in the store: a rank's last heartbeat, `COUNT HOST`; and the first failure that a rank reported."""


class Heartbeat:
    """A background thread that writes this rank's heartbeat into the store.

    Args:
        store: a store of `torch.distributed`.
        rank: rank of this process.
    """

    def __init__(self, store: Any, rank: int) -> None:
        self._store = store
        self._rank = rank
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fcnbench-heartbeat", daemon=True)

    def start(self) -> None:
        """Write the first heartbeat and start the thread."""
        self._write(0)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def report_failure(self, error: BaseException) -> None:
        """Tell the other ranks why this one ends."""
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        # The store may be what failed; the error itself is raised in this process in any case.
        with suppress(RuntimeError):
            self._store.set(_FAILURE, f"rank {self._rank} on {platform.node()}: {message}")

    def _run(self) -> None:
        count = 0
        while not self._stopped.wait(_BEAT_SECONDS):
            count += 1
            try:
                self._write(count)
            except RuntimeError:  # the store is gone; the main thread fails at its next access, too
                return

    def _write(self, count: int) -> None:
        self._store.set(_HEARTBEAT.format(rank=self._rank), f"{count} {platform.node()}")


@dataclass(frozen=True)
class _Seen:
    """The last heartbeat of a rank that this process read, and when it first read it, on the monotonic clock."""

    heartbeat: bytes
    since: float


class LivenessMonitor:
    """Watches the heartbeats of other ranks while this one waits for them.

    Args:
        store: a store of `torch.distributed`.
        timeout: seconds without a new heartbeat after which a rank counts as dead.
    """

    def __init__(self, store: Any, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._seen: dict[int, _Seen] = {}

    def check(self, rank: int) -> None:
        """Check that no rank has reported a failure, and that this one still gives heartbeats.

        Raises:
            RankLost: it does not, or some rank failed.
        """
        if self._store.check([_FAILURE]):
            raise RankLost(
                f"another process of this run failed: {self._store.get(_FAILURE).decode()}",
                "fix that; the same command goes on from there",
            )
        key = _HEARTBEAT.format(rank=rank)
        heartbeat = self._store.get(key) if self._store.check([key]) else b""
        now = time.monotonic()
        seen = self._seen.get(rank)
        # Each process compares its own clock only: those of other hosts may differ.
        if seen is None or seen.heartbeat != heartbeat:
            self._seen[rank] = _Seen(heartbeat, now)
        elif now - seen.since > self._timeout:
            host = heartbeat.decode().partition(" ")[2] or "an unknown host"
            raise RankLost(
                f"rank {rank} on {host} is gone: no sign of life for {self._timeout:g} s",
                "see what happened to it; the same command goes on from there",
            )


def liveness_timeout() -> float:
    """Return the seconds without a heartbeat after which a rank counts as dead: `FCNBENCH_PATIENCE`, else 60.

    Raises:
        UsageError: the variable is not a number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, str(_TIMEOUT_SECONDS))
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{TIMEOUT_VARIABLE} is {text!r}, expected seconds", "write a number, or unset it") from error
