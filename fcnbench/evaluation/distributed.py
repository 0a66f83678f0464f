"""The ranks of a distributed run: sharding of the images, collective operations, detection of dead ranks.

Processes are started by `torchrun`, or by any launcher that sets the same environment variables. Only int64 arrays and
JSON text are exchanged, never pickles, by torch.distributed's gloo backend on the CPU, on whatever device the forward
passes run. A collective operation hangs, or ends with an error that names nobody, when a rank has died. So before each
one the ranks meet at a barrier in the rendezvous store, where they watch each other's heartbeats.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from fcnbench.errors import RankLost, UsageError
from fcnbench.evaluation.liveness import Heartbeat, LivenessMonitor, liveness_timeout
from fcnbench.evaluation.rendezvous import agree_on_run_id

Item = TypeVar("Item")

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A value that JSON can hold; a tuple arrives as a list."""

Value = TypeVar("Value", bound=Json)

_POLL_SECONDS = 0.05

_START_SECONDS = 600.0
"""Seconds within which all ranks must start: one machine may start long before another."""

_AGENT_KEEPS_STORE = "TORCHELASTIC_USE_AGENT_STORE"
"""Environment variable, `True` where torchrun's agent hosts the rendezvous store; else rank 0 hosts it."""

_ARRIVED = "arrived/{barrier}/{rank}"
"""Key in the store: a rank has reached a barrier."""


