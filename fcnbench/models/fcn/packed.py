"""Convolutions of the fast path: with their ReLU in the same pass, or as a matrix product.

The operator that does both at once is the one that PyTorch's own compiler uses on CPUs. It is not a public function, so
it is tried on a small layer first, and where it is missing or wrong the plain ones do the work. Weights are read where
they lie, at every call: nothing is kept of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.models.fcn.trunks import convolved

_CLOSE = 1e-4
"""Largest difference from the plain convolution, relative to its largest answer, in the trial."""

_WANTED = ContextVar("_WANTED", default=True)
"""Whether the operator may be used."""


def rectified(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    """Return the ReLU of a convolution with another padding than the layer's own, in one pass where that is possible.

    The one pass makes 0 of NaN: whoever calls this knows that there is none, or calls it inside `unfused`.

    Args:
        layer: of stride 1, over all channels.
        flow: its input [N, C, h, w] in channels-last order.
        padding: on all four sides.
    """
    kinds = {flow.dtype, layer.weight.dtype, torch.float32}
    other = flow.device.type != "cpu" or len(kinds) > 1 or torch.is_autocast_enabled("cpu")
    if other or not _WANTED.get() or not torch.backends.mkldnn.enabled or not fusing_works():
        return convolved(layer, flow, padding)
    return _fused(layer, flow, padding)


def multiplied(layer: nn.Conv2d, flow: Tensor) -> Tensor:
    """Return the ReLU of a convolution without padding, as one matrix product over the weights where they lie.

    A convolution brings its weights into another order at every call, and a product its input. For fc6, 400 MB of
    weights, that takes as long as the convolution itself. Where windows outnumber filters, it is convolved.

    Args:
        layer: of stride 1, over all channels.
        flow: its input [N, channels, h, w].

    Returns:
        [N, its channels, h - kernel + 1, w - kernel + 1].
    """
    weight, sides = layer.weight, tuple(layer.weight.shape[2:])
    height, width = (side - kernel + 1 for side, kernel in zip(flow.shape[2:], sides, strict=True))
    if len(flow) * height * width > len(weight) or not weight.is_contiguous():
        return convolved(layer, flow, 0)
    one = sides == (1, 1)
    windows = flow.permute(0, 2, 3, 1) if one else functional.unfold(flow, sides).transpose(1, 2)
    rows = len(flow) * height * width
    found = functional.linear(windows.reshape(rows, windows.shape[-1]), weight.flatten(1), layer.bias)
    return found.view(len(flow), height, width, len(weight)).permute(0, 3, 1, 2).relu_()


@contextmanager
def unfused() -> Iterator[None]:
    """Convolve by the public operator inside the block."""
    before = _WANTED.set(False)
    try:
        yield
    finally:
        _WANTED.reset(before)


@cache
def fusing_works() -> bool:
    """Return whether this PyTorch has the operator, and it answers as the plain ones do."""
    if not torch.backends.mkldnn.is_available():
        return False
    # Drawn from a generator of its own: the caller's random numbers, and default dtype and device, stay out of it.
    generator = torch.Generator(device="cpu").manual_seed(0)
    layer = nn.Conv2d(3, 5, 3, device="meta", dtype=torch.float32).to_empty(device="cpu")
    with torch.inference_mode():
        flow, weight, bias = (
            torch.randn(size, generator=generator, device="cpu", dtype=torch.float32)
            for size in ((2, 3, 9, 8), layer.weight.shape, (5,))
        )
        layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        flow = flow.to(memory_format=torch.channels_last)
        plain = convolved(layer, flow, 1)
        # The operator is private: it may be gone, take other arguments, or refuse.
        try:
            fused = _fused(layer, flow, 1)
        except (AttributeError, RuntimeError, TypeError, NotImplementedError):
            return False
    return fused.shape == plain.shape and bool((fused - plain).abs().max() <= _CLOSE * plain.abs().max())


def _fused(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
        flow, layer.weight, layer.bias, [padding, padding], [1, 1], [1, 1], 1, "relu", [], ""
    )
    return answer
