"""Argmax on a device other than the CPU: only the label map, one byte per pixel, is copied to the host.

Some devices give wrong labels (PyTorch's issue 92311: the smallest int64 on MPS), so labels outside the classes are
refused before they are cast to bytes. `argmax_trust` decides whether a device's argmax is used at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation.events import Mark
from fcnbench.evaluation.host_argmax import LabelMap
from fcnbench.metrics.argmax import undefined_logits


@dataclass(frozen=True, eq=False)
class DeviceArgmax:
    """An argmax that a device is computing.

    Attributes:
        labels: label map on the host, uint8 [H, W]; complete after `copied`.
        flags: flags of `reduce_logits` on the host; complete after `copied`.
        copied: the point in the device's work after which both are complete.
        shape: shape of the logits, (C, H, W).
        device: name of the device.
    """

    labels: Tensor
    flags: Tensor
    copied: Mark
    shape: tuple[int, ...]
    device: str

    def wait(self) -> LabelMap:
        """Wait for the device, in any thread, and return the checked label map.

        Raises:
            PredictionError: some pixel has no largest logit, or the device gives labels that are not classes.
        """
        self.copied.wait()
        return checked_labels(self.labels, self.flags, self.shape, self.device)


def start_device_argmax(logits: Tensor) -> DeviceArgmax:
    """Start the argmax on the logits' device, without comparing it with the host's.

    Args:
        logits: floating point [C, H, W], on any device.
    """
    labels, flags = (values.to("cpu", non_blocking=True) for values in reduce_logits(logits))
    return DeviceArgmax(labels, flags, Mark(logits.device), tuple(logits.shape), str(logits.device))


def reduce_logits(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Reduce logits [C, H, W] to labels, uint8 [H, W], and three flags, bool [3], on the same device.

    The flags say whether the largest logit of some pixel is NaN, whether it is minus infinity, and whether some label
    is not a class.

    >>> labels, flags = reduce_logits(torch.tensor([[[0.0, 2.0]], [[1.0, 2.0]]]))
    >>> labels.tolist(), flags.tolist()
    ([[1, 0]], [False, False, False])
    """
    largest, labels = logits.max(dim=0)
    impossible = (labels < 0) | (labels >= logits.shape[0])
    flags = torch.stack((largest.isnan().any(), largest.isneginf().any(), impossible.any()))
    # Cast to a byte, a label such as -2**63 would become class 0.
    return labels.to(torch.uint8), flags


def checked_labels(labels: Tensor, flags: Tensor, shape: tuple[int, ...], device: str) -> LabelMap:
    """Return the labels of `reduce_logits` as an array, after checking its flags.

    Args:
        labels: uint8 [H, W].
        flags: bool [3].
        shape: shape of the logits, (C, H, W).
        device: name of the device, for the message.

    Raises:
        PredictionError: some pixel has no largest logit, or some label is not a class.
    """
    nan, infinite, impossible = (bool(flag) for flag in flags)
    if nan or infinite:
        raise undefined_logits(nan=nan)
    if impossible:
        raise PredictionError(
            f"the argmax of the device {device} gives labels outside 0..{shape[0] - 1} for logits {shape}",
            f"use --device cpu; `fcnbench doctor --device {device}` says which shapes are wrong",
        )
    return labels.numpy()
