"""Timing a model by itself: one picture after the other, or as many as it can take; every sample is kept.

The words are MLPerf Inference's: `single-stream` waits for each pass and times it; `throughput` hands the device one
batch after the other and never lets it wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fcnbench.errors import UsageError
from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.power import Gauge
from fcnbench.evaluation.timing import (
    WARM_UPS,
    Stopwatch,
    forward_time,
    paper_batch,
    paper_pictures,
    running_at_paper_size,
)
from fcnbench.models.segmenter import Segmenter, preprocess_on
from fcnbench.records.evaluation import PAPER_SIDE
from fcnbench.util.console import followed, progress

SCENARIOS = ("single-stream", "throughput")

PARTS = ("prepare", "copy", "forward", "labels")
"""What a picture goes through; `copy` is its way to the device, `labels` the argmax and the way back."""

_PART_TRIALS = 5
_AHEAD = 4
"""Batches that wait on the device in `throughput`."""


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        passes: seconds of each forward pass, of a whole batch.
        slowed: which of the passes heat or power may have slowed down.
        joules: energy per picture; None where the device does not count it.
        parts: seconds of a picture's other parts by name, a few samples each.
    """

    passes: tuple[float, ...]
    slowed: tuple[int, ...]
    joules: float | None
    parts: dict[str, tuple[float, ...]]


def measure(
    segmenter: Segmenter, device: torch.device, scenario: str, batch: int, trials: int, seconds: float
) -> Measured:
    """Time forward passes at 500x500, until there are enough of them and they took long enough.

    Args:
        segmenter: the model, on the device.
        device: where it runs.
        scenario: one of `SCENARIOS`.
        batch: pictures in a pass.
        trials: least number of passes.
        seconds: least time that they take together.

    Raises:
        UsageError: no such scenario.
        ModelError: the model fails at this size, or with this batch.
    """
    if scenario not in SCENARIOS:
        raise UsageError(f"--scenario {scenario} is unknown", f"choose one of {', '.join(SCENARIOS)}")
    ahead = _AHEAD if scenario == "throughput" else 0
    gauge, passes, slowed = Gauge(device), list[float](), list[int]()
    hint = "run it on such a picture by itself" if batch == 1 else "take a smaller --batch"
    with running_at_paper_size(hint), torch.inference_mode():
        inputs = paper_batch(segmenter, device, batch)
        for _ in followed(range(WARM_UPS), "warm up", "pass"):
            forward_time(segmenter, inputs, device)()
        before, started = gauge.energy(), time.perf_counter()
        waiting: list[Callable[[], float]] = []
        with progress(trials, f"forward at {PAPER_SIDE}x{PAPER_SIDE}", "pass") as bar:
            while len(passes) < trials or time.perf_counter() - started < seconds:
                waiting.append(forward_time(segmenter, inputs, device))
                if len(waiting) > ahead:
                    passes.append(waiting.pop(0)())
                    if gauge.slowed():
                        slowed.append(len(passes) - 1)
                    bar.update()
            passes += [took() for took in waiting]
        after = gauge.energy()
        parts = _parts(segmenter, device)
    used = None if before is None or after is None or after <= before else (after - before) / (len(passes) * batch)
    return Measured(tuple(passes), tuple(slowed), used, parts)


def _parts(segmenter: Segmenter, device: torch.device) -> dict[str, tuple[float, ...]]:
    """Seconds of every part of a picture's way, each waited for."""
    pictures, cpu = paper_pictures(segmenter), torch.device("cpu")
    taken: dict[str, list[float]] = {part: [] for part in PARTS}
    if device.type != "cpu":
        label_map(segmenter.logits(paper_batch(segmenter, device))[0])  # the first one is compared with the host's
    for _ in followed(range(_PART_TRIALS), "parts", "trial"):
        # A model may write into the pictures that it prepares.
        own = [picture.copy() for picture in pictures]
        started = time.perf_counter()
        prepared = preprocess_on(segmenter, cpu, *own)
        taken["prepare"].append(time.perf_counter() - started)
        stop = Stopwatch(device).start()
        inputs = prepared.to(device)[None]
        taken["copy"].append(stop()())
        stop = Stopwatch(device).start()
        logits = segmenter.logits(inputs)
        taken["forward"].append(stop()())
        started = time.perf_counter()
        label_map(logits[0])
        taken["labels"].append(time.perf_counter() - started)
    return {part: tuple(seconds) for part, seconds in taken.items()}
