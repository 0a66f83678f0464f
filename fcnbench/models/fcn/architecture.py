"""Layers, parameters, receptive field and stride of the built-in networks, computed from their modules."""

from __future__ import annotations

from dataclasses import dataclass

PAPER = {
    "fcn-alexnet": (8, "57M", 355, 32),
    "fcn32s": (16, "134M", 404, 32),
    "fcn-googlenet": (22, "6M", 907, 32),
}
"""Table 1 of the CVPR paper: layers, parameters, receptive field and stride of three nets.

GoogLeNet's 907 includes the final 7x7 average pooling, which the paper's text removes; without it the field is 715.
"""


@dataclass(frozen=True)
class Architecture:
    """What a built-in network consists of.

    Attributes:
        name: name of the model, as `--model` takes it.
        layers: number of learned layers from the image to the score layer, inclusive.
        parameters: number of learned parameters.
        receptive_field: side of the receptive field of a cell of the coarsest score layer, in image pixels.
        stride: distance between two of its cells, in image pixels.
        paper: the same from Table 1 of the CVPR paper, as text; empty for nets that are not in it.
    """

    name: str
    layers: int
    parameters: int
    receptive_field: int
    stride: int
    paper: str


def architecture_of(name: str) -> Architecture:
    """Return the architecture of a built-in model; no memory is used for its weights.

    >>> architecture_of("fcn32s-pocket").receptive_field
    282
    """
    import torch

    from fcnbench.models.fcn.zoo import DEFINITIONS

    definition = DEFINITIONS[name]
    with torch.device("meta"):
        net = definition.net(definition.num_classes)
    return Architecture(
        name=name,
        layers=net.trunk.learned_layers,
        parameters=sum(value.numel() for value in net.parameters() if value.requires_grad),
        receptive_field=int(net.trunk.score_grid.field),
        stride=int(net.trunk.score_grid.stride),
        paper="{} layers, {}, {}, {}".format(*PAPER[name]) if name in PAPER else "",
    )
