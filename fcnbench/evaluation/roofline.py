"""How much work a forward pass is, and how fast a device could do it at best: a roofline of two measured numbers.

The work comes from the network itself: floating-point operations as PyTorch counts them, and the bytes that have to
move even if nothing moved twice. The ceilings are measured: one matrix product, one copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fcnbench.evaluation.device import free_cache, out_of_memory
from fcnbench.evaluation.precision import HALVES, Arithmetic
from fcnbench.evaluation.timing import Stopwatch
from fcnbench.models.fcn.convolution import without_fused_convolution
from fcnbench.models.segmenter import Segmenter, module_of

_TRIALS = 5
_SIDES = (1024, 4096)
"""Sides of the matrix that is multiplied with one as high and four times as wide."""

_COPIED = (1 << 28, 1 << 30)
"""Bytes that are copied: more than any cache holds."""

_SHORT = 5e-3
"""Seconds below which an accelerator is measured on the larger size: a launch would be a part of the smaller one."""


@dataclass(frozen=True)
class Work:
    """What one forward pass takes.

    Attributes:
        flops: floating-point operations, two for a multiplication with its addition; of the path that runs.
        bytes: parameters, input and logits, each moved once.
    """

    flops: int
    bytes: int


@dataclass(frozen=True)
class Ceiling:
    """What a device reached in this arithmetic.

    Attributes:
        flops_per_second: in a matrix product, by the faster of PyTorch's two ways to make one.
        bytes_per_second: in a copy, read and written bytes together.
    """

    flops_per_second: float
    bytes_per_second: float

    def seconds(self, work: Work) -> float:
        """Least time for the work: that of its operations, or that of its bytes."""
        return max(work.flops / self.flops_per_second, work.bytes / self.bytes_per_second)


def work_of(segmenter: Segmenter, batch: Tensor) -> Work:
    """The work of a forward pass, counted in a second one; a network that is no PyTorch module shows no operations.

    Args:
        segmenter: the model, on the batch's device.
        batch: prepared pictures [N, planes, H, W].
    """
    from torch.utils.flop_counter import FlopCounterMode

    # A fused convolution is an operator that PyTorch does not count. A copy for each pass: models may write into it.
    with torch.no_grad(), without_fused_convolution():
        # What is worked out once and kept is no part of a pass.
        segmenter.logits(batch.clone())
        with FlopCounterMode(display=False) as counter:
            logits = segmenter.logits(batch.clone())
    module = module_of(segmenter)
    parameters = () if module is None else module.parameters()
    return Work(int(counter.get_total_flops()), sum(each.nbytes for each in (*parameters, batch, logits)))


def ceiling(device: torch.device, arithmetic: Arithmetic) -> Ceiling:
    """Measure a device: the best of a few matrix products and copies."""
    with arithmetic.held(device):
        dtype = HALVES.get(arithmetic.precision, torch.float32)
        side, product = _largest(_SIDES, lambda side: _product(side, dtype, device), device)
        copied, copy = _largest(_COPIED, lambda size: _copy(size, device), device)
    return Ceiling(8 * side**3 / product, 2 * copied / copy)


def _largest(sizes: tuple[int, int], measure: Callable[[int], float], device: torch.device) -> tuple[int, float]:
    """Return the size that was measured, and its seconds: the larger one where the smaller one is too short a time."""
    small, large = sizes
    seconds = measure(small)
    if device.type == "cpu" or seconds >= _SHORT:
        return small, seconds
    try:
        return large, measure(large)
    except Exception as error:
        if not out_of_memory(error):
            raise
        free_cache(device)
        return small, seconds


def _product(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Seconds of a matrix product of 8 * side^3 operations."""
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, 4 * side, device=device).to(dtype)
    # A product is a convolution of one pixel, too: on some processors one library is twice as fast as the other.
    height = math.isqrt(4 * side)
    flow = right.view(1, side, height, -1).contiguous(memory_format=torch.channels_last)
    filters = left.view(side, side, 1, 1).contiguous(memory_format=torch.channels_last)
    ways = (lambda: left @ right, lambda: functional.conv2d(flow, filters))
    return min(_best(way, device) for way in ways)


def _copy(size: int, device: torch.device) -> float:
    """Seconds of a copy of so many bytes."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return _best(lambda: target.copy_(source), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    """Least seconds of a few trials, after one that is not counted."""
    seconds = []
    for _ in range(1 + _TRIALS):
        stop = Stopwatch(device).start()
        work()
        seconds.append(stop()())
    return min(seconds[1:])
