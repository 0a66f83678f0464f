"""Argmax on the CPU, and the objects that stand for a label map that is not computed yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from fcnbench.errors import PredictionError
from fcnbench.metrics.argmax import argmax_map

LabelMap = NDArray[np.uint8]
"""Class indices, uint8 [H, W]."""


class PendingLabelMap(Protocol):
    """A label map that may not be computed yet."""

    def wait(self) -> LabelMap:
        """Wait for the label map, in any thread, and return it.

        Raises:
            PredictionError: some pixel has no largest logit, or the labels are wrong.
        """


@dataclass(frozen=True, eq=False)
class KnownLabelMap:
    """A label map that is already computed.

    Attributes:
        labels: uint8 [H, W].
    """

    labels: LabelMap

    def wait(self) -> LabelMap:
        """Return the label map."""
        return self.labels


@dataclass(frozen=True, eq=False)
class FailedArgmax:
    """An argmax that failed; `wait` raises its error.

    Attributes:
        error: what is wrong with the logits.
    """

    error: PredictionError

    def wait(self) -> NoReturn:
        """Raise the error."""
        raise self.error


@dataclass(frozen=True, eq=False)
class HostArgmax:
    """An argmax on the CPU, computed in the thread that calls `wait`.

    Attributes:
        logits: floating point [C, H, W] on the CPU; they must keep their values until `wait` is called.
    """

    logits: Tensor

    def wait(self) -> LabelMap:
        """Compute the label map."""
        return host_argmax(self.logits)


def host_argmax(logits: Tensor) -> LabelMap:
    """Return the label map of logits on the CPU; ties give the lowest class.

    Args:
        logits: [C, H, W], of any floating-point dtype.

    Raises:
        PredictionError: some logit is NaN, or a pixel's logits are all minus infinity.

    >>> host_argmax(torch.tensor([[[0.0, 2.0]], [[1.0, 2.0]]]))
    array([[1, 0]], dtype=uint8)
    """
    # float32 holds every half-precision value exactly, and numpy lacks some of the half-precision dtypes.
    values = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
    # `numpy()` on the tensor itself would forbid to resize it, which the model may do if it owns the memory.
    return argmax_map(from_dlpack(values.detach().resolve_neg()).numpy())
