"""The fast path of the VGG FCNs against `torchfcn`'s modules with the same weights, on one CPU thread.

    python -m benchmarks.forward

Before anything is timed the logits of both must be alike: within 1e-4 of the largest one, and no pixel whose two
largest logits lie more than 1e-3 apart, on a scale on which the largest is 10, may change its class.
"""

from __future__ import annotations

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
CLOSE, SURE, USUAL = 1e-4, 1e-3, 10
ROUNDS = 5
GOAL = 1.7


def same_networks(name: str) -> tuple[FCN, nn.Module]:
    """Ours and torchfcn's, with the same weights."""
    ours = DEFINITIONS[name].net(21).eval()
    randomise(ours, 0)
    theirs = torchfcn_model(name.upper().replace("S", "s"))(n_class=21).eval()
    theirs.load_state_dict({key: value.clone() for key, value in ours.state_dict().items()}, strict=True)
    return ours, theirs


def assert_alike(ours: Tensor, theirs: Tensor) -> None:
    """Logits [1, C, H, W] that may not differ by more than the order of summation."""
    scale = float(theirs.abs().max())
    difference = float((ours - theirs).abs().max())
    assert difference <= CLOSE * scale, f"logits differ by {difference:.2e}, the largest is {scale:.2e}"
    first, second = theirs[0].topk(2, dim=0).values
    sure = first - second > SURE * scale / USUAL
    changed = (ours.argmax(1) != theirs.argmax(1))[0] & sure
    assert not changed.any(), f"{int(changed.sum())} pixels change their class"


def measure() -> list[Row]:
    """Every net at every size."""
    torch.set_num_threads(1)
    rows = []
    for name in ("fcn8s", "fcn16s", "fcn32s"):
        ours, theirs = same_networks(name)
        fast = FastForward(ours)
        for height, width in SIZES:
            picture = 50 * torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(0))
            with FP32.applied(picture.device):
                assert_alike(fast(picture)["out"], theirs(picture))
                rows.append(
                    compare(
                        f"{name} at {height}x{width}",
                        lambda fast=fast, picture=picture: fast(picture),
                        lambda theirs=theirs, picture=picture: theirs(picture),
                        "`torchfcn`",
                        1,
                        GOAL,
                        rounds=ROUNDS,
                    )
                )
    return rows


if __name__ == "__main__":
    print(table(measure()))
