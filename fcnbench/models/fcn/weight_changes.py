"""Changes of a network since it was built, checked before every pass on the fast path.

The fast path computes a network's layers without calling them, which is correct as long as the layers do what their
classes define. It also caches values that follow from the weights of the first stages, which is correct as long as the
weights are equal. PyTorch's version counters miss changes that are made through `.data`, numpy, or `inference_mode`, so
the weights themselves are compared with copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.module_tracker import ModuleTracker

from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.vgg import VGGTrunk

_FORWARD_METHODS: dict[type[nn.Module], Callable[..., Any]] = {
    layer_type: layer_type.forward for layer_type in (FCN, nn.Conv2d, nn.ConvTranspose2d)
}
"""The `forward` methods of the classes that an FCN consists of, as they were at import."""

_CALLED_FUNCTIONS = ((nn.Module, "__call__"), (nn.Conv2d, "_conv_forward"), (functional, "conv2d"))
_ORIGINALS = [getattr(owner, name) for owner, name in _CALLED_FUNCTIONS]
"""PyTorch's functions that calling a layer runs through, as they were at import; some tools replace them."""

_KERNEL = 3
"""Kernel side of the convolutions in a VGG trunk's stages."""


def computes_as_built(net: FCN) -> bool:
    """Return whether every part of a network does what its class defines, and the trunk is a VGG trunk.

    It does not after somebody registered forward hooks, replaced a `forward` method, replaced a layer by one of another
    class, parametrized or compiled a part, changed a stride, padding or kernel size in the trunk, or replaced functions
    of PyTorch.

    >>> from fcnbench.models.fcn.pocket import POCKET_TRUNK
    >>> net = FCN(8, 32, POCKET_TRUNK)
    >>> computes_as_built(net)
    True
    >>> handle = net.fc6.register_forward_hook(lambda *_: None)
    >>> computes_as_built(net)
    False
    """
    parts = [net, *net.children()]
    return (
        isinstance(net.trunk, VGGTrunk)
        and sum(1 for _ in net.modules()) == len(parts)
        and not any(map(_is_altered, parts))
        and not _has_global_hooks()
        and not _pytorch_is_altered()
        and _has_trunk_shape(net, net.trunk)
    )


def _is_altered(part: nn.Module) -> bool:
    """Return whether calling a part does something else, or more, than its class's `forward`."""
    layer_type, attributes = type(part), vars(part)
    return (
        layer_type not in _FORWARD_METHODS
        or layer_type.forward is not _FORWARD_METHODS[layer_type]
        or bool(part._forward_hooks or part._forward_pre_hooks)
        or "forward" in attributes
        or "_conv_forward" in attributes
        or attributes.get("_compiled_call_impl") is not None
    )


def _has_global_hooks() -> bool:
    """Return whether hooks run at the calls of all modules, other than those that track which module is running."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    hooks = [hook for name in names for hook in getattr(nn.modules.module, name, {}).values()]
    return not all(isinstance(getattr(hook, "__self__", None), ModuleTracker) for hook in hooks)


def _pytorch_is_altered() -> bool:
    """Return whether functions of PyTorch were replaced, or a mode other than a default device may change them."""
    for (owner, name), original in zip(_CALLED_FUNCTIONS, _ORIGINALS, strict=True):
        if getattr(owner, name) is not original:
            return True
    # Not public: in a PyTorch without it, modes go unnoticed.
    modes: list[object] = getattr(torch.overrides, "_get_current_function_mode_stack", list)()
    return any(type(mode).__module__ != "torch.utils._device" for mode in modes)


def _has_trunk_shape(net: FCN, trunk: VGGTrunk) -> bool:
    """Return whether the trunk's convolutions have the kernels, strides and paddings that the fast path assumes."""
    for stream in net.streams:
        padding = trunk.pad
        for stage in range(1, 1 + len(trunk.depths)):
            for name in trunk.layer_names(stage, stream):
                if not _is_simple(net.get_submodule(name), padding, _KERNEL):
                    return False
                padding = 1
        if not all(_is_simple(stream.layer(net, name), 0) for name in ("fc6", "fc7")):
            return False
    return True


