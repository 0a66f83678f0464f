"""Timing of forward passes: the papers' protocol at 500x500, and the scenarios of `fcnbench bench`.

The scenarios have MLPerf Inference's names: `single-stream` waits for each pass and times it; `throughput` hands the
device one batch after the other and never lets it wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import FcnbenchError, ModelError, UsageError
from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.power import PowerCounters
from fcnbench.evaluation.timer import PendingTime, Timer
from fcnbench.models.segmenter import Segmenter, modalities_of, preprocess_on
from fcnbench.options import SCENARIOS
from fcnbench.records.evaluation import PAPER_SIDE
from fcnbench.util.console import progress, track

PAPER_TRIALS = 20
"""Trials that the papers average (CVPR 2015, Table 1)."""

WARM_UPS = 3
"""Untimed passes before the timed ones; the papers do not say how many they ran."""

PARTS = ("prepare", "copy", "forward", "labels")
"""Steps of one image: `prepare` preprocesses on the CPU, `copy` moves the input to the device, `labels` computes the
argmax and copies the label map back."""

_SEED = 500
"""Seed of the random image that is timed."""

_PART_TRIALS = 5

_QUEUED = 4
"""Batches that may wait on the device in `throughput`."""


@dataclass(frozen=True)
class ForwardTimes:
    """The result of `time_scenario`.

    Attributes:
        passes: seconds per forward pass of a whole batch.
        slowed: indices of the passes during which heat or power limits may have slowed the device down.
        joules: energy per image; None where the device has no energy counter.
        parts: seconds of the steps of one image by name, a few samples per step.
    """

    passes: tuple[float, ...]
    slowed: tuple[int, ...]
    joules: float | None
    parts: dict[str, tuple[float, ...]]


def paper_forward_time(segmenter: Segmenter, device: torch.device, trials: int) -> list[float]:
    """Return seconds per forward pass at 500x500, batch 1, after warm-up (the protocol of CVPR 2015, Table 1).

    Preprocessing and the copy to the device are not included.

    Args:
        segmenter: the model, on the device.
        device: the device on which it runs.
        trials: number of timed passes.

    Raises:
        ModelError: the model fails at this size.
    """
    seconds = []
    with running_at_paper_size("add --trials 0 to skip the papers' timing"), torch.inference_mode():
        batch = paper_batch(segmenter, device)
        with progress(WARM_UPS + trials, f"forward at {PAPER_SIDE}x{PAPER_SIDE}", "trial") as bar:
            for trial in range(WARM_UPS + trials):
                pass_seconds = timed_forward(segmenter, batch, device).seconds()
                if trial >= WARM_UPS:
                    seconds.append(pass_seconds)
                bar.update()
    return seconds


def time_scenario(
    segmenter: Segmenter, device: torch.device, scenario: str, batch: int, trials: int, seconds: float
) -> ForwardTimes:
    """Time forward passes at 500x500 until both `trials` and `seconds` are reached.

    Args:
        segmenter: the model, on the device.
        device: the device on which it runs.
        scenario: one of `SCENARIOS`.
        batch: images per pass.
        trials: minimum number of passes.
        seconds: minimum time that the passes take together.

    Raises:
        UsageError: the scenario is unknown.
        ModelError: the model fails at this size or with this batch.
    """
    if scenario not in SCENARIOS:
        raise UsageError(f"--scenario {scenario} is unknown", f"choose one of {', '.join(SCENARIOS)}")
    queued = _QUEUED if scenario == "throughput" else 0
    counters, passes, slowed = PowerCounters(device), list[float](), list[int]()
    hint = "run it on such an image by itself" if batch == 1 else "use a smaller --batch"
    with running_at_paper_size(hint), torch.inference_mode():
        inputs = paper_batch(segmenter, device, batch)
        for _ in track(range(WARM_UPS), "warm up", "pass"):
            timed_forward(segmenter, inputs, device).seconds()
        before, started = counters.energy(), time.perf_counter()
        pending: list[PendingTime] = []
        with progress(trials, f"forward at {PAPER_SIDE}x{PAPER_SIDE}", "pass") as bar:
            while len(passes) < trials or time.perf_counter() - started < seconds:
                pending.append(timed_forward(segmenter, inputs, device))
                if len(pending) > queued:
                    passes.append(pending.pop(0).seconds())
                    if counters.slowed():
                        slowed.append(len(passes) - 1)
                    bar.update()
            passes += [each.seconds() for each in pending]
        after = counters.energy()
        parts = _time_parts(segmenter, device)
    joules = None
    if before is not None and after is not None and after > before:
        joules = (after - before) / (len(passes) * batch)
    return ForwardTimes(tuple(passes), tuple(slowed), joules, parts)


def _time_parts(segmenter: Segmenter, device: torch.device) -> dict[str, tuple[float, ...]]:
    """Return the seconds of every step of one image, each waited for."""
    images, cpu = paper_images(segmenter), torch.device("cpu")
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}
    if device.type != "cpu":
        label_map(segmenter.logits(paper_batch(segmenter, device))[0])  # the first one is compared with the CPU's
    for _ in track(range(_PART_TRIALS), "parts", "trial"):
        # A model may write into the images that it preprocesses.
        copies = [image.copy() for image in images]
        started = time.perf_counter()
        prepared = preprocess_on(segmenter, cpu, *copies)
        seconds["prepare"].append(time.perf_counter() - started)
        timer = Timer(device)
        inputs = prepared.to(device)[None]
        seconds["copy"].append(timer.stop().seconds())
        timer = Timer(device)
        logits = segmenter.logits(inputs)
        seconds["forward"].append(timer.stop().seconds())
        started = time.perf_counter()
        label_map(logits[0])
        seconds["labels"].append(time.perf_counter() - started)
    return {part: tuple(samples) for part, samples in seconds.items()}


def paper_images(segmenter: Segmenter) -> list[NDArray[Any]]:
    """Return a random image of 500x500 for every modality of a model: uint8 [H, W, 3], or uint16 [H, W] for depth."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    colours = random.integers(0, 256, (PAPER_SIDE, PAPER_SIDE, 3), np.uint8)
    millimetres = random.integers(1000, 5000, (PAPER_SIDE, PAPER_SIDE), np.uint16)
    return [millimetres if name == "depth" else colours for name in modalities_of(segmenter)]


def paper_batch(segmenter: Segmenter, device: torch.device, count: int = 1) -> Tensor:
    """Return `count` copies of these images, preprocessed and on the device: [N, planes, 500, 500].

    >>> from fcnbench.models.load import load_model
    >>> tuple(paper_batch(load_model("fcn32s-pocket"), torch.device("cpu"), 2).shape)
    (2, 3, 500, 500)
    """
    prepared = preprocess_on(segmenter, device, *paper_images(segmenter))
    return torch.stack([prepared] * count)


def timed_forward(segmenter: Segmenter, batch: Tensor, device: torch.device) -> PendingTime:
    """Run one forward pass on a copy of the batch and return its pending time.

    A model may write into its input, and the next pass needs it unchanged. The copy is made before the timer starts.
    """
    copied = batch.clone()
    timer = Timer(device)
    segmenter.logits(copied)
    return timer.stop()


@contextmanager
def running_at_paper_size(hint: str) -> Iterator[None]:
    """Name the image size in any error of a model inside the block.

    Args:
        hint: what the user can do next.

    Raises:
        ModelError: the model failed.
    """
    try:
        yield
    except FcnbenchError:
        raise
    # The model is the user's code and may fail in any way at this size.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model failed on a {PAPER_SIDE}x{PAPER_SIDE} image: {type(error).__name__}: {error}", hint
        ) from error
