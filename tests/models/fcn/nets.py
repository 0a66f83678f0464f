"""Networks and images for the tests of the FCNs."""

from __future__ import annotations

import torch

from fcnbench.models.fcn.alexnet import AlexNetTrunk
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.googlenet import GOOGLENET, GoogLeNetTrunk, Inception
from fcnbench.models.fcn.vgg import VGGTrunk
from fcnbench.models.weights.load import randomise

NARROW = VGGTrunk(widths=(2, 2, 2, 2, 2), depths=(2, 2, 3, 3, 3), fc_kernel=7, fc_width=4, pad=100)
"""The geometry of VGG16 with very few parameters."""

NARROW_ALEXNET = AlexNetTrunk(widths=(4, 4, 4, 4, 4), fc_width=4)

NARROW_GOOGLENET = GoogLeNetTrunk(
    inceptions=tuple(Inception(module.name, 2, (2, 2), (2, 2), 2) for module in GOOGLENET.inceptions), stem=(2, 2, 4)
)


def with_random_weights(net: FCN, seed: int = 0) -> FCN:
    """Return the network in evaluation mode, with biases that matter as much as its weights.

    Without biases the constant band would be zero, and faults in it would not show.
    """
    randomise(net, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, 0.5, generator=generator)
    return net.eval()


def random_images(*size: int, channels: int = 3, dtype: torch.dtype = torch.float64, count: int = 1) -> torch.Tensor:
    """Return preprocessed images [count, channels, *size] of normally distributed values."""
    generator = torch.Generator().manual_seed(sum(size))
    return torch.randn((count, channels, *size), generator=generator, dtype=dtype)


def relative_error(output: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference, relative to the largest expected value."""
    assert output.shape == expected.shape
    return float((output - expected).abs().max() / expected.abs().max())
