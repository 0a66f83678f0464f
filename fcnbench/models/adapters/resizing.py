"""The segmenter of the adapters: normalises, resizes for the network, and returns logits at the image's size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fcnbench.errors import ModelError, WeightsError
from fcnbench.models.preprocess import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB, channel_values

Forward = Callable[[Tensor], Tensor]
"""From normalised images [N, 3, H, W] to logits [N, C, h, w] of any size."""


class ResizingSegmenter:
    """A segmenter that may resize the normalised image for its network, and returns logits at the image's size.

    Args:
        forward: the network.
        module: the `torch.nn.Module` of the network, if there is one.
        mean: subtracted from RGB on a scale of 0..1.
        std: divides the difference.
        bgr: whether the network takes BGR.
        short_side: length to which the image's short side is resized; None for no such resizing.
        exact: height and width to which the image is resized; None for no such resizing.
        multiple: sides are padded with zeros to a multiple of this.
        classes: the network's class names, if known.
        num_classes: number of classes, if there are no names.
        train_splits: names of the splits that it was trained on.
        digest: digest of its file, if there is no module.
        dtypes: names of the dtypes below float32 that it computes in, if it is not run by PyTorch.
    """

    def __init__(
        self,
        forward: Forward,
        *,
        module: nn.Module | None = None,
        mean: Sequence[float] = IMAGENET_MEAN_RGB,
        std: Sequence[float] = IMAGENET_STD_RGB,
        bgr: bool = False,
        short_side: int | None = None,
        exact: tuple[int, int] | None = None,
        multiple: int = 1,
        classes: Sequence[str] = (),
        num_classes: int | None = None,
        train_splits: Sequence[str] = (),
        digest: str | None = None,
        dtypes: frozenset[str] = frozenset(),
    ) -> None:
        self.reduced_dtypes = dtypes
        self._forward = forward
        self._mean, self._std = channel_values(mean), channel_values(std)
        self._bgr = bgr
        self._short_side = short_side
        self._exact = exact
        self._multiple = multiple
        self.module = module
        self.classes = tuple(classes)
        self.num_classes = len(self.classes) or num_classes
        self.train_splits = tuple(train_splits)
        self.weights_digest = digest
        size = f"short side {short_side}" if short_side else f"{exact[0]}x{exact[1]}" if exact else "own size"
        self.preprocessing = f"{'BGR' if bgr else 'RGB'} - {_format(mean)} / {_format(std)}, {size}"

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """Normalise an image, uint8 [H, W, 3] RGB, to float32 [3, H, W] in the network's channel order."""
        channels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)).div_(255)
        normalised = channels.sub(self._mean).div_(self._std)
        return normalised.flip(0) if self._bgr else normalised

    def logits(self, batch: Tensor) -> Tensor:
        """Return logits [N, C, H, W] at the size of the batch.

        Raises:
            ModelError: the network returns something else than logits [N, C, h, w].
        """
        size = batch.shape[-2:]
        inner = self._network_size(size)
        resized = _bilinear(batch, inner, antialias=True)
        padding = [-side % self._multiple for side in inner]
        padded = functional.pad(resized, (0, padding[1], 0, padding[0])) if any(padding) else resized
        logits = self._forward(padded)
        if not isinstance(logits, Tensor) or logits.dim() != 4 or not logits.is_floating_point():
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(f"the network returns {shape}, expected logits [N, C, h, w]", "export its logits")
        if self.num_classes is not None and logits.shape[1] != self.num_classes:
            raise ModelError(
                f"the network returns {logits.shape[1]} channels, and names {self.num_classes} classes",
                "name one class per channel",
            )
        at_input = _bilinear(logits, padded.shape[-2:])[..., : inner[0], : inner[1]]
        return _bilinear(at_input, size)

    def _network_size(self, size: torch.Size) -> tuple[int, int]:
        height, width = size
        if self._exact is not None:
            return self._exact
        if self._short_side is None:
            return height, width
        scale = self._short_side / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))


def no_weights(scheme: str, argument: str) -> WeightsError:
    """Return the error for `--weights` with a model that has weights already."""
    return WeightsError(f"{scheme}: {argument} brings its own weights, and --weights was given", "drop --weights")


def _bilinear(x: Tensor, size: Sequence[int], antialias: bool = False) -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return functional.interpolate(x, tuple(size), mode="bilinear", align_corners=False, antialias=antialias)


def _format(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
