"""Measurements of a device: forward passes in every precision, and what the evaluation loop adds to them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fcnbench.evaluation.device import casts_to
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate
from fcnbench.evaluation.pipeline import Look
from fcnbench.evaluation.precision import Arithmetic
from fcnbench.evaluation.roofline import ceiling
from fcnbench.evaluation.timing import WARM_UPS, Stopwatch
from fcnbench.records.evaluation import Evaluation
from fcnbench.util.console import progress

_TENSOR_CORES = (8, 0)
"""Compute capability of Ampere, the first CUDA devices that compute in TF32 and bfloat16."""

_FIRST = 8
"""Images that go through a loop before it is timed."""


@dataclass(frozen=True)
class Contestant:
    """A forward pass to time, from a batch to logits, and its floating-point operations."""

    forward: Callable[[Tensor], Tensor]
    flops: int


@dataclass(frozen=True)
class ForwardFigure:
    """Forward passes of a network in one precision.

    Attributes:
        network: name of the contestant.
        precision: as the protocol has it.
        milliseconds: samples, one per pass.
        of_ceiling: share of what the device reached in a matrix product of this precision, at the median.
        flips: pixels whose class differs from the reference's.
        pixels: pixels that were compared.
    """

    network: str
    precision: str
    milliseconds: tuple[float, ...]
    of_ceiling: float
    flips: int
    pixels: int

    @property
    def median(self) -> float:
        """Median of the samples in milliseconds."""
        return statistics.median(self.milliseconds)


@dataclass(frozen=True)
class LoopShare:
    """How much of the evaluation loop's time is not the forward pass.

    Attributes:
        network: name of the model.
        precision: as the protocol has it.
        images: images that were scored.
        seconds: wall time over them.
        forward_seconds: their summed forward times.
    """

    network: str
    precision: str
    images: int
    seconds: float
    forward_seconds: float

    @property
    def ratio(self) -> float:
        """Wall time over summed forward times; 1 is a loop that adds nothing."""
        return self.seconds / self.forward_seconds


def precisions_of(device: torch.device) -> tuple[str, ...]:
    """Return the precisions that a device computes in, float32 first; TF32 is CUDA's alone."""
    if device.type == "cuda":
        return ("fp32", "tf32", "bf16") if torch.cuda.get_device_capability(device) >= _TENSOR_CORES else ("fp32",)
    return ("fp32", "bf16") if device.type == "cpu" or casts_to(device, torch.bfloat16) else ("fp32",)


def forward_figures(
    contestants: Mapping[str, Contestant], batch: Tensor, reference: Tensor, rounds: int
) -> list[ForwardFigure]:
    """Time every contestant in every precision of the batch's device; they take turns.

    Args:
        contestants: forward passes by name, on the device.
        batch: their input.
        reference: label maps [N, H, W] that theirs are compared with; found on the host, as theirs are.
        rounds: timed passes of each.
    """
    device, figures = batch.device, []
    for precision in precisions_of(device):
        arithmetic = Arithmetic(precision)
        best = ceiling(device, arithmetic).flops_per_second
        with arithmetic.held(device):
            taken = _in_turn(contestants, batch, rounds, precision)
            for name, each in contestants.items():
                flips = int((each.forward(batch).cpu().argmax(1) != reference.cpu()).sum())
                samples = tuple(round(1e3 * seconds, 4) for seconds in taken[name])
                share = each.flops / best / statistics.median(taken[name])
                figures.append(ForwardFigure(name, precision, samples, round(share, 4), flips, reference.numel()))
    return figures


def _in_turn(
    contestants: Mapping[str, Contestant], batch: Tensor, rounds: int, precision: str
) -> dict[str, list[float]]:
    """Return the seconds of every timed pass by contestant."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    # A CPU has no clock to raise and no kernel to choose: one pass fills its caches.
    warm_ups = WARM_UPS if batch.device.type != "cpu" else 1
    with progress((warm_ups + rounds) * len(contestants), f"forward {precision}", "pass") as bar:
        for turn in range(warm_ups + rounds):
            for name, each in contestants.items():
                stop = Stopwatch(batch.device).start()
                each.forward(batch)
                seconds = stop()()
                if turn >= warm_ups:
                    taken[name].append(seconds)
                bar.update()
    return taken


def loop_share(
    look: Look, indices: Sequence[int], network: str, precision: str = "fp32"
) -> tuple[LoopShare, Evaluation]:
    """Time the evaluation loop on some samples, after a few of them that are not timed.

    Args:
        look: the model, on its device, and the samples.
        indices: which samples.
        network: the model's name.
        precision: of the forward passes.
    """
    for count in (min(_FIRST, len(indices)), len(indices)):
        for samples in look.phases.values():
            samples.clear()
        work = {"measurement": f"{network} {precision} {count}"}
        with Journal(work, look.specs) as journal:
            found = evaluate(look, list(indices[:count]), journal, 0, arithmetic=Arithmetic(precision))
            journal.forget()
    forward = sum(found.timing.phases["forward"]) / 1e3
    return LoopShare(network, precision, len(indices), found.timing.seconds, round(forward, 6)), found
