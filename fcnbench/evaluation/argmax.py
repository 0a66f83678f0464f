"""Argmax on the logits' device, and the count of near ties. Only the uint8 label map is copied to the host."""

from __future__ import annotations

from torch import Tensor

from fcnbench.errors import PredictionError
from fcnbench.evaluation.argmax_trust import start_trusted_argmax
from fcnbench.evaluation.host_argmax import (
    FailedArgmax,
    HostArgmax,
    KnownLabelMap,
    LabelMap,
    PendingLabelMap,
    host_argmax,
)


def label_map(logits: Tensor) -> LabelMap:
    """Return the class of the largest logit per pixel, uint8 [H, W]; ties give the lowest class.

    Args:
        logits: floating point [C, H, W], on any device.

    Raises:
        PredictionError: some logit is NaN, or a pixel's logits are all minus infinity.

    >>> import torch
    >>> label_map(torch.tensor([[[0.0, 2.0]], [[1.0, 2.0]]]))
    array([[1, 0]], dtype=uint8)
    """
    return start_argmax(logits).wait()


def start_argmax(logits: Tensor, *, owned: bool = True) -> PendingLabelMap:
    """Start the argmax on the logits' device; the result's `wait()` returns the label map.

    A CPU computes the label map in the thread that calls `wait`, unless the logits are not `owned`.

    Args:
        logits: floating point [C, H, W], on any device.
        owned: whether the logits keep their values until `wait` is called. Where they do not, because the model may
            write into their memory again, the label map is computed now.

    >>> import torch
    >>> pending = start_argmax(torch.tensor([[[0.0, 2.0]], [[1.0, 2.0]]]))
    >>> pending.wait()
    array([[1, 0]], dtype=uint8)
    """
    if logits.device.type != "cpu":
        return start_trusted_argmax(logits)
    if owned:
        return HostArgmax(logits)
    try:
        return KnownLabelMap(host_argmax(logits))
    except PredictionError as error:  # raised by `wait`, like every other error of an argmax
        return FailedArgmax(error)
