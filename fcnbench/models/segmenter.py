"""The one interface of every model: `prepare` a picture, give `logits` at the picture's own size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcnbench.errors import ModelError, PredictionError
from fcnbench.models.preprocess import Centred, imagenet_rgb
from fcnbench.models.tensor_bytes import Part, number_parts
from fcnbench.util.digests import digest_bytes

Prepare = Callable[..., Tensor]
"""From uint8 [H, W, 3] RGB, or the pictures of several modalities, to float32 [3, H, W] or more planes."""


@runtime_checkable
class Segmenter(Protocol):
    """What `fcnbench` evaluates. Any object with these two methods will do.

    `prepare` is called ahead, in another thread, for pictures whose turn comes later: what it keeps in the object is
    not that of the picture whose `logits` are asked for. Both may use their memory again for the next picture, and
    write into what they are given: what the loop still needs, it copies or reads at once. A tensor that the model does
    not keep saves that.

    These attributes are read when they are there:
        num_classes: number of classes C of the logits; checked against the data set before the run.
        train_splits: names of the splits or data sets that the weights were trained on; a run on images among them
            enters no board.
        train_ids: ids of training images beyond these splits, likewise.
        preprocessing: what `prepare` does, in a word; stored in the record.
        module: the `torch.nn.Module` inside, for moving to a device and for the digest of the weights.
        modalities: what `prepare` takes, in order: `rgb` (the default), `depth`, `hha`. With `("rgb", "hha")` it is
            called as `prepare(image, hha)`; depth comes as uint16 [H, W] in millimetres, HHA as uint8 [H, W, 3].
        all_logits: a method like `logits` that answers with a mapping: `out` for the classes, `geo` for the second
            label map of SIFT Flow; called in place of `logits` where the data set has such a map.
    """

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """From a picture, uint8 [H, W, 3] RGB, to the network's input, float32 [3, H', W']."""

    def logits(self, batch: Tensor) -> Tensor:
        """From prepared inputs [N, 3, H', W'] to floating-point logits [N, C, H, W] at the pictures' own size."""


class ModuleSegmenter:
    """A segmenter made of a `torch.nn.Module` that maps pictures [N, 3, H, W] to logits [N, C, H, W].

    A module that answers with a mapping is asked for its entry `out`, as torchvision's segmentation models name it.

    Args:
        module: the network; put into evaluation mode.
        prepare: from a picture to its input; without one the module's own `prepare` is used, and torchvision's
            ImageNet normalisation where it has none.
        num_classes: number of classes of the logits, if known.
        train_splits: names of the splits or data sets that the weights were trained on.
        train_ids: ids of training images beyond these splits.
        preprocessing: what `prepare` does, in a word.
        modalities: what `prepare` takes, in order.
    """

    def __init__(
        self,
        module: nn.Module,
        prepare: Prepare | None = None,
        num_classes: int | None = None,
        train_splits: Iterable[str] = (),
        train_ids: Iterable[str] = (),
        preprocessing: str | None = None,
        *,
        modalities: Iterable[str] = (),
    ) -> None:
        self.module = in_evaluation_mode(module)
        own: Prepare | None = getattr(module, "prepare", None)
        self.preparation = prepare or own or imagenet_rgb
        self.num_classes = num_classes if num_classes is not None else getattr(module, "num_classes", None)
        self.train_splits = tuple(train_splits) or tuple(getattr(module, "train_splits", ()))
        self.train_ids = tuple(train_ids) or tuple(getattr(module, "train_ids", ()))
        self.modalities = tuple(modalities) or tuple(getattr(module, "modalities", ("rgb",)))
        self.preprocessing = (
            preprocessing
            or getattr(module, "preprocessing", None)
            or getattr(self.preparation, "__name__", type(self.preparation).__name__)
        )

    def prepare(self, *pictures: NDArray[Any]) -> Tensor:
        """From the picture of each modality, such as uint8 [H, W, 3] RGB, to the network's input, float32 [3, H, W]."""
        return self.preparation(*pictures)

    def logits(self, batch: Tensor) -> Tensor:
        """The module's answer to prepared pictures [N, 3, H, W]: logits [N, C, H, W].

        Raises:
            PredictionError: the module answers with neither a tensor nor a mapping with a tensor `out`.
        """
        return self.all_logits(batch)["out"]

    def all_logits(self, batch: Tensor) -> Mapping[str, Tensor]:
        """The same under the key `out`, beside whatever else the module's mapping holds.

        Raises:
            PredictionError: the module answers with neither a tensor nor a mapping with a tensor `out`.
        """
        with torch.inference_mode():
            answer = self.module(batch)
        found = answer if isinstance(answer, Mapping) else {"out": answer}
        if not isinstance(found.get("out"), Tensor):
            raise PredictionError(
                f"{type(self.module).__name__} answers with {_described(answer)}, expected logits [N, C, H, W] as a "
                "tensor or under the key 'out'",
                "wrap the module so that it returns its logits",
            )
        return found


