"""Measurements of a device: forward passes in every precision, and the overhead of the evaluation loop."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fcnbench.evaluation.device import casts_to
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.precision import Precision
from fcnbench.evaluation.roofline import ceiling
from fcnbench.evaluation.timer import Timer
from fcnbench.evaluation.timing import WARM_UPS
from fcnbench.records.device_report import ForwardMeasurement, LoopMeasurement
from fcnbench.records.evaluation import Evaluation
from fcnbench.util.console import progress

_AMPERE = (8, 0)
"""Compute capability of the first CUDA devices with TF32 and bfloat16."""

_WARM_UP_IMAGES = 8
"""Images that go through a loop before it is timed."""


@dataclass(frozen=True)
class ForwardPass:
    """A forward pass to measure.

    Attributes:
        forward: from a batch [N, planes, H, W] to logits.
        flops: its floating-point operations.
    """

    forward: Callable[[Tensor], Tensor]
    flops: int


def supported_precisions(device: torch.device) -> tuple[str, ...]:
    """Return the precisions that a device computes in, float32 first; only CUDA has TF32.

    >>> supported_precisions(torch.device("cpu"))
    ('fp32', 'bf16')
    """
    if device.type == "cuda":
        return ("fp32", "tf32", "bf16") if torch.cuda.get_device_capability(device) >= _AMPERE else ("fp32",)
    return ("fp32", "bf16") if device.type == "cpu" or casts_to(device, torch.bfloat16) else ("fp32",)


def measure_forward(
    passes: Mapping[str, ForwardPass], batch: Tensor, reference: Tensor, rounds: int
) -> list[ForwardMeasurement]:
    """Time forward passes, in turn, in every precision of the batch's device.

    Args:
        passes: forward passes by name, on the device.
        batch: their input [N, planes, H, W].
        reference: label maps [N, H, W] to compare theirs with; both are computed on the CPU.
        rounds: number of timed passes of each.
    """
    device, measurements = batch.device, []
    for name in supported_precisions(device):
        precision = Precision(name)
        best = ceiling(device, precision).flops_per_second
        with precision.applied(device):
            seconds = _time_in_turn(passes, batch, rounds, name)
            for network, each in passes.items():
                flips = int((each.forward(batch).cpu().argmax(1) != reference.cpu()).sum())
                samples = tuple(round(1e3 * sample, 4) for sample in seconds[network])
                share = each.flops / best / statistics.median(seconds[network])
                measurements.append(
                    ForwardMeasurement.of(
                        network, name, samples, round(share, 4), flips=flips, pixels=reference.numel()
                    )
                )
    return measurements


def _time_in_turn(
    passes: Mapping[str, ForwardPass], batch: Tensor, rounds: int, precision: str
) -> dict[str, list[float]]:
    """Return the seconds of every timed pass by name; a pass of each comes before the next pass of the first."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    # A CPU raises no clock and chooses no kernel: one pass fills its caches.
    warm_ups = WARM_UPS if batch.device.type != "cpu" else 1
    with progress((warm_ups + rounds) * len(passes), f"forward {precision}", "pass") as bar:
        for turn in range(warm_ups + rounds):
            for name, each in passes.items():
                timer = Timer(batch.device)
                each.forward(batch)
                sample = timer.stop().seconds()
                if turn >= warm_ups:
                    seconds[name].append(sample)
                bar.update()
    return seconds


def measure_loop(
    pipeline: ImagePipeline, indices: Sequence[int], network: str, precision: str = "fp32"
) -> tuple[LoopMeasurement, Evaluation]:
    """Time the evaluation loop on some samples, after a few untimed ones.

    Args:
        pipeline: the model, on its device, and the samples.
        indices: the samples to score.
        network: the model's name.
        precision: precision of the forward passes.
    """
    _score(pipeline, indices[:_WARM_UP_IMAGES], network, precision)
    evaluation = _score(pipeline, indices, network, precision)
    forward_seconds = sum(evaluation.timing.phases["forward"]) / 1e3
    measurement = LoopMeasurement.of(
        network, precision, len(indices), seconds=evaluation.timing.seconds, forward_seconds=round(forward_seconds, 6)
    )
    return measurement, evaluation


def _score(pipeline: ImagePipeline, indices: Sequence[int], network: str, precision: str) -> Evaluation:
    """Score samples without keeping a journal of them, nor the times of an earlier call."""
    for samples in pipeline.phases.values():
        samples.clear()
    work = {"measurement": f"{network} {precision} {len(indices)}"}
    with Journal(work, pipeline.specs) as journal:
        evaluation = evaluate(pipeline, list(indices), journal, 0, precision=Precision(precision))
        journal.forget()
    return evaluation
