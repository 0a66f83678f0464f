"""`hf:ORG/NAME`: segmentation models of Hugging Face `transformers`, with their own preprocessing and class names."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fcnbench.errors import ModelError
from fcnbench.models.adapters.resizing import ResizingSegmenter, no_weights


def build(argument: str, weights: str | None = None) -> ResizingSegmenter:
    """Build a model from the hub or from a folder saved by `save_pretrained`.

    Args:
        argument: `ORG/NAME` on the hub, or a folder.
        weights: must be None: the argument names them.

    Raises:
        ModelError: the hub or the folder has no semantic segmentation model of this name.
        WeightsError: weights were given.
    """
    if weights is not None:
        raise no_weights("hf", argument)
    from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

    try:
        net: Any = AutoModelForSemanticSegmentation.from_pretrained(argument)
        processor: Any = AutoImageProcessor.from_pretrained(argument)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"hf:{argument} can't be loaded: {str(error).splitlines()[0]}",
            "pass ORG/NAME of a semantic segmentation model on the hub, or a folder saved by save_pretrained",
        ) from error
    net.eval()

    def forward(batch: Tensor) -> Tensor:
        logits: Tensor = net(pixel_values=batch).logits
        return logits

    names = net.config.id2label
    normalises = bool(getattr(processor, "do_normalize", True))
    short_side, exact = _size(processor)
    return ResizingSegmenter(
        forward,
        module=net,
        mean=processor.image_mean if normalises else (0, 0, 0),
        std=processor.image_std if normalises else (1, 1, 1),
        short_side=short_side,
        exact=exact,
        classes=[str(names[index]) for index in range(len(names))],
    )


def _size(processor: Any) -> tuple[int | None, tuple[int, int] | None]:
    """Return the size that the model's processor resizes to: a short side, or height and width."""
    if not getattr(processor, "do_resize", False):
        return None, None
    size = dict(processor.size)
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), None
    return None, (int(size["height"]), int(size["width"]))
