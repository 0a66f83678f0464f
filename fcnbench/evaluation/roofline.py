"""A roofline: the work of a forward pass, and the speed that the device reaches at best.

The work comes from the network: floating-point operations as PyTorch counts them, and the minimum memory traffic. The
device's ceilings are measured, by a matrix product and a copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fcnbench.evaluation.device import free_cache, out_of_memory
from fcnbench.evaluation.precision import HALF_DTYPES, Precision
from fcnbench.evaluation.timer import Timer
from fcnbench.models.fcn.convolution import without_fused_convolution
from fcnbench.models.segmenter import Segmenter, module_of

_TRIALS = 5
_SIDES = (1024, 4096)
"""Sides of the square matrix that is multiplied by one of the same height and four times its width."""

_COPIED_BYTES = (1 << 28, 1 << 30)
"""Bytes that are copied: more than any cache holds."""

_TOO_SHORT = 5e-3
"""Seconds below which an accelerator is measured at the larger size: the launch would distort the smaller one."""


@dataclass(frozen=True)
class Work:
    """The work of one forward pass.

    Attributes:
        flops: floating-point operations of the path that runs, two for a multiplication with its addition.
        bytes: minimum memory traffic: parameters, input and logits, each moved once.
    """

    flops: int
    bytes: int


@dataclass(frozen=True)
class Ceiling:
    """The speed that a device reached in one precision.

    Attributes:
        flops_per_second: in a matrix product, by the faster of PyTorch's two ways to compute one.
        bytes_per_second: in a copy, read and written bytes together.
    """

    flops_per_second: float
    bytes_per_second: float


def work_of(segmenter: Segmenter, batch: Tensor) -> Work:
    """Count the work of a forward pass; a network that is not a PyTorch module shows no operations.

    Args:
        segmenter: the model, on the batch's device.
        batch: preprocessed images [N, planes, H, W].

    >>> from fcnbench.models.segmenter import ModuleSegmenter
    >>> work_of(ModuleSegmenter(torch.nn.Conv2d(3, 5, 1)), torch.zeros(1, 3, 10, 10))
    Work(flops=3000, bytes=3280)
    """
    from torch.utils.flop_counter import FlopCounterMode

    # PyTorch does not count fused convolutions.
    with torch.no_grad(), without_fused_convolution():
        # A first pass, since what a network computes once and keeps is not work of every pass. Each pass gets a copy:
        # models may write into their input.
        segmenter.logits(batch.clone())
        with FlopCounterMode(display=False) as counter:
            logits = segmenter.logits(batch.clone())
    module = module_of(segmenter)
    parameters = () if module is None else module.parameters()
    return Work(int(counter.get_total_flops()), sum(tensor.nbytes for tensor in (*parameters, batch, logits)))


def ceiling(device: torch.device, precision: Precision) -> Ceiling:
    """Measure a device: the best of a few matrix products and copies."""
    with precision.applied(device):
        dtype = HALF_DTYPES.get(precision.format, torch.float32)
        side, product_seconds = _largest(_SIDES, lambda side: _product_seconds(side, dtype, device), device)
        copied, copy_seconds = _largest(_COPIED_BYTES, lambda size: _copy_seconds(size, device), device)
    return Ceiling(8 * side**3 / product_seconds, 2 * copied / copy_seconds)


def _largest(sizes: tuple[int, int], measure: Callable[[int], float], device: torch.device) -> tuple[int, float]:
    """Return the size that was measured, and its seconds: the larger size where the smaller one takes too short."""
    small, large = sizes
    seconds = measure(small)
    if device.type == "cpu" or seconds >= _TOO_SHORT:
        return small, seconds
    try:
        return large, measure(large)
    except Exception as error:
        if not out_of_memory(error):
            raise
        free_cache(device)
        return small, seconds


def _product_seconds(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the seconds of a matrix product of 8 * side^3 operations."""
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, 4 * side, device=device).to(dtype)
    # The same product as a 1x1 convolution: on some processors one of the two libraries is twice as fast.
    height = math.isqrt(4 * side)
    feature_map = right.view(1, side, height, -1).contiguous(memory_format=torch.channels_last)
    filters = left.view(side, side, 1, 1).contiguous(memory_format=torch.channels_last)
    return min(
        _best_seconds(lambda: left @ right, device),
        _best_seconds(lambda: functional.conv2d(feature_map, filters), device),
    )


def _copy_seconds(size: int, device: torch.device) -> float:
    """Return the seconds of a copy of `size` bytes."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return _best_seconds(lambda: target.copy_(source), device)


def _best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the shortest time of a few trials, after an untimed one."""
    work()
    seconds = []
    for _ in range(_TRIALS):
        timer = Timer(device)
        work()
        seconds.append(timer.stop().seconds())
    return min(seconds)
