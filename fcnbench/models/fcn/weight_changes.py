"""What may have changed in a network since it was built, looked at before every pass on the fast path.

The fast path computes a network's layers without calling them, which is right for as long as the layers do what their
classes say. And it keeps what follows from the weights of the first stages, which is right for as long as they are
equal. PyTorch counts some changes of a tensor and misses others (through `.data`, numpy, or under `inference_mode`), so
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
from fcnbench.models.fcn.trunks import VggTrunk

_FORWARDS: dict[type[nn.Module], Callable[..., Any]] = {
    each: each.forward for each in (FCN, nn.Conv2d, nn.ConvTranspose2d)
}
"""What the classes of a network's parts do when they are called."""

_CALLED = ((nn.Module, "__call__"), (nn.Conv2d, "_conv_forward"), (functional, "conv2d"))
_FOUND = [getattr(owner, name) for owner, name in _CALLED]
"""What a call goes through in PyTorch itself, which some tools put functions of their own in the place of."""

_SIDE = 3
"""Side of the kernels in a VGG trunk's stages."""


def computes_as_built(net: FCN) -> bool:
    """Return whether every part of a network does what its class says, and its trunk has the shape of a VGG trunk.

    It does not after somebody registered forward hooks, replaced a `forward` method or a layer by one of another kind,
    parametrized or compiled a part, changed a stride, a padding or a kernel's size in the trunk, or put functions of
    their own in the place of PyTorch's.
    """
    parts = [net, *net.children()]
    return (
        isinstance(net.trunk, VggTrunk)
        and sum(1 for _ in net.modules()) == len(parts)
        and not any(map(_altered, parts))
        and not _hooked_everywhere()
        and not _intercepted()
        and _shaped(net, net.trunk)
    )


def _altered(part: nn.Module) -> bool:
    """Whether calling a part does something else, or more, than its class's `forward` does."""
    kind, own = type(part), vars(part)
    return (
        kind not in _FORWARDS
        or kind.forward is not _FORWARDS[kind]
        or bool(part._forward_hooks or part._forward_pre_hooks)
        or "forward" in own
        or "_conv_forward" in own
        or own.get("_compiled_call_impl") is not None
    )


def _hooked_everywhere() -> bool:
    """Whether hooks run at the calls of all modules, but for those that only name the module that is running."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks")
    hooks = [hook for name in names for hook in getattr(nn.modules.module, name, {}).values()]
    return not all(isinstance(getattr(hook, "__self__", None), ModuleTracker) for hook in hooks)


def _intercepted() -> bool:
    """Whether PyTorch's own functions were replaced, or a mode may change what they do; a default device does not."""
    if any(getattr(owner, name) is not found for (owner, name), found in zip(_CALLED, _FOUND, strict=True)):
        return True
    # Not public: where it is missing, modes are not seen.
    modes: list[object] = getattr(torch.overrides, "_get_current_function_mode_stack", list)()
    return any(type(mode).__module__ != "torch.utils._device" for mode in modes)


def _shaped(net: FCN, trunk: VggTrunk) -> bool:
    """Whether a trunk's convolutions have the kernels, strides and paddings that the fast path takes for granted."""
    for stream in net.streams:
        padding = trunk.pad
        for stage in range(1, 1 + len(trunk.depths)):
            for name in trunk.names(stage, stream):
                if not _is_simple(net, name, padding, _SIDE):
                    return False
                padding = 1
        if not all(_is_simple(net, name + stream.suffix, 0) for name in ("fc6", "fc7")):
            return False
    return True


def _is_simple(net: FCN, name: str, padding: int, side: int | None = None) -> bool:
    """Whether a layer is a convolution of stride 1 over all channels, with this padding and kernel side."""
    layer = net.get_submodule(name)
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.stride, layer.dilation, layer.padding) == ((1, 1), (1, 1), (padding, padding))
        and (layer.groups, layer.padding_mode) == (1, "zeros")
        and type(layer.weight) in (nn.Parameter, Tensor)
        and layer.weight.layout is torch.strided
        and (side is None or tuple(layer.weight.shape[2:]) == (side, side))
    )


class WeightCopies:
    """Copies of layers' weights and biases, which tell whether one of them has changed since, in any way.

    A zero of the other sign is equal, and a weight that is NaN is not.

    Args:
        layers: the layers, in order.
    """

    def __init__(self, layers: Iterable[nn.Conv2d]) -> None:
        self._copies = [None if value is None else value.detach().clone() for value in _weights(layers)]

    def equal(self, layers: Iterable[nn.Conv2d]) -> bool:
        """Return whether these layers' weights and biases, in order, equal the copies."""
        now = _weights(layers)
        return len(now) == len(self._copies) and all(map(_equal, self._copies, now))


def _weights(layers: Iterable[nn.Conv2d]) -> list[Tensor | None]:
    return [value for layer in layers for value in (layer.weight, layer.bias)]


def _equal(kept: Tensor | None, now: Tensor | None) -> bool:
    """Whether two weights are equal, either of which may be missing or of another kind."""
    if kept is None or now is None:
        return kept is now
    return (kept.device, kept.dtype, kept.shape) == (now.device, now.dtype, now.shape) and torch.equal(kept, now)


_FINITE = 1e30
"""Bound below which float32 sums, whatever their order and the algorithm, are far from overflow."""


class Kept:
    """What the fast path keeps of a network, and what it follows from.

    Args:
        arithmetic: of the passes; any value that tells another one.
        layers: those that it follows from, in order, by stream.

    Attributes:
        empty: what the banded stages make of an empty picture.
    """

    def __init__(self, arithmetic: tuple[Any, ...], layers: Mapping[str, Sequence[nn.Conv2d]]) -> None:
        self.empty: dict[tuple[str, int, int], list[Tensor]] = {}
        self._arithmetic = arithmetic
        self._copies = {stream: WeightCopies(several) for stream, several in layers.items()}
        self._growth = {stream: [_growth(layer) for layer in several] for stream, several in layers.items()}

    def follows_from(self, arithmetic: tuple[Any, ...], layers: Mapping[str, Sequence[nn.Conv2d]]) -> bool:
        """Return whether it is that of this arithmetic and of these layers' weights."""
        return (
            arithmetic == self._arithmetic
            and layers.keys() == self._copies.keys()
            and all(self._copies[stream].equal(several) for stream, several in layers.items())
        )

    def stays_finite(self, flow: Tensor, stream: str) -> bool:
        """Return whether no convolution of a stream can make infinity or NaN of an input; True where none is fused."""
        if flow.device.type != "cpu" or flow.dtype != torch.float32 or not flow.numel():
            return True
        largest = max(abs(float(end)) if end.isfinite() else float("inf") for end in flow.aminmax())
        for factor, offset in self._growth[stream]:
            if not largest < _FINITE:
                return False
            largest = largest * factor + offset
        return largest < _FINITE


def _growth(layer: nn.Conv2d) -> tuple[float, float]:
    """The largest sum of a filter's absolute weights, and the largest absolute bias; NaN where one is NaN."""
    weight, bias = layer.weight, layer.bias
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return 1.0, 0.0
    factor = float(torch.linalg.vector_norm(weight.detach().flatten(1), 1, dim=1).max())
    return factor, 0.0 if bias is None else float(bias.detach().abs().max())
