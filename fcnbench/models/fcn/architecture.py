"""What a network is made of, computed from the module: layers, parameters, receptive field, stride."""

from __future__ import annotations

from dataclasses import dataclass

from fcnbench.models.fcn.fcn import FCN

PAPER = {
    "fcn-alexnet": (8, "57M", 355, 32),
    "fcn32s": (16, "134M", 404, 32),
    "fcn-googlenet": (22, "6M", 907, 32),
}
"""Table 1 of the CVPR paper: layers, parameters, receptive field, stride of its three nets. GoogLeNet's 907 counts the
final 7x7 average pooling that the paper's text removes; without it the field is 715."""


@dataclass(frozen=True)
class Facts:
    """What a network is made of.

    Attributes:
        layers: learned layers from the picture to the score layer, that one counted.
        parameters: learned numbers.
        receptive_field: side in pixels of what a cell of the coarsest score layer sees.
        stride: pixels between two of its cells.
    """

    layers: int
    parameters: int
    receptive_field: int
    stride: int


def facts(net: FCN) -> Facts:
    """Work out a network's facts; it may live on the meta device."""
    grid = net.trunk.score_grid
    return Facts(
        layers=net.trunk.layers,
        parameters=sum(value.numel() for value in net.parameters() if value.requires_grad),
        receptive_field=int(grid.field),
        stride=int(grid.stride),
    )


def builtin_facts(name: str) -> Facts:
    """The facts of a built-in model, without any memory for its weights."""
    import torch

    from fcnbench.models.fcn.zoo import DEFINITIONS

    definition = DEFINITIONS[name]
    with torch.device("meta"):
        return facts(definition.net(definition.num_classes))
