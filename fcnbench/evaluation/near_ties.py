"""Near ties: scored pixels whose two largest logits are close, so that another kernel may choose the other class."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.evaluation.argmax_trust import trust_in
from fcnbench.labelspace import LabelSpace
from fcnbench.metrics.counts import LABELS, Count, CountSpec, ImageResult
from fcnbench.records.evaluation import NEAR_TIES

GAPS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Gaps between the two largest logits below which pixels are counted."""


class NearTieCount(Count):
    """Counts the scored pixels whose two largest logits lie closer than each of `GAPS`: int64 [4].

    Args:
        space: the label space of the logits.
    """

    needs_logits = True

    def __init__(self, space: LabelSpace) -> None:
        self._ignore = space.ignore
        self.spec = CountSpec(NEAR_TIES, (len(GAPS),), axes={"below": GAPS})

    def count(self, image: ImageResult) -> NDArray[np.int64] | None:
        """Return the counts; None where no logits were kept."""
        if image.logits is None:
            return None
        return near_ties(image.logits, image.maps[LABELS].truth, self._ignore)


def near_ties(logits: Tensor, truth: NDArray[np.uint8], ignore: int) -> NDArray[np.int64]:
    """Count the scored pixels whose two largest logits are closer than each of `GAPS`.

    Args:
        logits: floating point [C, H, W], on any device.
        truth: ground truth, uint8 [H, W].
        ignore: ground-truth value of the pixels that are not scored.

    Returns:
        int64 [4].

    >>> near_ties(torch.tensor([[[0.0, 0.0]], [[0.05, 5.0]]]), np.zeros((1, 2), np.uint8), 255)
    array([0, 0, 0, 1])
    """
    if len(logits) == 1:
        return np.zeros(len(GAPS), np.int64)
    if not trust_in(logits.device).usable:
        logits = logits.cpu()
    first, second = logits.float().topk(2, dim=0).values
    # Two logits of plus infinity tie, and their difference is NaN.
    gaps = torch.where(first == second, 0.0, first - second)[torch.from_numpy(truth != ignore).to(logits.device)]
    return np.array([int((gaps < gap).sum()) for gap in GAPS], np.int64)
