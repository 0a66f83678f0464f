"""A second device in pure Python: its values lie in the host's memory, and it is as strict as a device may be.

Importing this module registers it with PyTorch under the name `second`, once per process. Operations take tensors of
one device only. With `later` a convolution takes some seconds, but returns at once: only a synchronisation, an event
or a blocking copy to the host waits. A non-blocking copy to the host holds garbage until it has been waited for; one to
the device is refused, because it would read the host's memory later. The variable `SECOND` configures the device:

    later=SECONDS      time of a convolution; 0 by default
    devices=N          number of devices; 1 by default
    limit=BYTES        largest result; above it the device is out of memory
    no-events          `torch.Event` does not know it
    no-memory          its module has no functions for memory
    no-accelerator     `torch.accelerator` does not know it
    nameless           its module has no name for it
    no-wait            it has neither events nor a synchronisation
    argmax=KIND        its argmax is wrong: `odd` and `impossible` at odd widths, `middle` at 20,000 to 60,000 pixels,
                       `changing` from the second argmax of such a size on
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "second"
GARBAGE = 77
WORDS = dict(word.partition("=")[::2] for word in os.environ.get("SECOND", "").split())
COST = float(WORDS.get("later", 0))
LIMIT = int(WORDS.get("limit", 0))
DEVICES = int(WORDS.get("devices", 1))

MOVES = ("_to_copy", "copy_", "_copy_from", "_copy_from_and_resize")
"""The operations that take tensors of two devices."""


@dataclass
class Queue:
    """Work that was submitted to a device and may not be done."""

    done_at: float = 0.0
    copies: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    delivered: int = 0

    def submit(self, seconds: float) -> None:
        self.done_at = max(self.done_at, time.perf_counter()) + seconds

    def wait(self, until: float | None = None, copies: int | None = None) -> None:
        """Wait for all work, or until a time and for the first `copies` copies."""
        left = (self.done_at if until is None else until) - time.perf_counter()
        if left > 0:
            time.sleep(left)
        due = len(self.copies) if copies is None else copies - self.delivered
        for target, values in self.copies[: max(0, due)]:
            target.copy_(values)
        self.delivered += max(0, due)
        del self.copies[: max(0, due)]


QUEUE = Queue()
COUNTS = {"argmax": 0, "emptied": 0, "synchronised": 0}


class Event:
    """`torch.Event` on this device."""

    def __init__(self, device: Any = None, enable_timing: bool = False) -> None:
        self.timed = enable_timing
        self.at, self.copies = 0.0, 0

    def record(self, stream: Any = None) -> None:
        self.at = max(time.perf_counter(), QUEUE.done_at)
        self.copies = QUEUE.delivered + len(QUEUE.copies)

    def synchronize(self) -> None:
        QUEUE.wait(self.at, self.copies)

    def elapsed_time(self, end: Event) -> float:
        if not self.timed or not end.timed:
            raise RuntimeError("both events must measure times")
        return 1e3 * (end.at - self.at)


class Module:
    """`torch.second`; PyTorch itself calls these functions."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return DEVICES

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class Waits(Module):
    def synchronize(self, device: Any = None) -> None:
        COUNTS["synchronised"] += 1
        QUEUE.wait()


def module() -> Module:
    second = Module() if "no-wait" in WORDS else Waits()
    if "nameless" not in WORDS:
        second.get_device_name = lambda device=None: "Second Device 1"  # type: ignore[attr-defined]
    if "no-memory" not in WORDS:
        second.max_memory_allocated = lambda device=None: 12345678  # type: ignore[attr-defined]
        second.memory_allocated = lambda device=None: 1234  # type: ignore[attr-defined]
        second.empty_cache = lambda: COUNTS.update(emptied=COUNTS["emptied"] + 1)  # type: ignore[attr-defined]
    return second


