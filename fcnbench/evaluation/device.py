"""The device that the forward pass runs on, and the arithmetic it is held to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fcnbench.errors import UsageError
from fcnbench.models.segmenter import Segmenter, module_of


def choose_device(name: str) -> torch.device:
    """The device of a name: `auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, ...

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"--device {name} can't be used here: {reason}", "use --device auto or cpu") from error
    if device.type == "meta":
        raise UsageError("--device meta holds no numbers", "use --device auto or cpu")
    return device


def move(segmenter: Segmenter, device: torch.device) -> None:
    """Bring a segmenter's network to the device, where it has one."""
    module = module_of(segmenter)
    if module is not None:
        module.to(device)


@contextmanager
def full_precision() -> Iterator[None]:
    """Hold float32 to float32: TF32 off, deterministic cuDNN kernels chosen without trial runs."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
