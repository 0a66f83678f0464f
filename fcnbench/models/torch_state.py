"""PyTorch's process-wide settings that can change a number: set as the protocol needs them, checked and restored.

A model's code may switch on autocast, TF32, another default dtype or cuDNN's benchmark mode, and leave it on. Whatever
it left, and whatever the caller's process had set, an evaluation runs with the values that this module names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch.backends import opt_einsum  # not every version imports it by itself

from fcnbench.errors import ModelError
from fcnbench.models.code.neighbours import programs_modules_kept
from fcnbench.models.float32 import first_precision, read_precision, set_precision, wanted_precision
from fcnbench.util.process_state import (
    Setting,
    hold_settings,
    preserve_random_states,
    process_settings,
    restore_settings,
    seed_generators,
)

_lock, _running = threading.Lock(), 0
"""How many parts of a model's code run at this moment, in all threads."""

_HINT = (
    "leave process-wide settings alone in the model; `with torch.autocast(...)` and `torch.backends.cudnn.flags(...)` "
    "blocks that end with the pass change nothing for others"
)


@contextmanager
def held_switches(
    *, tf32: bool = False, autocast: tuple[str, torch.dtype] | None = None, device: str = "cpu"
) -> Iterator[None]:
    """Hold every setting that can change a number inside the block, and restore what was found.

    Args:
        tf32: whether CUDA kernels may round float32 products to TF32.
        autocast: device type and dtype that autocast is on for; None switches it off.
        device: type of the device that the model runs on.
    """
    wanted = {**_WANTED, _AUTOCAST: autocast or (), _FP32: wanted_precision(tf32)}
    with hold_settings(_switches(device), wanted):
        yield


@contextmanager
def protected(*, restore_path: bool = True) -> Iterator[None]:
    """Run a block that calls other people's code: process-wide settings are set before it and restored after it.

    Settings of PyTorch that change numbers are those of an fp32 evaluation, random generators start from the same
    seed, and the working directory, `sys.path`, streams, signal handlers and the like are as they were found. Call
    `restore_settings` inside the block whenever such code has run.

    Args:
        restore_path: whether to restore `sys.path`; a model that lives on may still import through it.
    """
    with ExitStack() as stack:
        stack.enter_context(programs_modules_kept())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_kept_torch_seed())
        stack.enter_context(preserve_random_states())
        stack.enter_context(hold_settings(switch for switch in process_settings() if restore_path or not switch.at_end))
        stack.enter_context(held_switches())
        seed(0)
        yield


@contextmanager
def foreign_code(what: str) -> Iterator[None]:
    """Run a part of a model's code; set back what it changes, and refuse a change on which numbers depend.

    The code may change a setting for as long as it runs. Images are prepared in other threads during the forward pass:
    what all threads share is looked at when none of them runs such code.

    Args:
        what: the code, for the message, such as `the forward pass`.

    Raises:
        ModelError: a setting on which numbers depend is not what it was.
    """
    global _running  # noqa: PLW0603 - the settings are the process's
    own = () if threading.current_thread() is threading.main_thread() else tuple(_thread_switches(("cpu", "cuda")))
    before = [switch.read() for switch in own]
    with _lock:
        _running += 1
    changed: list[str] = []
    try:
        yield
    finally:
        for switch, value in zip(own, before, strict=True):
            if switch.read() != value:
                switch.write(value)
                changed.append(switch.name)
        with _lock:
            _running -= 1
            changed += restore_settings(own_thread_only=_running > 0)
    if names := sorted(_NUMERIC.intersection(changed)):
        raise ModelError(f"{what} changes a process-wide setting on which numbers depend: {', '.join(names)}", _HINT)


def seed(number: int, device: str = "cpu") -> None:
    """Seed every global random generator of Python, numpy, the CPU, and the devices in use.

    `torch.manual_seed` would take a millisecond where CUDA is not in use: it keeps a stack trace for later.

    Args:
        number: 0..2^32 - 1.
        device: type of a device that is in use for certain; not all say whether they are.
    """
    torch.default_generator.manual_seed(number)
    for module in _devices_with_seeds(device):
        seeds = getattr(module, "manual_seed_all", None) or getattr(module, "manual_seed", None)
        if seeds is not None:
            seeds(number)
    seed_generators(number)


@contextmanager
def _kept_torch_seed() -> Iterator[None]:
    state = torch.get_rng_state()
    others = [(module, module.get_rng_state()) for module in _devices_with_seeds()]
    try:
        yield
    finally:
        torch.set_rng_state(state)
        for module, value in others:
            module.set_rng_state(value)


def _devices_with_seeds(device: str = "cpu") -> list[Any]:
    """The modules of accelerators that are in use, and that of `device`."""
    found = []
    for name in dict.fromkeys(("cuda", "mps", "xpu", device)):
        module = None if name == "cpu" else getattr(torch, name, None)
        # Reading or setting the state of a device that nobody has used yet would start it.
        used = getattr(module, "is_initialized", None)
        if module is not None and (name == device or (used is not None and used())):
            found.append(module)
    return found


def _thread_switches(types: tuple[str, ...]) -> list[Setting]:
    """The settings that every thread has for itself."""
    return [
        Setting("the default device", _default_device, _set_default_device, own_thread=True),
        Setting(_AUTOCAST, lambda: _autocast(types), lambda value: _set_autocast(types, value), own_thread=True),
        Setting("denormal numbers", _flushes_denormals, _flush_denormals, own_thread=True),
    ]