def _described(answer: object) -> str:
    """What a network answered, with the shapes of the tensors in it."""
    parts: Iterable[tuple[object, object]] = ()
    if isinstance(answer, Mapping):
        parts = answer.items()
    elif isinstance(answer, list | tuple):
        parts = enumerate(answer)
    inside = [f"{key}: {list(each.shape) if isinstance(each, Tensor) else type(each).__name__}" for key, each in parts]
    return f"a {type(answer).__name__}" + (f" ({', '.join(inside[:_SHOWN])})" if inside else "")


_SHOWN = 8
"""Parts of an answer that a message names."""


class Around:
    """A segmenter around another one: everything that it does not have itself is the inner one's.

    Args:
        inner: the other segmenter.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        # The inner one's other heads do not pass through what this one does to the logits.
        if name in ("all_logits", "inner"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    def prepare(self, *pictures: NDArray[Any]) -> Tensor:
        """The inner segmenter's preparation."""
        prepared: Tensor = self.inner.prepare(*pictures)
        return prepared


def prepared_on(segmenter: Segmenter, device: torch.device, *pictures: NDArray[Any]) -> Tensor:
    """What a segmenter prepares of the pictures of a sample, on a device; what its `prepare` gives, bit for bit.

    Where that is a built-in preparation that only subtracts a mean, the picture's bytes go to the device and the rest
    happens there.
    """
    inner: Any = segmenter
    while isinstance(inner, Around) and type(inner).prepare is Around.prepare:
        inner = inner.inner
    if isinstance(inner, ModuleSegmenter) and isinstance(preparation := inner.preparation, Centred):
        own = "prepare" in vars(inner) or type(inner).prepare is not ModuleSegmenter.prepare
        if not own:
            return preparation.on(device, *pictures)
    prepare: Prepare = segmenter.prepare  # takes as many pictures as the model has modalities
    answer = prepare(*pictures)
    return answer.to(device) if isinstance(answer, Tensor) else answer


MODALITIES = ("rgb", "depth", "hha")
"""What pictures of a sample a model may take."""


def answers_from_truth(segmenter: Segmenter) -> bool:
    """Whether a model is an oracle: it takes no picture, and its method `answer` makes the prediction of the truth."""
    return callable(getattr(segmenter, "answer", None))


def modalities_of(segmenter: Segmenter) -> tuple[str, ...]:
    """What a segmenter's `prepare` takes, in order.

    Raises:
        ModelError: it names something else than `MODALITIES`.
    """
    wanted = getattr(segmenter, "modalities", ("rgb",))
    wanted = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    if not (wanted or answers_from_truth(segmenter)) or any(name not in MODALITIES for name in wanted):
        raise ModelError(
            f"the model's modalities are {wanted}, expected some of {', '.join(MODALITIES)}",
            "name what its prepare takes, in order",
        )
    return wanted


def runs_its_module(segmenter: Any) -> bool:
    """Return whether a segmenter's logits are what its network answers: it is a `ModuleSegmenter` as it was written.

    A subclass, a wrapper, or an object with methods of its own may do more.
    """
    return type(segmenter) is ModuleSegmenter and not vars(segmenter).keys() & {"logits", "all_logits"}


def module_of(segmenter: Segmenter) -> nn.Module | None:
    """The network inside a segmenter: its `module`, or the segmenter itself when it is one."""
    if isinstance(segmenter, nn.Module):
        return segmenter
    inside = getattr(segmenter, "module", None)
    return inside if isinstance(inside, nn.Module) else None


def in_evaluation_mode(module: nn.Module) -> nn.Module:
    """Switch a network to evaluation mode, and return it; an exported program has one mode, and says so."""
    with suppress(NotImplementedError):
        module.eval()
    return module


def weights_digest(segmenter: Segmenter) -> str | None:
    """Digest of all parameters and buffers by name, dtype, shape and bytes; None where there is no module to read.

    A segmenter may name a digest itself, as `weights_digest`: that of its file, for example.
    """
    own = getattr(segmenter, "weights_digest", None)
    if isinstance(own, str):
        return own
    module = module_of(segmenter)
    if module is None:
        return None
    parts: list[Part] = []
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            parts += number_parts(name, value)
    return digest_bytes(*parts)
