"""The interface of every model: `prepare` preprocesses an image, `logits` runs the network on a batch.

`ModuleSegmenter` makes a segmenter of a `torch.nn.Module`, and `SegmenterWrapper` is the base of segmenters that change
another one's output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcnbench.errors import ModelError, PredictionError
from fcnbench.models.preprocess import MeanSubtraction, imagenet_rgb
from fcnbench.models.tensor_bytes import Part, number_parts
from fcnbench.util.digests import digest_bytes

Preprocess = Callable[..., Tensor]
"""From uint8 [H, W, 3] RGB, or the images of several modalities, to the network's input, float32 [channels, H, W]."""

MODALITIES = ("rgb", "depth", "hha")
"""The kinds of images that a model may take."""

_MAX_SHOWN = 8
"""Entries of a network's output that an error message shows."""


@runtime_checkable
class Segmenter(Protocol):
    """The interface of models: any object with the methods `prepare` and `logits` can be evaluated.

    `prepare` preprocesses an image. It is called in another thread, ahead of `logits`, so do not keep per-image state
    (a size, an offset) in the object between the two calls.

    Both methods may reuse memory, return the same buffer every time, and write into their arguments, since fcnbench
    copies what it needs before the next call. Returning a new tensor from every call avoids these copies.

    fcnbench also reads these attributes, if they exist:
        num_classes: number of classes C of the logits; compared with the dataset's before the run.
        train_splits: names of the splits or datasets that the weights were trained on; a run that includes some of
            their images is not added to a board.
        train_ids: ids of further training images, with the same effect.
        preprocessing: a word or two about what `prepare` does; stored in the record.
        module: the `torch.nn.Module` of the model; it is moved to the device, and the digest of the weights is that of
            its parameters and buffers.
        modalities: inputs of `prepare`, in order: `rgb` (the default), `depth`, `hha`. With `("rgb", "hha")` it is
            called as `prepare(image, hha)`. Depth is uint16 [H, W] in millimetres, HHA is uint8 [H, W, 3].
        all_logits: a method like `logits` that returns a mapping: `out` for the classes, `geo` for the geometric
            classes of SIFT Flow. It is called instead of `logits` if the dataset has geometric labels.

    >>> class Background:
    ...     def prepare(self, image):
    ...         return torch.from_numpy(image).permute(2, 0, 1).float()
    ...
    ...     def logits(self, batch):
    ...         return torch.eye(8)[0].reshape(1, 8, 1, 1).expand(len(batch), 8, *batch.shape[2:])
    >>> isinstance(Background(), Segmenter)
    True
    """

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """Preprocess an image, uint8 [H, W, 3] RGB, to the network's input, float32 [3, H', W']."""

    def logits(self, batch: Tensor) -> Tensor:
        """Return floating-point logits [N, C, H, W] at the images' size for preprocessed images [N, 3, H', W']."""


