"""Which of a network's outputs holds the logits: never the first one just because it is the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fcnbench.errors import ModelError
from fcnbench.util.console import listed

_USUAL = ("out", "logits")
"""Names that networks give the output of their logits: torchvision's, and transformers'."""

_DIMENSIONS = 4


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes:
        name: its name; of an unnamed one its number, counted from 0.
        dtype: its type, in a word.
        shape: sizes; a size that is not known beforehand is a name or None, and None in place of all of them where
            not even their number is known.
        floating: whether it holds floating-point numbers.
    """

    name: str
    dtype: str
    shape: Sequence[int | str | None] | None
    floating: bool

    @property
    def channels(self) -> int | None:
        """Its number of channels, where that is known."""
        found = self.shape[1] if self.shape and len(self.shape) == _DIMENSIONS else None
        return found if isinstance(found, int) else None

    def may_be_logits(self, channels: int | None) -> bool:
        """Whether it may be floating-point [N, C, h, w] with so many channels."""
        if not self.floating or (self.shape is not None and len(self.shape) != _DIMENSIONS):
            return False
        return None in (channels, self.channels) or channels == self.channels

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({self.dtype} [{sizes}])"


def chosen(path: Path, outputs: Sequence[Output], wanted: str | None, channels: int | None) -> str:
    """Return the name of the output that holds the logits.

    That is the one which the file names; else the only one; else the only one called `out` or `logits`; else the only
    one that may be floating-point [N, C, h, w] with the right number of channels.

    Args:
        path: the network's file, for messages.
        outputs: its outputs.
        wanted: name of the one that the file names itself; None where it names none.
        channels: number of classes; None where it is not known.

    Raises:
        ModelError: there is none, none of the wanted name, or several of which it may be any.
    """
    names = [output.name for output in outputs]
    told = listed([str(output) for output in outputs], 10) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ModelError(
                f"{path} names {wanted!r} as its output, and its outputs are: {told}", "correct the key `output`"
            )
        return wanted
    if len(outputs) == 1:
        return names[0]
    usual = [name for name in names if name in _USUAL]
    if len(usual) == 1:
        return usual[0]
    fitting = [output.name for output in outputs if output.may_be_logits(channels)]
    if len(fitting) == 1:
        return fitting[0]
    classes = f" of {channels} classes" if channels else ""
    raise ModelError(
        f"{path} has {len(outputs)} outputs, and {len(fitting) or 'none'} of them may be the logits{classes}: {told}; "
        "expected one output, or one that is called out or logits, or one that alone is floating-point [N, C, h, w]",
        "export the logits alone, or name their output under the key `output` (docs/models.md)",
    )


def picking(
    network: Callable[[Tensor], Any], path: Path, wanted: str | None, channels: int | None
) -> Callable[[Tensor], Tensor]:
    """Return a function that asks a network and picks the logits from its answer: a tensor, or several of them.

    Args:
        network: from images [N, 3, H, W] to a tensor, a mapping, or a sequence of tensors.
        path: its file, for messages.
        wanted: name of the output, as for `chosen`.
        channels: number of classes, likewise.
    """

    def forward(batch: Tensor) -> Tensor:
        answer = network(batch)
        if isinstance(answer, Tensor) and wanted is None:
            return answer
        parts = _parts(answer)
        name = chosen(path, [_output(name, part) for name, part in parts.items()], wanted, channels)
        logits: Tensor = parts[name]
        return logits

    return forward


def _parts(answer: Any) -> dict[str, Any]:
    """The parts of an answer by name."""
    if isinstance(answer, Mapping):
        return {str(name): part for name, part in answer.items()}
    if isinstance(answer, tuple | list):
        names = getattr(answer, "_fields", range(len(answer)))
        return {str(name): part for name, part in zip(names, answer, strict=True)}
    return {"0": answer}


def _output(name: str, part: Any) -> Output:
    if not isinstance(part, Tensor):
        return Output(name, type(part).__name__, (), False)
    return Output(name, str(part.dtype).removeprefix("torch."), tuple(part.shape), part.is_floating_point())
