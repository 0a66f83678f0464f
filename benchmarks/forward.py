"""The fast path of the VGG FCNs, against `torchfcn`'s modules with the same weights, on one CPU thread.

    python -m benchmarks.forward

Before the timing, the logits of both are compared. They may differ by at most 1e-4 of the largest logit. Where the two
largest logits of a pixel differ by more than 1e-4 of it, the class must be the same.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.peers import torchfcn_model
from benchmarks.sidebyside import Row, compare, table
from fcnbench.evaluation.precision import FP32
from fcnbench.models.fcn.fast import FastForward
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.fcn.zoo import DEFINITIONS
from fcnbench.models.weights.load import randomise

SIZES = ((375, 500), (500, 500))
TOLERANCE = 1e-4
"""Share of the largest logit: the allowed difference between logits, and the margin above which classes must agree."""
ROUNDS = 5
GOAL = 1.7


def same_networks(name: str) -> tuple[FCN, nn.Module]:
    """Return fcnbench's network and torchfcn's, with the same weights."""
    ours = DEFINITIONS[name].net(21).eval()
    randomise(ours, 0)
    peer = torchfcn_model(name.upper().replace("S", "s"))(n_class=21).eval()
    peer.load_state_dict({key: value.clone() for key, value in ours.state_dict().items()}, strict=True)
    return ours, peer


def assert_close(ours: Tensor, peer: Tensor) -> None:
    """Check that logits [1, C, H, W] differ by no more than another order of summation explains.

    Raises:
        AssertionError: logits differ by more than `TOLERANCE` of the largest, or a pixel whose two largest logits are
            further apart than that has another class.
    """
    largest = float(peer.abs().max())
    difference = float((ours - peer).abs().max())
    assert difference <= TOLERANCE * largest, f"logits differ by {difference:.2e}; the largest is {largest:.2e}"
    first, second = peer[0].topk(2, dim=0).values
    flipped = (ours.argmax(1) != peer.argmax(1))[0] & (first - second > TOLERANCE * largest)
    assert not flipped.any(), f"the class of {int(flipped.sum())} pixels differs"


def measure() -> list[Row]:
    """Compare every network at every size."""
    torch.set_num_threads(1)
    rows = []
    for name in ("fcn8s", "fcn16s", "fcn32s"):
        ours, peer = same_networks(name)
        fast = FastForward(ours)
        for height, width in SIZES:
            image = 50 * torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(0))
            with FP32.applied(image.device):
                assert_close(fast(image)["out"], peer(image))
                rows.append(
                    compare(
                        f"{name} at {height}x{width}",
                        partial(fast, image),
                        partial(peer, image),
                        "`torchfcn`",
                        1,
                        GOAL,
                        rounds=ROUNDS,
                    )
                )
    return rows


if __name__ == "__main__":
    print(table(measure()))