class ModuleSegmenter:
    """A segmenter made of a `torch.nn.Module` that maps images [N, 3, H, W] to logits [N, C, H, W].

    If the module returns a mapping, its entry `out` holds the logits, as in torchvision's segmentation models.

    Args:
        module: the network; it is switched to evaluation mode.
        prepare: preprocesses an image; by default the module's own method `prepare`, or torchvision's ImageNet
            normalisation if it has none.
        num_classes: number of classes of the logits, if known.
        train_splits: names of the splits or datasets that the weights were trained on.
        train_ids: ids of further training images.

        preprocessing: a word or two about what `prepare` does.
        modalities: inputs of `prepare`, in order.

    >>> segmenter = ModuleSegmenter(nn.Conv2d(3, 8, 1), num_classes=8)
    >>> batch = segmenter.prepare(np.zeros((20, 30, 3), np.uint8))[None]
    >>> segmenter.logits(batch).shape
    torch.Size([1, 8, 20, 30])
    """

    def __init__(
        self,
        module: nn.Module,
        prepare: Preprocess | None = None,
        num_classes: int | None = None,
        train_splits: Iterable[str] = (),
        train_ids: Iterable[str] = (),
        preprocessing: str | None = None,
        *,
        modalities: Iterable[str] = (),
    ) -> None:
        self.module = in_evaluation_mode(module)
        module_prepare: Preprocess | None = getattr(module, "prepare", None)
        self.preprocess = prepare or module_prepare or imagenet_rgb
        self.num_classes = num_classes if num_classes is not None else getattr(module, "num_classes", None)
        self.train_splits = tuple(train_splits) or tuple(getattr(module, "train_splits", ()))
        self.train_ids = tuple(train_ids) or tuple(getattr(module, "train_ids", ()))
        self.modalities = tuple(modalities) or tuple(getattr(module, "modalities", ("rgb",)))
        self.preprocessing = (
            preprocessing
            or getattr(module, "preprocessing", None)
            or getattr(self.preprocess, "__name__", type(self.preprocess).__name__)
        )

    def __repr__(self) -> str:
        classes = "" if self.num_classes is None else f", {self.num_classes} classes"
        return f"<ModuleSegmenter of {type(self.module).__name__}{classes}, {self.preprocessing}>"

    def prepare(self, *images: NDArray[Any]) -> Tensor:
        """Preprocess the image of each modality, such as uint8 [H, W, 3] RGB, to the input, float32 [3, H, W]."""
        return self.preprocess(*images)

    def logits(self, batch: Tensor) -> Tensor:
        """Return the module's logits [N, C, H, W] for preprocessed images [N, 3, H, W].

        Raises:
            PredictionError: the module returns neither a tensor nor a mapping with a tensor `out`.
        """
        return self.all_logits(batch)["out"]

    def all_logits(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Return the module's output as a mapping, with the logits under the key `out`.

        Raises:
            PredictionError: the module returns neither a tensor nor a mapping with a tensor `out`.
        """
        with torch.inference_mode():
            output = self.module(batch)
        logits = output if isinstance(output, Mapping) else {"out": output}
        if not isinstance(logits.get("out"), Tensor):
            raise PredictionError(
                f"{type(self.module).__name__} returns {_describe(output)}, expected logits [N, C, H, W] as a tensor "
                "or under the key 'out'",
                "wrap the module so that it returns its logits",
            )
        return logits


def _describe(output: object) -> str:
    """Describe a network's output, with the shapes of the tensors in it."""
    entries: Iterable[tuple[object, object]] = ()
    if isinstance(output, Mapping):
        entries = output.items()
    elif isinstance(output, list | tuple):
        entries = enumerate(output)
    shapes = [
        f"{key}: {list(value.shape) if isinstance(value, Tensor) else type(value).__name__}" for key, value in entries
    ]
    return f"a {type(output).__name__}" + (f" ({', '.join(shapes[:_MAX_SHOWN])})" if shapes else "")


class SegmenterWrapper:
    """A segmenter around another one: it delegates everything that it does not override.

    Args:
        inner: the wrapped segmenter.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.inner!r}>"

    def __getattr__(self, name: str) -> Any:
        # `all_logits` of the wrapped segmenter would bypass what the wrapper does to the logits.
        if name in ("all_logits", "inner"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    def prepare(self, *images: NDArray[Any]) -> Tensor:
        """Preprocess images as the wrapped segmenter does."""
        prepared: Tensor = self.inner.prepare(*images)
        return prepared


def logits_of_heads(segmenter: Segmenter, batch: Tensor, *, geo: bool) -> list[Tensor]:
    """Return the logits of a batch, and with `geo` those for the second label maps after them, if the model has them.

    Args:
        segmenter: the segmenter.
        batch: preprocessed images.
        geo: whether the dataset has second label maps.
    """
    both: Callable[[Tensor], Mapping[str, Tensor]] | None = getattr(segmenter, "all_logits", None)
    if not geo or both is None:
        return [segmenter.logits(batch)]
    found = both(batch)
    return [found[name] for name in ("out", "geo") if found.get(name) is not None]


def preprocess_on(segmenter: Segmenter, device: torch.device, *images: NDArray[Any]) -> Tensor:
    """Return what a segmenter's `prepare` returns, on a device, with the same bits.

    If the preprocessing is a `MeanSubtraction`, the image's bytes are copied to the device and the rest happens there.

    Args:
        segmenter: the segmenter.
        device: where the result is stored.
        images: the image of each modality.
    """
    inner: Any = segmenter
    while isinstance(inner, SegmenterWrapper) and type(inner).prepare is SegmenterWrapper.prepare:
        inner = inner.inner
    if isinstance(inner, ModuleSegmenter) and isinstance(preprocess := inner.preprocess, MeanSubtraction):
        overridden = "prepare" in vars(inner) or type(inner).prepare is not ModuleSegmenter.prepare
        if not overridden:
            return preprocess.on(device, *images)
    prepare: Preprocess = segmenter.prepare  # takes as many images as the model has modalities
    prepared = prepare(*images)
    return prepared.to(device) if isinstance(prepared, Tensor) else prepared


def is_oracle(segmenter: Segmenter) -> bool:
    """Return whether a model is an oracle, whose `predict_from_ground_truth` makes predictions of the ground truth."""
    return callable(getattr(segmenter, "predict_from_ground_truth", None))


def modalities_of(segmenter: Segmenter) -> tuple[str, ...]:
    """Return what a segmenter's `prepare` takes, in order.

    Raises:
        ModelError: the segmenter names modalities that are not in `MODALITIES`.
    """
    modalities = getattr(segmenter, "modalities", ("rgb",))
    modalities = (modalities,) if isinstance(modalities, str) else tuple(modalities)
    if not (modalities or is_oracle(segmenter)) or any(name not in MODALITIES for name in modalities):
        raise ModelError(
            f"the model's modalities are {modalities}, expected some of {', '.join(MODALITIES)}",
            "name what its prepare takes, in order",
        )
    return modalities


def only_runs_its_module(segmenter: Any) -> bool:
    """Return whether a segmenter's logits are its module's output: it is a `ModuleSegmenter` without overrides.

    A subclass, a wrapper, or an object whose methods were replaced may do more.
    """
    return type(segmenter) is ModuleSegmenter and not vars(segmenter).keys() & {"logits", "all_logits"}


def module_of(segmenter: Segmenter) -> nn.Module | None:
    """Return the network of a segmenter: its `module`, or the segmenter itself if it is a module."""
    if isinstance(segmenter, nn.Module):
        return segmenter
    module = getattr(segmenter, "module", None)
    return module if isinstance(module, nn.Module) else None


def in_evaluation_mode(module: nn.Module) -> nn.Module:
    """Switch a network to evaluation mode and return it.

    Exported programs have one mode and refuse to switch; they are returned as they are.
    """
    with suppress(NotImplementedError):
        module.eval()
    return module


def weights_digest(segmenter: Segmenter) -> str | None:
    """Return the digest of all parameters and buffers by name, dtype, shape and bytes; None without a module.

    A segmenter may provide a digest itself, such as that of its file, as a string `weights_digest`.
    """
    provided = getattr(segmenter, "weights_digest", None)
    if isinstance(provided, str):
        return provided
    module = module_of(segmenter)
    if module is None:
        return None
    parts: list[Part] = []
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            parts += number_parts(name, value)
    return digest_bytes(*parts)
