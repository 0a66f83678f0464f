"""Several processes, one run: who they are, what falls to each, how their integers come together, and who is missing.

Processes are started by `torchrun`, or by anything else that sets the variables it sets. Only integers and small facts
pass between them, by gloo on the CPU, wherever the forward passes run. Every process gives a sign of life through the
rendezvous store, so that the others can say who is gone, and do not wait for ever.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from fcnbench.errors import RankLost, UsageError
from fcnbench.evaluation.rendezvous import call_the_roll

Item = TypeVar("Item")

PATIENCE_VARIABLE = "FCNBENCH_PATIENCE"
"""Names the seconds without a sign of life after which a process is taken for dead."""

_PATIENCE = 60.0
_BEAT = 1.0
"""Seconds between signs of life."""

_POLL = 0.05

_AGENT_KEEPS = "TORCHELASTIC_USE_AGENT_STORE"
"""`True` where torchrun's agent keeps the rendezvous store; else the first process does."""

_TOGETHER = 600.0
"""Seconds that the processes have to come together: one machine may start long before another."""

_FAILED, _ALIVE, _HERE = "failed", "alive/{}", "here/{}/{}"
"""Names in the rendezvous store: what went wrong; a process's last sign of life; who has come to which meeting."""


class World:
    """One process alone: everything falls to it, and nobody is waited for."""

    rank = 0
    size = 1

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    @property
    def first(self) -> bool:
        """Whether this process writes the result."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """What falls to this process: parts as equal as can be, each item in one of them, in order."""
        start, stop = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return items[start:stop]

    def summed(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum over all processes, int64, exact; arrays are of one shape everywhere."""
        return counts

    def gathered(self, fact: Item) -> list[Item]:
        """What every process says, in the order of their ranks."""
        return [fact]

    def made_by_first(self, make: Callable[[], Item]) -> Item:
        """What the first process makes; the others wait for it."""
        return make()

    def in_turn(self, make: Callable[[], Item]) -> Item:
        """What every process makes for itself, the first one before the others."""
        return make()


ALONE = World()


