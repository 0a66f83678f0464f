"""Label maps found on a device other than the CPU, and the reasons to believe them.

Only labels come to the host, a byte per pixel. Some devices give wrong ones (PyTorch's issue 92311: the least int64
number on MPS), so three things stand in between. Labels outside the classes are refused before they become bytes. A few
dozen trials, compared with numpy, precede a run. And the first logits of every shape are reduced on the host, too. A
device that fails a comparison is not asked again: the label maps of its logits are found on the host from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from fcnbench.errors import PredictionError
from fcnbench.evaluation.events import Mark
from fcnbench.metrics.argmax import argmax_map, undefined_logits
from fcnbench.util.console import note

Map = NDArray[np.uint8]

_Shape = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
"""Size, strides and dtype: what a device chooses its kernel by."""


@dataclass(eq=False)
class Trust:
    """What is known of a device's argmax in this process.

    Attributes:
        argmax: whether it is used.
        seen: shapes of logits whose label map was the host's.
    """

    argmax: bool = True
    seen: set[_Shape] = field(default_factory=set)


_TRUST: dict[torch.device, Trust] = {}
_DECIDING = threading.Lock()


def trust_in(device: torch.device) -> Trust:
    """Return what is known of a device's argmax; it is tried when it is first asked for, in less than a second."""
    from fcnbench.evaluation.argmax_trials import first_wrong

    with _DECIDING:
        if device not in _TRUST:
            wrong = None if device.type == "cpu" else first_wrong(device)
            _TRUST[device] = Trust(wrong is None)
            if wrong is not None:
                _tell(device, wrong)
        return _TRUST[device]


def begun_on_device(logits: Tensor) -> Callable[[], Map]:
    """Start to find a label map where the logits are; the answer, called in any thread, waits for it.

    Args:
        logits: floating point [C, H, W], on a device other than the CPU.
    """
    trust = trust_in(logits.device)
    if not trust.argmax:
        copied = logits.to("cpu")
        return lambda: host_labels(copied)
    shape: _Shape = (tuple(logits.shape), logits.stride(), logits.dtype)
    wait = device_labels(logits)
    if shape in trust.seen:
        return wait
    # In the order of the device's work: the model may write its next logits over these.
    copied = logits.to("cpu", non_blocking=True)
    arrived = Mark(logits.device)

    def compared() -> Map:
        arrived.wait()
        expected = host_labels(copied)
        try:
            same = np.array_equal(wait(), expected)
        except PredictionError:
            same = False
        if same:
            trust.seen.add(shape)
        elif trust.argmax:
            trust.argmax = False
            _tell(logits.device, "x".join(map(str, logits.shape)))
        return expected

    return compared


def device_labels(logits: Tensor) -> Callable[[], Map]:
    """Start the argmax on a device, compared with nothing; the answer, called in any thread, waits for the label map.

    Args:
        logits: floating point [C, H, W].

    Raises:
        PredictionError: of the answer: some logit is NaN, or the device gives labels that are no classes.
    """
    labels, flags = (each.to("cpu", non_blocking=True) for each in reduced(logits))
    arrived, where = Mark(logits.device), str(logits.device)
    size = tuple(logits.shape)

    def wait() -> Map:
        arrived.wait()
        return checked(labels, flags, size, where)

    return wait


def reduced(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Reduce logits [C, H, W] to labels, uint8 [H, W], and three flags.

    The flags say whether the largest logit of some pixel is NaN, or minus infinity, and whether some label is no class.
    """
    largest, labels = logits.max(dim=0)
    impossible = (labels < 0) | (labels >= logits.shape[0])
    flags = torch.stack((largest.isnan().any(), largest.isneginf().any(), impossible.any()))
    # Cast to a byte, a label such as -2**63 would become class 0.
    return labels.to(torch.uint8), flags


def checked(labels: Tensor, flags: Tensor, size: tuple[int, ...], where: str) -> Map:
    """Return labels as an array.

    Raises:
        PredictionError: some pixel has no largest logit, or some label is no class.
    """
    nan, infinite, impossible = (bool(each) for each in flags)
    if nan or infinite:
        raise undefined_logits(nan=nan)
    if impossible:
        raise PredictionError(
            f"the argmax of the device {where} gives labels outside 0..{size[0] - 1} for logits {size}",
            f"use --device cpu; `fcnbench doctor --device {where}` says which shapes are wrong",
        )
    return labels.numpy()


def host_labels(logits: Tensor) -> Map:
    """Return the label map of logits [C, H, W] on the host, in any floating-point dtype.

    Raises:
        PredictionError: some pixel has no largest logit.
    """
    # Halves are float32 numbers, too, and numpy does not know all of them.
    values = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
    # `numpy()` by itself would forbid resizing, which the model may want to do if the memory is its own.
    return argmax_map(from_dlpack(values.detach().resolve_neg()).numpy())


def _tell(device: torch.device, where: str) -> None:
    note(
        f"the argmax of the device {device} is wrong ({where}): label maps are found on the host instead; "
        f"`fcnbench doctor --device {device}` says more"
    )