class Ranks:
    """The ranks of a run; this base class is a single process, rank 0 of 1.

    >>> SINGLE_PROCESS.shard(["a", "b"]), SINGLE_PROCESS.all_gather(3)
    (['a', 'b'], [3])
    """

    rank = 0
    size = 1

    def __enter__(self) -> Ranks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    @property
    def is_rank0(self) -> bool:
        """Whether this process is rank 0, which writes the result."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this rank's contiguous part of the items; parts differ by one item at most, and none is padded."""
        start, stop = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return items[start:stop]

    def all_reduce(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the exact sum over all ranks of an int64 array, which has the same shape on every rank."""
        return counts

    def all_gather(self, value: Value) -> list[Value]:
        """Return every rank's value, in order of the ranks."""
        return [value]

    def broadcast_from_rank0(self, make: Callable[[], Value]) -> Value:
        """Call `make` on rank 0 and return its result on every rank."""
        return make()

    def broadcast_arrays(self, arrays: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """Return rank 0's int64 arrays on every rank; what the others pass is ignored."""
        return dict(arrays)

    def rank0_first(self, make: Callable[[], Item]) -> Item:
        """Call `make` on every rank, on rank 0 before the others, and return each rank's own result."""
        return make()


SINGLE_PROCESS = Ranks()


class DistributedRanks(Ranks):
    """One of several ranks; enter it before the first exchange.

    Args:
        rank: rank of this process.
        size: number of ranks.

    Raises:
        RankLost: from every method, where another rank has failed or is dead.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._timeout = liveness_timeout()
        self._barriers = 0
        self._owns_default_group = False
        self._store: Any
        self._group: Any
        self._heartbeat: Heartbeat

    def __enter__(self) -> Ranks:
        try:
            self._store = self._join_store()
            self._owns_default_group = not distributed.is_initialized()
            timeout = timedelta(seconds=_START_SECONDS)
            if self._owns_default_group:
                distributed.init_process_group(
                    "gloo", store=self._store, rank=self.rank, world_size=self.size, timeout=timeout
                )
            # The default group may be the user's, on another backend.
            self._group = distributed.new_group(backend="gloo", timeout=timeout)
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise RankLost(
                f"rank {self.rank} of {self.size} can't join the others: {_first_line(error)}",
                "check MASTER_ADDR and MASTER_PORT, and that all ranks were started",
            ) from error
        self._heartbeat = Heartbeat(self._store, self.rank)
        self._heartbeat.start()
        self._barrier()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._heartbeat.report_failure(error)
        self._heartbeat.stop()
        try:
            if error is None:
                self._barrier()
        finally:
            if self._owns_default_group:
                distributed.destroy_process_group()

    def all_reduce(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the exact sum over all ranks of an int64 array, which has the same shape on every rank."""
        total = torch.from_numpy(counts.copy())
        with self._collective():
            distributed.all_reduce(total, group=self._group)
        return total.numpy()

    def all_gather(self, value: Value) -> list[Value]:
        """Return every rank's value, in order of the ranks; it is sent as JSON."""
        text = _json_bytes(value)
        sizes = np.zeros(self.size, np.int64)
        sizes[self.rank] = len(text)
        sizes = self.all_reduce(sizes)
        # Tensors of one all-gather have one shape.
        padded = torch.zeros(int(sizes.max()), dtype=torch.uint8)
        padded[: len(text)] = text
        gathered = [torch.empty_like(padded) for _ in range(self.size)]
        with self._collective():
            distributed.all_gather(gathered, padded, group=self._group)
        return [_from_json_bytes(each[: int(size)]) for each, size in zip(gathered, sizes, strict=True)]

    def broadcast_from_rank0(self, make: Callable[[], Value]) -> Value:
        """Call `make` on rank 0 and return its result on every rank; it is sent as JSON."""
        text = _json_bytes(make()) if self.is_rank0 else None
        size = int(self.all_reduce(np.array([0 if text is None else len(text)], np.int64))[0])
        received = self._broadcast(torch.zeros(size, dtype=torch.uint8) if text is None else text)
        value: Value = _from_json_bytes(received)
        return value

    def broadcast_arrays(self, arrays: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        """Return rank 0's int64 arrays on every rank; what the others pass is ignored."""
        shapes = self.broadcast_from_rank0(lambda: {name: list(array.shape) for name, array in arrays.items()})
        tensors = {
            name: torch.from_numpy(arrays[name].copy()) if self.is_rank0 else torch.zeros(shape, dtype=torch.int64)
            for name, shape in shapes.items()
        }
        return {name: self._broadcast(tensor).numpy() for name, tensor in tensors.items()}

    def rank0_first(self, make: Callable[[], Item]) -> Item:
        """Call `make` on every rank, on rank 0 before the others, and return each rank's own result."""
        if self.is_rank0:
            made = make()
            self._barrier()
            return made
        self._barrier()
        return make()

    def _broadcast(self, tensor: torch.Tensor) -> torch.Tensor:
        """Overwrite a tensor with rank 0's, which has the same shape and dtype, and return it."""
        with self._collective():
            distributed.broadcast(tensor, src=0, group=self._group)
        return tensor

    def _join_store(self) -> Any:
        """Return the rendezvous store, under a prefix that only this attempt's ranks know."""
        c10d: Any = distributed  # type checkers do not see all of its names
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        hosts = self.is_rank0 and os.environ.get(_AGENT_KEEPS_STORE) != "True"
        timeout = timedelta(seconds=_START_SECONDS)
        store = c10d.TCPStore(
            address, port, is_master=hosts, timeout=timeout, wait_for_workers=False, multi_tenant=True
        )
        # Not torchrun's own prefix: it may hold values of processes that are gone.
        return c10d.PrefixStore(agree_on_run_id(store, self.rank, self.size, _START_SECONDS), store)

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Meet the other ranks, then run a collective operation in the block.

        Raises:
            RankLost: another rank is gone.
        """
        self._barrier()
        try:
            yield
        except RuntimeError as error:
            raise RankLost(
                f"rank {self.rank} lost the connection to another rank: {_first_line(error)}",
                "see what the other ranks printed; run the same command again, and it goes on from there",
            ) from error

    def _barrier(self) -> None:
        """Wait until every rank has called this as often.

        Raises:
            RankLost: a rank has failed or is dead.
        """
        self._barriers += 1
        monitor = LivenessMonitor(self._store, self._timeout)
        try:
            self._store.set(self._arrival_key(self.rank), "")
            missing = [rank for rank in range(self.size) if rank != self.rank]
            while missing := [rank for rank in missing if not self._store.check([self._arrival_key(rank)])]:
                for rank in missing:
                    monitor.check(rank)
                time.sleep(_POLL_SECONDS)
        except RuntimeError as error:
            raise RankLost(
                f"rank {self.rank} can't reach the rendezvous store any more, which rank 0 or torchrun hosts: "
                f"{_first_line(error)}",
                "see what that process printed; run the same command again, and it goes on from there",
            ) from error

    def _arrival_key(self, rank: int) -> str:
        return _ARRIVED.format(barrier=self._barriers, rank=rank)


def process_group() -> Ranks:
    """Return the ranks that this process was started with, by `RANK` and `WORLD_SIZE`, which torchrun sets.

    Raises:
        UsageError: the variables are not integers, or contradict each other.

    >>> process_group() is SINGLE_PROCESS
    True
    """
    try:
        rank, size = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    except ValueError as error:
        raise UsageError(
            f"RANK or WORLD_SIZE is not an integer: {error}", "start the processes with torchrun"
        ) from error
    if not 0 <= rank < size:
        raise UsageError(f"RANK {rank} is not below WORLD_SIZE {size}", "start the processes with torchrun")
    return DistributedRanks(rank, size) if size > 1 else SINGLE_PROCESS


def _json_bytes(value: Json) -> torch.Tensor:
    """Return a value as JSON in a uint8 tensor."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _from_json_bytes(text: torch.Tensor) -> Any:
    return json.loads(text.numpy().tobytes())


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
