"""What the adapters share: normalisation, the size that a network works at, logits back at the picture's own size."""

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
"""From normalised pictures [N, 3, H, W] to logits [N, C, h, w] of any size."""


class Resized:
    """A segmenter that normalises, may resize the picture for its network, and gives logits at the picture's size.

    Args:
        forward: the network.
        module: the `torch.nn.Module` inside, if there is one.
        mean: subtracted from RGB on a scale of 0..1.
        std: divides that.
        bgr: whether the network takes blue first.
        short_side: the picture's short side is resized to this for the network; None leaves it.
        exact: height and width that the picture is resized to; None leaves it.
        multiple: sides are padded with zeros to a multiple of this.
        classes: the network's class names, where it has any.
        num_classes: number of its classes, where there are no names.
        train_splits: what it was trained on.
        digest: digest of its file, where there is no module to take one of.
        dtypes: names of the dtypes below float32 that it computes in, where PyTorch does not carry it out.
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
        self.preprocessing = f"{'BGR' if bgr else 'RGB'} - {_told(mean)} / {_told(std)}, {size}"

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """uint8 [H, W, 3] RGB to float32 [3, H, W]: every channel normalised by its own values, then put into order."""
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)).div_(255)
        normalised = planes.sub(self._mean).div_(self._std)
        return normalised.flip(0) if self._bgr else normalised

    def logits(self, batch: Tensor) -> Tensor:
        """Logits [N, C, H, W] at the size of the batch.

        Raises:
            ModelError: the network answers with something else than logits [N, C, h, w].
        """
        size = batch.shape[-2:]
        inner = self._inner_size(size)
        resized = _bilinear(batch, inner, antialias=True)
        padding = [-side % self._multiple for side in inner]
        padded = functional.pad(resized, (0, padding[1], 0, padding[0])) if any(padding) else resized
        found = self._forward(padded)
        if not isinstance(found, Tensor) or found.dim() != 4 or not found.is_floating_point():
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"the network answers with {shape}, expected logits [N, C, h, w]", "export its logits")
        if self.num_classes is not None and found.shape[1] != self.num_classes:
            raise ModelError(
                f"the network answers with {found.shape[1]} channels, and names {self.num_classes} classes",
                "name one class for every channel",
            )
        at_input = _bilinear(found, padded.shape[-2:])[..., : inner[0], : inner[1]]
        return _bilinear(at_input, size)

    def _inner_size(self, size: torch.Size) -> tuple[int, int]:
        height, width = size
        if self._exact is not None:
            return self._exact
        if self._short_side is None:
            return height, width
        scale = self._short_side / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))


def no_weights(scheme: str, what: str) -> WeightsError:
    """The error for `--weights` where the argument names them already."""
    return WeightsError(f"{scheme}: {what} brings its own weights, and --weights was given", "drop --weights")


def _bilinear(planes: Tensor, size: Sequence[int], antialias: bool = False) -> Tensor:
    if tuple(planes.shape[-2:]) == tuple(size):
        return planes
    return functional.interpolate(planes, tuple(size), mode="bilinear", align_corners=False, antialias=antialias)


def _told(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
