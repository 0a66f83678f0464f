"""A convolution followed by ReLU, computed in four ways: module call, plain, fused, and as a matrix product.

The fused operator computes both in one pass over memory. It is what `torch.compile` uses on CPUs. It is not public, so
it is tried once on a small layer; where it is missing or wrong, the plain functions replace it. The layer's weights are
read at every call; no copy of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

ConvReLU = Callable[[nn.Conv2d, Tensor, int], Tensor]
"""From a layer, its input [N, C, h, w] and a padding to the ReLU of the convolution."""

_TOLERANCE = 1e-4
"""Largest difference of the fused operator from the plain one in the trial, relative to the largest output."""

_fusion_allowed = ContextVar("_fusion_allowed", default=True)
"""Whether this thread, or task, may use the fused operator. Other threads have a value of their own."""


def call_conv_relu(layer: nn.Conv2d, x: Tensor, padding: int) -> Tensor:
    """Call the layer as a module, with its hooks and its own padding, and return the ReLU of its output."""
    del padding
    return torch.relu_(layer(x))


def conv_relu(layer: nn.Conv2d, x: Tensor, padding: int) -> Tensor:
    """Convolve with the layer's weights and another padding, without its hooks, and return the ReLU of the output."""
    return functional.conv2d(x, layer.weight, layer.bias, padding=padding).relu_()


def fused_conv_relu(layer: nn.Conv2d, x: Tensor, padding: int) -> Tensor:
    """Compute `conv_relu` in one pass over memory where that is possible.

    The fused operator turns NaN into 0. Call this inside `without_fused_convolution` where NaN may occur.

    Args:
        layer: a convolution of stride 1 in one group.
        x: its input [N, C, h, w] in channels_last order.
        padding: zeros added on all four sides.
    """
    dtypes = {x.dtype, layer.weight.dtype}
    float32_on_cpu = x.device.type == "cpu" and dtypes == {torch.float32} and not torch.is_autocast_enabled("cpu")
    if float32_on_cpu and _fusion_allowed.get() and torch.backends.mkldnn.enabled and fused_operator_works():
        return fused_operator(layer, x, padding)
    return conv_relu(layer, x, padding)


def matmul_conv_relu(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Compute `conv_relu` without padding as one matrix product with the weights as they are stored.

    A convolution reorders its weights at every call, and a matrix product reorders its input. For fc6, with 400 MB of
    weights, reordering takes as long as the convolution itself. Where windows outnumber filters, this convolves.

    Args:
        layer: a convolution of stride 1 in one group.
        x: its input [N, C, h, w].

    Returns:
        [N, output channels, h - kernel + 1, w - kernel + 1].
    """
    weight, kernel = layer.weight, tuple(layer.weight.shape[2:])
    height, width = (side - window + 1 for side, window in zip(x.shape[2:], kernel, strict=True))
    rows = len(x) * height * width
    if rows > len(weight) or not weight.is_contiguous():
        return conv_relu(layer, x, 0)
    windows = x.permute(0, 2, 3, 1) if kernel == (1, 1) else functional.unfold(x, kernel).transpose(1, 2)
    products = functional.linear(windows.reshape(rows, windows.shape[-1]), weight.flatten(1), layer.bias)
    return products.view(len(x), height, width, len(weight)).permute(0, 3, 1, 2).relu_()


@contextmanager
def without_fused_convolution() -> Iterator[None]:
    """Make `fused_conv_relu` use the public operators inside the block, in this thread only."""
    token = _fusion_allowed.set(False)
    try:
        yield
    finally:
        _fusion_allowed.reset(token)


class _UnsetConvolution(nn.Conv2d):
    """A convolution whose weights have no values yet, so that making it draws no random numbers."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are."""


@cache
def fused_operator_works() -> bool:
    """Return whether this PyTorch has the fused operator and its output agrees with the plain one."""
    if not torch.backends.mkldnn.is_available():
        return False
    # A local generator and explicit dtypes and devices: global random state and defaults neither matter nor change.
    generator = torch.Generator(device="cpu").manual_seed(0)
    layer = _UnsetConvolution(3, 5, 3, device="cpu", dtype=torch.float32)
    with torch.inference_mode():
        x, weight, bias = (
            torch.randn(size, generator=generator, device="cpu", dtype=torch.float32)
            for size in ((2, 3, 9, 8), layer.weight.shape, (5,))
        )
        layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        x = x.to(memory_format=torch.channels_last)
        expected = conv_relu(layer, x, 1)
        # The operator is private: it may be gone, take other arguments, or refuse.
        try:
            fused = fused_operator(layer, x, 1)
        except (AttributeError, RuntimeError, TypeError, NotImplementedError):
            return False
    if fused.shape != expected.shape:
        return False
    return bool((fused - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def fused_operator(layer: nn.Conv2d, x: Tensor, padding: int) -> Tensor:
    """Compute `conv_relu` by PyTorch's fused operator, which `fused_operator_works` checks first.

    Args:
        layer: a convolution of stride 1 in one group, float32 on the CPU.
        x: its input [N, C, h, w] in channels_last order.
        padding: zeros added on all four sides.
    """
    output: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, layer.weight, layer.bias, [padding, padding], [1, 1], [1, 1], 1, "relu", [], ""
    )
    return output
