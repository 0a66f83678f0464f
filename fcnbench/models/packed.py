"""Convolutions with weights that lie ready for the CPU's kernels, and the ReLU in the same pass.

PyTorch brings a convolution's weights into the order of oneDNN's kernels at every call; for fc6, 400 MB of them, that
takes as long as the convolution. The operator that keeps them in order is the one PyTorch's own compiler uses. It is no
public function, so it is tried on a small layer first, and where it is missing or wrong the plain one does the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

_CLOSE = 1e-4
"""Largest difference from the plain convolution, relative to its largest answer, in the trial."""


def convolved(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    """ReLU of a convolution with another padding than the layer's own."""
    return functional.conv2d(flow, layer.weight, layer.bias, padding=padding).relu_()


class Packed:
    """Convolutions and their ReLUs, with weights packed on first use."""

    wanted = True

    def __init__(self) -> None:
        self._weights: dict[nn.Conv2d, Tensor] = {}

    def __call__(self, layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
        """ReLU of a convolution with another padding than the layer's own: [N, C, h, w] in channels-last order."""
        other = flow.device.type != "cpu" or flow.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
        if other or not self.wanted or not packing_works():
            return convolved(layer, flow, padding)
        if layer not in self._weights:
            self._weights[layer] = _pack(layer, flow, padding)
        return _convolution(layer, self._weights[layer], flow, padding)

    def clear(self) -> None:
        """Forget the packed weights: the layers' own were changed."""
        self._weights.clear()


@contextmanager
def unpacked() -> Iterator[None]:
    """Convolve without packing inside the block, by the public operator."""
    before, Packed.wanted = Packed.wanted, False
    try:
        yield
    finally:
        Packed.wanted = before


@cache
def packing_works() -> bool:
    """Whether this PyTorch packs weights, and convolves with them as without."""
    if not torch.backends.mkldnn.is_available():
        return False
    layer = nn.Conv2d(3, 5, 3, device="cpu", dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        flow = torch.randn((2, 3, 9, 8), generator=generator).to(memory_format=torch.channels_last)
        plain = convolved(layer, flow, 1)
        # The operator is private: it may be gone, take other arguments, or refuse.
        try:
            packed = _convolution(layer, _pack(layer, flow, 1), flow, 1)
        except (AttributeError, RuntimeError, TypeError, NotImplementedError):
            return False
    return packed.shape == plain.shape and bool((packed - plain).abs().max() <= _CLOSE * plain.abs().max())


def _pack(layer: nn.Conv2d, flow: Tensor, padding: int) -> Tensor:
    """A layer's weights in the order of the kernels."""
    packed: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(
        layer.weight.detach().to_mkldnn(), [padding, padding], [1, 1], [1, 1], 1, list(flow.shape)
    )
    return packed


def _convolution(layer: nn.Conv2d, weights: Tensor, flow: Tensor, padding: int) -> Tensor:
    answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
        flow, weights, layer.bias, [padding, padding], [1, 1], [1, 1], 1, "relu", [], ""
    )
    return answer
