"""PyTorch's process-wide settings that can change a number: set to the protocol's values, checked and restored.

A model's code may switch on autocast, TF32, another default dtype or cuDNN's benchmark mode, and leave it on. An
evaluation runs with the values in this module, whatever the model or the caller's process has set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch.backends import opt_einsum  # not every version imports it by itself

from fcnbench.errors import ModelError
from fcnbench.models.code.neighbours import restore_program_modules
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
"""Number of `foreign_code` blocks that run at this moment, in all threads."""

_HINT = (
    "do not change process-wide settings in the model; blocks that end with the forward pass, such as "
    "`with torch.autocast(...)` and `with torch.backends.cudnn.flags(...)`, are fine"
)


@contextmanager
def held_switches(
    *, tf32: bool = False, autocast: tuple[str, torch.dtype] | None = None, device: str = "cpu"
) -> Iterator[None]:
    """Set every setting that can change a number for the duration of the block, then restore the previous values.

    Args:
        tf32: whether CUDA kernels may round float32 products to TF32.
        autocast: device type and dtype for which autocast is on; None switches it off.
        device: type of the device that the model runs on.
    """
    wanted = {**_WANTED, _AUTOCAST: autocast or (), _FP32: wanted_precision(tf32)}
    with hold_settings(switches_of(device), wanted):
        yield


@contextmanager
def protected(*, restore_path: bool = True) -> Iterator[None]:
    """Protect the process from third-party code in the block: set process-wide settings before it, restore them after.

    PyTorch's settings that change numbers are those of an fp32 evaluation, and random generators start from a fixed
    seed. The working directory, `sys.path`, streams, signal handlers and the like are restored. Call
    `restore_settings` inside
    the block after every call of such code.

    Args:
        restore_path: whether to restore `sys.path`; a model that is used after the block may still import through it.
    """
    with ExitStack() as stack:
        stack.enter_context(restore_program_modules())
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
    """Restore the settings that a model's code in the block has changed, and refuse changes on which numbers depend.

    The code may change a setting temporarily. Images are preprocessed in other threads during the forward pass, so
    settings that all threads share are checked when no thread runs such code.

    Args:
        what: names the code in the message, such as `the forward pass`.

    Raises:
        ModelError: after the block, a setting on which numbers depend differs from before.
    """
    global _running  # noqa: PLW0603 - the settings are the process's
    in_main_thread = threading.current_thread() is threading.main_thread()
    thread_switches = () if in_main_thread else tuple(_thread_switches(("cpu", "cuda")))
    before = [switch.read() for switch in thread_switches]
    with _lock:
        _running += 1
    changed: list[str] = []
    try:
        yield
    finally:
        for switch, value in zip(thread_switches, before, strict=True):
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
        device: type of a device that is in use; not all device types can tell whether they are.
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
    """Return the modules of the accelerators that are in use, such as `torch.cuda`, and that of `device`."""
    modules = []
    for name in dict.fromkeys(("cuda", "mps", "xpu", device)):
        module = None if name == "cpu" else getattr(torch, name, None)
        # Reading or setting the random state of an unused device would initialise it.
        is_used = getattr(module, "is_initialized", None)
        if module is not None and (name == device or (is_used is not None and is_used())):
            modules.append(module)
    return modules


def _thread_switches(types: tuple[str, ...]) -> list[Setting]:
    """Return the settings that every thread has its own value of."""
    return [
        Setting("the default device", _default_device, _set_default_device, own_thread=True),
        Setting(_AUTOCAST, lambda: _autocast(types), lambda value: _set_autocast(types, value), own_thread=True),
        Setting("denormal numbers", _flushes_denormals, _flush_denormals, own_thread=True),
    ]


def switches_of(device: str) -> list[Setting]:
    """Return the settings of PyTorch that can change a number on a type of device, which `held_switches` holds.

    >>> [switch.name for switch in switches_of("cpu")][:2]
    ['the default device', 'autocast']
    """
    types = tuple(dict.fromkeys(("cpu", "cuda", device)))
    cuda = torch.backends.cuda
    some = [
        (cuda.matmul, "allow_fp16_accumulation", "fp16 sums in fp16 products"),
        *([(opt_einsum, "strategy", "opt_einsum's strategy")] if opt_einsum.is_available() else []),
    ]
    return [
        *_thread_switches(types),
        # The dtype of an inactive autocast does not matter in the evaluation, but may matter to the caller after it.
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
"""PyTorch's defaults, except that cuDNN uses deterministic kernels. The number of threads is not changed."""

_NUMERIC = frozenset({*_WANTED, _AUTOCAST, _FP32})


def _attribute(name: str, owner: Any, attribute: str) -> Setting:
    return Setting(name, lambda: getattr(owner, attribute, None), lambda value: _set_attribute(owner, attribute, value))


def _set_attribute(owner: Any, attribute: str, value: Any) -> None:
    if hasattr(owner, attribute):
        setattr(owner, attribute, value)


def _default_device() -> str:
    # A default device is a mode; without any mode it is the CPU. The function is not public and may be missing.
    count_modes = getattr(torch._C, "_len_torch_function_stack", None)
    return "cpu" if count_modes is not None and not count_modes() else str(torch.get_default_device())


def _set_default_device(name: str) -> None:
    # None removes the mode, and with it the cost that a mode adds to every factory function.
    torch.set_default_device(None if name == "cpu" else name)
    try:
        torch.get_default_device()
    except AttributeError:  # PyTorch 2.6 has no default device after that
        torch.set_default_device("cpu")


def _autocast(types: tuple[str, ...]) -> tuple[Any, ...]:
    """Return device type and dtype of every autocast that is on in this thread, one after the other."""
    active: list[Any] = []
    for kind in types:
        try:
            if torch.is_autocast_enabled(kind):
                active += [kind, torch.get_autocast_dtype(kind)]
        except RuntimeError:  # a device type without autocast
            continue
    return tuple(active)


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
    """Return functions that read and write the autocast dtypes of this thread, whether autocast is on or not."""

    def read() -> dict[str, torch.dtype]:
        dtypes = {}
        for kind in types:
            with suppress(RuntimeError):  # a device type without autocast
                dtypes[kind] = torch.get_autocast_dtype(kind)
        return dtypes

    def write(value: dict[str, torch.dtype]) -> None:
        for kind, dtype in value.items():
            torch.set_autocast_dtype(kind, dtype)

    return read, write


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _flushes_denormals() -> bool:
    """Return whether this thread flushes denormal numbers to 0; PyTorch has no function that tells."""
    return _DENORMAL * 1.0 == 0.0


def _flush_denormals(value: bool) -> None:
    torch.set_flush_denormal(value)


_DENORMAL = 5e-324