def _is_simple(layer: nn.Module, padding: int, kernel: int | None = None) -> bool:
    """Return whether a layer is a convolution of stride 1 in one group, with this padding and kernel side."""
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.stride, layer.dilation, layer.padding) == ((1, 1), (1, 1), (padding, padding))
        and (layer.groups, layer.padding_mode) == (1, "zeros")
        and type(layer.weight) in (nn.Parameter, Tensor)
        and layer.weight.layout is torch.strided
        and (kernel is None or tuple(layer.weight.shape[2:]) == (kernel, kernel))
    )


class WeightCopies:
    """Copies of layers' weights and biases, to detect whether one of them has changed in any way.

    Zeros of either sign are equal; NaN is not equal to itself.

    Args:
        layers: the layers, in order.
    """

    def __init__(self, layers: Iterable[nn.Conv2d]) -> None:
        self._copies = [None if value is None else value.detach().clone() for value in _weights(layers)]

    def equal(self, layers: Iterable[nn.Conv2d]) -> bool:
        """Return whether these layers' weights and biases, in order, equal the copies."""
        values = _weights(layers)
        return len(values) == len(self._copies) and all(map(_equal, self._copies, values))


def _weights(layers: Iterable[nn.Conv2d]) -> list[Tensor | None]:
    return [value for layer in layers for value in (layer.weight, layer.bias)]


def _equal(copy: Tensor | None, value: Tensor | None) -> bool:
    """Return whether a weight equals its copy, where either may be None, or on another device."""
    if copy is None or value is None:
        return copy is value
    return (copy.device, copy.dtype, copy.shape) == (value.device, value.dtype, value.shape) and torch.equal(
        copy, value
    )


_FINITE = 1e30
"""Below this bound, float32 sums are far from overflow, whatever their order and the algorithm."""


class FastPathCache:
    """The values for an all-zero image, and copies of the weights that they follow from.

    Args:
        settings: precision and other settings that the values depend on; compared for equality.
        layers: by stream suffix, the layers that the values depend on, in order.

    Attributes:
        zero_image_pools: by stream suffix, height and width of the small canvas, the pools of the banded stages.
    """

    def __init__(self, settings: tuple[Any, ...], layers: Mapping[str, Sequence[nn.Conv2d]]) -> None:
        self.zero_image_pools: dict[tuple[str, int, int], list[Tensor]] = {}
        self._settings = settings
        self._copies = {suffix: WeightCopies(stream_layers) for suffix, stream_layers in layers.items()}
        self._growth = {suffix: [_growth(layer) for layer in stream_layers] for suffix, stream_layers in layers.items()}

    def is_valid_for(self, settings: tuple[Any, ...], layers: Mapping[str, Sequence[nn.Conv2d]]) -> bool:
        """Return whether the cache was made with these settings and with equal weights."""
        return (
            settings == self._settings
            and layers.keys() == self._copies.keys()
            and all(self._copies[suffix].equal(stream_layers) for suffix, stream_layers in layers.items())
        )

    def stays_finite(self, x: Tensor, suffix: str) -> bool:
        """Return whether no convolution of a stream can produce infinity or NaN from an input.

        The bound follows from the largest absolute input. True where no fused convolution is used.
        """
        if x.device.type != "cpu" or x.dtype != torch.float32 or not x.numel():
            return True
        largest = max(abs(float(end)) if end.isfinite() else float("inf") for end in x.aminmax())
        for factor, offset in self._growth[suffix]:
            if not largest < _FINITE:
                return False
            largest = largest * factor + offset
        return largest < _FINITE


def _growth(layer: nn.Conv2d) -> tuple[float, float]:
    """Return the largest sum of a filter's absolute weights, and the largest absolute bias; NaN where one is NaN."""
    weight, bias = layer.weight, layer.bias
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return 1.0, 0.0
    factor = float(torch.linalg.vector_norm(weight.detach().flatten(1), 1, dim=1).max())
    return factor, 0.0 if bias is None else float(bias.detach().abs().max())
