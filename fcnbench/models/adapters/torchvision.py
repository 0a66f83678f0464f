"""`torchvision:NAME`: torchvision's segmentation models, with their own preprocessing and class names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fcnbench.errors import ModelError, UnknownName, WeightsError
from fcnbench.models.adapters.resizing import ResizingSegmenter
from fcnbench.models.weights.load import fill, randomise_seeded, read_state
from fcnbench.models.weights.names import RANDOM
from fcnbench.util.console import listed


def build(argument: str, weights: str | None = None, num_classes: int | None = None) -> ResizingSegmenter:
    """Build a torchvision model.

    Args:
        argument: its name, for example `deeplabv3_resnet50`.
        weights: None for the weights that torchvision downloads, a member of its weights enumeration, a file, or
            `random:SEED`.
        num_classes: number of classes, used with a file or a seed.

    Raises:
        ModelError: torchvision can't be imported.
        UnknownName: torchvision has no such segmentation model.
        WeightsError: the weights are missing or do not fit.
    """
    models = import_models()
    known = models.list_models(module=models.segmentation)
    if argument not in known:
        raise UnknownName(f"torchvision has no segmentation model {argument!r}", f"choose one of {', '.join(known)}")
    members = {member.name: member for member in models.get_model_weights(argument)}
    if weights is None or weights in members:
        member = members[weights] if weights else next(iter(members.values()))
        return _pretrained(models.get_model, argument, member)
    net = models.get_model(argument, weights=None, weights_backbone=None, num_classes=num_classes)
    if weights.startswith(RANDOM):
        randomise_seeded(net, weights)
    else:
        from pathlib import Path

        path = Path(weights).expanduser()
        if not path.exists() and "/" not in weights and "." not in weights:
            raise WeightsError(f"{argument} has no weights {weights!r}", f"torchvision has {listed(list(members))}")
        fill(net, read_state(path), argument, weights)
    return ResizingSegmenter(_forward_function(net), module=net, num_classes=num_classes)


def import_models() -> Any:
    """Import and return `torchvision.models`. The import takes about a second, and only these models need it.

    Raises:
        ModelError: the import fails, usually because torchvision was built for another PyTorch.
    """
    try:
        from torchvision import models
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            f"torchvision can't be imported with torch {torch.__version__}: {error}",
            "install the torch and the torchvision of one release from the same package index",
        ) from error
    return models


def _pretrained(get_model: Any, name: str, member: Any) -> ResizingSegmenter:
    try:
        net = get_model(name, weights=member)
    except OSError as error:
        raise WeightsError(
            f"torchvision could not download {member.url}: {error}",
            "download it yourself and pass its path to --weights",
        ) from error
    transforms = member.transforms()
    return ResizingSegmenter(
        _forward_function(net),
        module=net,
        mean=transforms.mean,
        std=transforms.std,
        short_side=transforms.resize_size[0],
        classes=member.meta["categories"],
        train_splits=("coco2017",),
    )


def _forward_function(net: nn.Module) -> Any:
    net.eval()

    def forward(batch: Tensor) -> Tensor:
        logits: Tensor = net(batch)["out"]
        return logits

    return forward
