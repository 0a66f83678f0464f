"""The device that the forward pass runs on."""

from __future__ import annotations

import sys

import torch

from fcnbench.errors import UsageError
from fcnbench.evaluation.world import local_rank
from fcnbench.models.segmenter import Segmenter, module_of


def choose_device(name: str) -> torch.device:
    """The device of a name: `auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, ...

    Without a number, `cuda` is the GPU that falls to this process among those of its machine.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and torch.cuda.device_count() > 1:
        name = f"cuda:{local_rank() % torch.cuda.device_count()}"
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


def peak_memory(device: torch.device) -> int:
    """Most bytes in use at once so far: of a CUDA device by PyTorch, else by the whole process; 0 where unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0
    # macOS counts in bytes, Linux in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
