"""Which of a network's outputs contains the logits; the order of outputs does not matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fcnbench.errors import ModelError
from fcnbench.util.console import listed

_LOGITS_NAMES = ("out", "logits")
"""Usual names of the output with the logits: torchvision's and transformers'."""

_DIMENSIONS = 4


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes:
        name: its name, or its index if it has none.
        dtype: name of its dtype.
        shape: its sizes, of which dynamic ones are names or None; None if even the number of dimensions is unknown.
        floating: whether it contains floating-point numbers.
    """

    name: str
    dtype: str
    shape: Sequence[int | str | None] | None
    floating: bool

    @property
    def channels(self) -> int | None:
        """Number of channels, if known."""
        size = self.shape[1] if self.shape and len(self.shape) == _DIMENSIONS else None
        return size if isinstance(size, int) else None

    def may_be_logits(self, channels: int | None) -> bool:
        """Return whether the output may be floating-point [N, C, h, w] with this number of channels."""
        if not self.floating or (self.shape is not None and len(self.shape) != _DIMENSIONS):
            return False
        return None in (channels, self.channels) or channels == self.channels

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({self.dtype} [{sizes}])"


def choose_output(path: Path, outputs: Sequence[Output], wanted: str | None, channels: int | None) -> str:
    """Return the name of the output that contains the logits.

    That is the output that the file names; otherwise the only output; otherwise the only one called `out` or `logits`;
    otherwise the only one that may be floating-point [N, C, h, w] with the right number of channels.

    Args:
        path: the network's file, for messages.
        outputs: the outputs of the network.
        wanted: the output that the file names; None if it names none.
        channels: number of classes; None if unknown.

    Raises:
        ModelError: no output, or more than one, may contain the logits, or there is none of the wanted name.

    >>> mask = Output("mask", "uint8", (1, 1, 4, 4), floating=False)
    >>> scores = Output("scores", "float32", (1, 8, 4, 4), floating=True)
    >>> choose_output(Path("net.onnx"), [mask, scores], None, 8)
    'scores'
    """
    names = [output.name for output in outputs]
    described = listed([str(output) for output in outputs], 10) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ModelError(
                f"{path} names {wanted!r} as its output, and its outputs are: {described}", "correct the key `output`"
            )
        return wanted
    if len(outputs) == 1:
        return names[0]
    usual = [name for name in names if name in _LOGITS_NAMES]
    if len(usual) == 1:
        return usual[0]
    fitting = [output.name for output in outputs if output.may_be_logits(channels)]
    if len(fitting) == 1:
        return fitting[0]
    classes = f" of {channels} classes" if channels else ""
    raise ModelError(
        f"{path} has {len(outputs)} outputs, and {len(fitting) or 'none'} of them may be the logits{classes}: "
        f"{described}; expected one output, or one that is called out or logits, or one that alone is floating-point "
        "[N, C, h, w]",
        "export the logits alone, or name their output under the key `output` (docs/models.md)",
    )


def logits_function(
    network: Callable[[Tensor], Any], path: Path, wanted: str | None, channels: int | None
) -> Callable[[Tensor], Tensor]:
    """Return a function that runs a network and returns the logits among its outputs.

    Args:
        network: from images [N, 3, H, W] to a tensor, a mapping, or a sequence of tensors.
        path: its file, for messages.
        wanted: name of the output, as for `choose_output`.
        channels: number of classes, as for `choose_output`.
    """

    def forward(batch: Tensor) -> Tensor:
        output = network(batch)
        if isinstance(output, Tensor) and wanted is None:
            return output
        values = _by_name(output)
        outputs = [_describe(name, value) for name, value in values.items()]
        logits: Tensor = values[choose_output(path, outputs, wanted, channels)]
        return logits

    return forward


def _by_name(output: Any) -> dict[str, Any]:
    """Return a network's outputs by name or index."""
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if isinstance(output, tuple | list):
        names = getattr(output, "_fields", range(len(output)))
        return {str(name): value for name, value in zip(names, output, strict=True)}
    return {"0": output}


def _describe(name: str, value: Any) -> Output:
    if not isinstance(value, Tensor):
        return Output(name, type(value).__name__, (), False)
    return Output(name, str(value.dtype).removeprefix("torch."), tuple(value.shape), value.is_floating_point())
