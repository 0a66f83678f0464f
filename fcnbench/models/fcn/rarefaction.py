"""Filter rarefaction (the à trous algorithm): the scores of shift-and-stitch in one pass (CVPR 2015, section 3.2).

The strides of the last layers are removed, and the filters after them are dilated to match the finer grid. No command
uses it; it shows, in the tests and for readers of the paper, that both ways give equal scores.
"""

from __future__ import annotations

from torch import nn

from fcnbench.errors import ModelError


def rarefy(layers: nn.Sequential, factor: int) -> nn.Sequential:
    """Return the same layers with scores on a grid `factor` times as fine.

    Strides are removed from the last layer backwards until their product is `factor`. Every filter after a removed
    stride is dilated by it. The returned layers share their parameters with the given ones.

    Args:
        layers: convolutions, max pools, and layers that work on each value by itself.
        factor: the product of some of the last strides.

    Raises:
        ValueError: the last strides do not multiply to the factor.
        ModelError: a layer is of another kind.

    >>> coarse = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 2, 3))
    >>> [(layer.stride, layer.dilation) for layer in rarefy(coarse, 2) if isinstance(layer, nn.Conv2d)]
    [((1, 1), (1, 1)), ((1, 1), (2, 2))]
    """
    removed: dict[int, int] = {}
    remaining = factor
    for index in reversed(range(len(layers))):
        stride = _stride(layers[index])
        if remaining == 1 or stride == 1:
            continue
        if remaining % stride:
            raise ValueError(f"the last strides do not multiply to {factor}")
        removed[index], remaining = stride, remaining // stride
    if remaining != 1:
        raise ValueError(f"the strides do not multiply to {factor}")
    dilation, result = 1, []
    for index, layer in enumerate(layers):
        result.append(_dilated(layer, dilation, keep_stride=index not in removed))
        dilation *= removed.get(index, 1)
    return nn.Sequential(*result)


def _stride(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return layer.stride[0]
    return int(layer.stride) if isinstance(layer, nn.MaxPool2d) else 1  # type: ignore[arg-type]


def _dilated(layer: nn.Module, dilation: int, keep_stride: bool) -> nn.Module:
    """Return a layer for a grid that is `dilation` times as fine."""
    if isinstance(layer, nn.Conv2d):
        copy = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            stride=layer.stride if keep_stride else 1,  # type: ignore[arg-type]
            padding=tuple(side * dilation for side in layer.padding),  # type: ignore[arg-type]
            dilation=dilation,
            groups=layer.groups,
        )
        copy.weight, copy.bias = layer.weight, layer.bias
        return copy
    if isinstance(layer, nn.MaxPool2d):
        padding = int(layer.padding) * dilation  # type: ignore[arg-type]
        return nn.MaxPool2d(layer.kernel_size, layer.stride if keep_stride else 1, padding, dilation)
    if isinstance(layer, (nn.ReLU, nn.Dropout, nn.Identity)):
        return layer
    raise ModelError(f"{type(layer).__name__} can't be dilated", "use convolutions, max pools and ReLU")