def _switches(device: str) -> list[Setting]:
    types = tuple(dict.fromkeys(("cpu", "cuda", device)))
    cuda = torch.backends.cuda
    some = [
        (cuda.matmul, "allow_fp16_accumulation", "fp16 sums in fp16 products"),
        *([(opt_einsum, "strategy", "opt_einsum's strategy")] if opt_einsum.is_available() else []),
    ]
    return [
        *_thread_switches(types),
        # The dtype of an autocast that is off counts for nothing here, and for the caller afterwards.
        Setting("autocast's dtype", *_autocast_dtypes(types), own_thread=True, at_end=True),
        *(_attribute(name, owner, attribute) for owner, attribute, name in some if hasattr(owner, attribute)),
        Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting("deterministic algorithms", _deterministic, _set_deterministic),
        _attribute("cuDNN", torch.backends.cudnn, "enabled"),
        _attribute("cuDNN's benchmark mode", torch.backends.cudnn, "benchmark"),
        _attribute("cuDNN's deterministic mode", torch.backends.cudnn, "deterministic"),
        _attribute("oneDNN", torch.backends.mkldnn, "enabled"),
        _attribute("opt_einsum", opt_einsum, "enabled"),
        _attribute("half sums in fp16 products", torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction"),
        _attribute("half sums in bf16 products", torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction"),
        Setting("attention's flash kernel", cuda.flash_sdp_enabled, cuda.enable_flash_sdp),
        Setting("attention's plain kernel", cuda.math_sdp_enabled, cuda.enable_math_sdp),
        Setting("attention's kernel of little memory", cuda.mem_efficient_sdp_enabled, cuda.enable_mem_efficient_sdp),
        Setting("attention's cuDNN kernel", cuda.cudnn_sdp_enabled, cuda.enable_cudnn_sdp),
        Setting(_FP32, read_precision, set_precision, first_precision),
    ]


_AUTOCAST, _FP32 = "autocast", "the precision of float32 kernels"

_WANTED: Mapping[str, Any] = {
    "the default dtype": torch.float32,
    "the default device": "cpu",
    "deterministic algorithms": (False, False),
    "denormal numbers": False,
    "cuDNN": True,
    "cuDNN's benchmark mode": False,
    "cuDNN's deterministic mode": True,
    "oneDNN": True,
    "opt_einsum": True,
    "opt_einsum's strategy": "auto",
    "fp16 sums in fp16 products": False,
    "half sums in fp16 products": True,
    "half sums in bf16 products": True,
    "attention's flash kernel": True,
    "attention's plain kernel": True,
    "attention's kernel of little memory": True,
    "attention's cuDNN kernel": True,
}
"""PyTorch's own defaults, apart from cuDNN, whose kernels are the deterministic ones; threads stay as found."""

_NUMERIC = frozenset({*_WANTED, _AUTOCAST, _FP32})


def _attribute(name: str, owner: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute, None), lambda value: _set_attribute(owner, attribute, value))


def _set_attribute(owner: Any, attribute: str, value: Any) -> None:
    if hasattr(owner, attribute):
        setattr(owner, attribute, value)


def _default_device() -> str:
    # A default device is a mode, and usually there is none; not public, so it may be missing.
    modes = getattr(torch._C, "_len_torch_function_stack", None)
    return "cpu" if modes is not None and not modes() else str(torch.get_default_device())


def _set_default_device(name: str) -> None:
    # None takes the mode away that a default device is, and every call of a factory function with it.
    torch.set_default_device(None if name == "cpu" else name)
    try:
        torch.get_default_device()
    except AttributeError:  # PyTorch 2.6 no longer knows it, then
        torch.set_default_device("cpu")


def _autocast(types: tuple[str, ...]) -> tuple[Any, ...]:
    """Device type and dtype of the autocast that is on in this thread, of every type; empty where none is."""
    found: list[Any] = []
    for kind in types:
        try:
            if torch.is_autocast_enabled(kind):
                found += [kind, torch.get_autocast_dtype(kind)]
        except RuntimeError:  # a device type without autocast
            continue
    return tuple(found)


def _set_autocast(types: tuple[str, ...], value: tuple[Any, ...]) -> None:
    wanted = dict(zip(value[::2], value[1::2], strict=True))
    for kind in types:
        try:
            torch.set_autocast_enabled(kind, kind in wanted)
            if kind in wanted:
                torch.set_autocast_dtype(kind, wanted[kind])
        except RuntimeError:
            continue


def _autocast_dtypes(types: tuple[str, ...]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    """Read and write the dtypes that autocast has in this thread, whether it is on or not."""

    def read() -> dict[str, torch.dtype]:
        found = {}
        for kind in types:
            with suppress(RuntimeError):  # a device type without autocast
                found[kind] = torch.get_autocast_dtype(kind)
        return found

    def write(value: dict[str, torch.dtype]) -> None:
        for kind, dtype in value.items():
            torch.set_autocast_dtype(kind, dtype)

    return read, write


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _flushes_denormals() -> bool:
    """Whether this thread's arithmetic takes denormal numbers for 0; PyTorch can be told, and not asked."""
    return _DENORMAL * 1.0 == 0.0


def _flush_denormals(value: bool) -> None:
    torch.set_flush_denormal(value)


_DENORMAL = 5e-324