class Ranks(World):
    """One process of several; enter it before anything is exchanged.

    Raises:
        RankLost: from every method, where another process has failed or is gone.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._patience = _patience()
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="fcnbench-heart", daemon=True)
        self._meetings = 0
        self._own = False
        self._store: Any
        self._group: Any

    def __enter__(self) -> World:
        from torch import distributed

        c10d: Any = distributed  # what it is told to export is not all that it does
        try:
            address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
            keeper = self.first and os.environ.get(_AGENT_KEEPS) != "True"
            store = c10d.TCPStore(address, port, is_master=keeper, wait_for_workers=False, multi_tenant=True)
            # Not torchrun's own names: they hold what processes left that are gone.
            self._store = c10d.PrefixStore(call_the_roll(store, self.rank, self.size, _TOGETHER), store)
            self._own = not distributed.is_initialized()
            if self._own:
                distributed.init_process_group("gloo", store=self._store, rank=self.rank, world_size=self.size)
            self._group = distributed.new_group(backend="gloo")
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise RankLost(
                f"rank {self.rank} of {self.size} can't join the others: {str(error).splitlines()[0]}",
                "check MASTER_ADDR and MASTER_PORT, and that all ranks were started",
            ) from error
        self._say_alive(0)
        self._heart.start()
        self._meet()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from torch import distributed

        if error is not None:
            message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            # The store may be what failed; what happened is on its way up already.
            with suppress(RuntimeError):
                self._store.set(_FAILED, f"rank {self.rank} on {platform.node()}: {message}")
        self._done.set()
        self._heart.join()
        try:
            if error is None:
                self._meet()
        finally:
            if self._own:
                distributed.destroy_process_group()

    def summed(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum over all processes, int64, exact; arrays are of one shape everywhere."""
        from torch import distributed

        total = torch.from_numpy(counts.copy())
        self._meet()
        distributed.all_reduce(total, group=self._group)
        return total.numpy()

    def gathered(self, fact: Item) -> list[Item]:
        """What every process says, in the order of their ranks."""
        from torch import distributed

        found: list[Any] = [None] * self.size
        self._meet()
        distributed.all_gather_object(found, fact, group=self._group)
        return found

    def made_by_first(self, make: Callable[[], Item]) -> Item:
        """What the first process makes; the others wait for it."""
        made = make() if self.first else None
        return self.gathered(made)[0]  # type: ignore[return-value]

    def in_turn(self, make: Callable[[], Item]) -> Item:
        """What every process makes for itself, the first one before the others."""
        if self.first:
            made = make()
            self._meet()
            return made
        self._meet()
        return make()

    def _meet(self) -> None:
        """Wait until every process is here.

        Raises:
            RankLost: one has failed, or gives no sign of life.
        """
        self._meetings += 1
        try:
            self._store.set(self._place(self.rank), "")
            self._wait()
        except RuntimeError as error:
            raise RankLost(
                f"rank {self.rank} can't reach the rendezvous store any more, which rank 0 or torchrun keeps: "
                f"{str(error).splitlines()[0]}",
                "see what that process said; run the same command again, and it goes on from there",
            ) from error

    def _place(self, rank: int) -> str:
        return _HERE.format(self._meetings, rank)

    def _wait(self) -> None:
        waiting = [rank for rank in range(self.size) if rank != self.rank]
        signs: dict[int, tuple[bytes, float]] = {}
        while True:
            waiting = [rank for rank in waiting if not self._store.check([self._place(rank)])]
            if not waiting:
                return
            if self._store.check([_FAILED]):
                raise RankLost(
                    f"another process of this run failed: {self._store.get(_FAILED).decode()}",
                    "mend that; the same command goes on from there",
                )
            for rank in waiting:
                self._look_after(rank, signs)
            time.sleep(_POLL)

    def _look_after(self, rank: int, signs: dict[int, tuple[bytes, float]]) -> None:
        """Whether another process still gives signs of life; `signs` holds the last one of each, and when it came."""
        name = _ALIVE.format(rank)
        sign = self._store.get(name) if self._store.check([name]) else b""
        now = time.monotonic()
        if rank not in signs or signs[rank][0] != sign:
            signs[rank] = sign, now
        elif now - signs[rank][1] > self._patience:
            place = sign.decode().partition(" ")[2] or "an unknown host"
            raise RankLost(
                f"rank {rank} on {place} is gone: no sign of life for {self._patience:g} s",
                "see what became of it; the same command goes on from there",
            )

    def _beat(self) -> None:
        beats = 0
        while not self._done.wait(_BEAT):
            beats += 1
            try:
                self._say_alive(beats)
            except RuntimeError:  # the store is gone, which the main thread will find out
                return

    def _say_alive(self, beats: int) -> None:
        self._store.set(_ALIVE.format(self.rank), f"{beats} {platform.node()}")


def the_world() -> World:
    """This process and those it was started with: by `RANK` and `WORLD_SIZE`, which torchrun sets.

    Raises:
        UsageError: the variables are no numbers, or contradict each other.
    """
    try:
        rank, size = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    except ValueError as error:
        raise UsageError(f"RANK or WORLD_SIZE is no number: {error}", "start the processes with torchrun") from error
    if not 0 <= rank < size:
        raise UsageError(f"RANK {rank} is not below WORLD_SIZE {size}", "start the processes with torchrun")
    return Ranks(rank, size) if size > 1 else ALONE


def local_rank() -> int:
    """Number of this process among those of its machine."""
    text = os.environ.get("LOCAL_RANK", "0")
    return int(text) if text.isdecimal() else 0


def _patience() -> float:
    text = os.environ.get(PATIENCE_VARIABLE, str(_PATIENCE))
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{PATIENCE_VARIABLE} is {text!r}, expected seconds", "write a number, or unset it") from error