class DeviceTensor(Tensor):
    """A tensor of the device; `raw` holds its values."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor, index: int) -> DeviceTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, index),
        )
        made.raw = raw
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"DeviceTensor({tuple(self.shape)})"

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run_operation(operation, args, kwargs or {})


def run_operation(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = operation.overloadpacket.__name__
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    indices = {each.device.index for each in tensors if isinstance(each, DeviceTensor)}
    host = [each for each in tensors if not isinstance(each, DeviceTensor)]
    if name in MOVES:
        return copy_between_devices(operation, name, args, kwargs, indices)
    # Scalars of the host are allowed, as on every device.
    if len(indices) > 1 or (indices and any(each.dim() for each in host)):
        raise RuntimeError(f"Expected all tensors to be on the same device, in {name}")
    wanted = kwargs.get("device")
    index = indices.pop() if indices else (wanted.index or 0 if wanted is not None else 0)
    found = operation(*tree_map(raw_of, args), **tree_map(raw_of, kwargs))
    if name in ("convolution", "convolution_overrideable"):
        QUEUE.submit(COST)
    if name == "_local_scalar_dense":
        QUEUE.wait()
        return found
    if name.endswith("_") and isinstance(args[0], DeviceTensor):
        return args[0]
    if name in ("argmax", "max"):
        found = falsify(args[0], found)
    biggest = max((leaf.nbytes for leaf in tree_leaves(found) if isinstance(leaf, Tensor)), default=0)
    if LIMIT and biggest > LIMIT:
        raise torch.OutOfMemoryError(f"Second device: tried to allocate {biggest} bytes, {LIMIT} are free")
    return tree_map(lambda leaf: DeviceTensor(leaf, index) if isinstance(leaf, Tensor) else leaf, found)


def copy_between_devices(
    operation: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], indices: set[int]
) -> Any:
    if name != "_to_copy":
        target, source = args[:2]
        result = operation(*tree_map(raw_of, args), **kwargs)
        if not isinstance(target, DeviceTensor):
            QUEUE.wait()
        return target if isinstance(target, DeviceTensor) else result
    (source,), options = args, dict(kwargs)
    wanted, non_blocking = options.pop("device", None), bool(options.pop("non_blocking", False))
    raw = raw_of(source)
    copy = operation(raw, **options)
    copy = copy.clone() if copy is raw else copy
    to_device = wanted.type == NAME if wanted is not None else isinstance(source, DeviceTensor)
    if to_device:
        if non_blocking and not isinstance(source, DeviceTensor):
            raise RuntimeError("a non-blocking copy would read the host's memory when it is something else")
        return DeviceTensor(copy, (wanted.index if wanted is not None else None) or (indices.pop() if indices else 0))
    if not non_blocking:
        QUEUE.wait()
        return copy
    garbage = torch.full_like(copy, GARBAGE if copy.dtype != torch.bool else 1)
    QUEUE.copies.append((garbage, copy))
    return garbage


def raw_of(leaf: Any) -> Any:
    if isinstance(leaf, DeviceTensor):
        return leaf.raw
    return torch.device("cpu") if isinstance(leaf, torch.device) and leaf.type == NAME else leaf


def falsify(logits: Tensor, found: Any) -> Any:
    """Return the result of an argmax over classes as the configured wrong kernel gives it."""
    kind = WORDS.get("argmax", "")
    if not kind or logits.dim() < 2 or (isinstance(found, Tensor) and not found.dim()):
        return found
    height, width = logits.shape[-2:]
    middle = 20_000 < height * width < 60_000
    COUNTS["argmax"] += middle
    changed = middle and COUNTS["argmax"] > 1
    hits = {"odd": width % 2, "impossible": width % 2, "middle": middle, "changing": changed}
    if not hits[kind]:
        return found
    values, labels = (None, found) if isinstance(found, Tensor) else found
    wrong = torch.full_like(labels, torch.iinfo(torch.int64).min) if kind != "odd" else (labels + 1) % logits.shape[0]
    return wrong if values is None else (values, wrong)


def raise_unknown(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("torch.accelerator does not know this device")


def returning(value: Any) -> Callable[..., Any]:
    return lambda *arguments, **options: value


_setup_privateuseone_for_python_backend(NAME, backend_module=module())
LIBRARY = torch.library.Library("_", "IMPL")
LIBRARY.fallback(lambda operation, *args, **kwargs: run_operation(operation, args, kwargs), "PrivateUse1")
# PyTorch has no tensors of inference mode on a device in Python.
torch.inference_mode = lambda mode=True: torch.no_grad()  # type: ignore[assignment,misc]
if not {"no-events", "no-wait"} & set(WORDS):
    torch.Event = Event  # type: ignore[assignment,misc]
known = not {"no-accelerator", "no-wait"} & set(WORDS)
for function, value in {
    "is_available": True, "device_count": DEVICES, "current_accelerator": torch.device(NAME),
}.items():  # fmt: skip
    with suppress(AttributeError):
        setattr(torch.accelerator, function, returning(value) if known else raise_unknown)
torch.accelerator.synchronize = (lambda device=None: QUEUE.wait()) if known else raise_unknown
