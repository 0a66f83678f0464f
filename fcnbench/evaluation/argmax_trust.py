"""Whether a device's argmax is used: it must agree with the CPU's.

A few dozen cases are compared with numpy before a run, and in the run the first logits of every shape are reduced on
the CPU, too. After the first disagreement the label maps of the device's logits are computed on the CPU until the
process ends.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation.argmax_cases import first_wrong_case
from fcnbench.evaluation.device_argmax import start_device_argmax
from fcnbench.evaluation.events import Mark
from fcnbench.evaluation.host_argmax import HostArgmax, LabelMap, PendingLabelMap, host_argmax
from fcnbench.util.console import note

_Shape = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]
"""Size, strides and dtype: a device chooses its kernel by them."""


@dataclass(eq=False)
class ArgmaxTrust:
    """What is known about a device's argmax in this process.

    Attributes:
        usable: whether the device's argmax is used.
        compared: shapes of logits for which it agreed with the CPU's.
    """

    usable: bool = True
    compared: set[_Shape] = field(default_factory=set)


_TRUST: dict[torch.device, ArgmaxTrust] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False)
class _ComparedArgmax:
    """A device's argmax that is compared with the CPU's, which is the result.

    Attributes:
        pending: the device's argmax.
        logits: copy of the logits on the host; complete after `copied`.
        copied: the point in the device's work after which the copy is complete.
        device: the device.
        shape: shape, strides and dtype of the logits on the device.
        trust: what is known about the device; updated by the comparison.
    """

    pending: PendingLabelMap
    logits: Tensor
    copied: Mark
    device: torch.device
    shape: _Shape
    trust: ArgmaxTrust

    def wait(self) -> LabelMap:
        """Wait for the device and return the CPU's label map."""
        self.copied.wait()
        expected = host_argmax(self.logits)
        try:
            same = np.array_equal(self.pending.wait(), expected)
        except PredictionError:
            same = False
        if same:
            self.trust.compared.add(self.shape)
        elif self.trust.usable:
            self.trust.usable = False
            _report_wrong(self.device, "x".join(map(str, self.shape[0])))
        return expected


def trust_in(device: torch.device) -> ArgmaxTrust:
    """Return what is known about a device's argmax; the first call tests it, in less than a second.

    >>> trust_in(torch.device("cpu")).usable
    True
    """
    with _LOCK:
        if device not in _TRUST:
            wrong = None if device.type == "cpu" else first_wrong_case(device)
            _TRUST[device] = ArgmaxTrust(wrong is None)
            if wrong is not None:
                _report_wrong(device, wrong.describe())
        return _TRUST[device]


def start_trusted_argmax(logits: Tensor) -> PendingLabelMap:
    """Start the argmax on the logits' device, or on the CPU where the device's argmax is not usable.

    Args:
        logits: floating point [C, H, W], on a device other than the CPU.
    """
    trust = trust_in(logits.device)
    if not trust.usable:
        return HostArgmax(logits.to("cpu"))
    shape: _Shape = (tuple(logits.shape), logits.stride(), logits.dtype)
    pending = start_device_argmax(logits)
    if shape in trust.compared:
        return pending
    # Enqueued before any later work of the device: the model may write its next logits into the same memory.
    copy = logits.to("cpu", non_blocking=True)
    return _ComparedArgmax(pending, copy, Mark(logits.device), logits.device, shape, trust)


def _report_wrong(device: torch.device, case: str) -> None:
    note(
        f"the argmax of the device {device} is wrong ({case}): label maps are computed on the CPU instead; "
        f"`fcnbench doctor --device {device}` says more"
    )
