"""`smp:ARCH:ENCODER`: segmentation_models_pytorch, and through its encoders (`tu-NAME`) timm."""

from __future__ import annotations

from pathlib import Path

from fcnbench.errors import ModelError, WeightsError
from fcnbench.models.adapters.resizing import ResizingSegmenter
from fcnbench.models.weights.load import fill, randomise_seeded, read_state
from fcnbench.models.weights.names import RANDOM

_MULTIPLE = 32
"""The sides of the network's input must be multiples of this, the stride of the deepest encoders."""


def build(argument: str, weights: str | None = None, num_classes: int | None = None) -> ResizingSegmenter:
    """Build a model.

    Args:
        argument: `ARCH:ENCODER`, for example `unet:resnet18` or `fpn:tu-mobilenetv3_small_050`.
        weights: a file with the model's own keys, or `random:SEED`.
        num_classes: number of classes.

    Raises:
        ModelError: the package has no such architecture or encoder.
        WeightsError: no weights were given, or they do not fit.
    """
    import segmentation_models_pytorch as smp

    architecture, _, encoder = argument.partition(":")
    if weights is None:
        raise WeightsError(f"smp:{argument} needs weights", "pass --weights PATH, or random:0 to try it untrained")
    try:
        net = smp.create_model(
            architecture, encoder_name=encoder or "resnet34", encoder_weights=None, classes=num_classes or 1
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"segmentation_models_pytorch can't build {argument}: {error}",
            "write smp:ARCH:ENCODER, e.g. smp:unet:resnet18",
        ) from error
    net.eval()
    if weights.startswith(RANDOM):
        randomise_seeded(net, weights)
    else:
        fill(net, read_state(Path(weights).expanduser()), f"smp:{argument}", weights)
    return ResizingSegmenter(net, module=net, multiple=_MULTIPLE, num_classes=num_classes)
