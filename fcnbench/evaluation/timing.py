"""Timing: work on a device, and the papers' forward time at 500x500.

On any device but the CPU the forward pass is timed by events on the device, and where it has none by waiting for all of
its work before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnbench.errors import FcnbenchError, ModelError
from fcnbench.evaluation.events import events_of, synchronize
from fcnbench.models.segmenter import Segmenter, modalities_of, preprocess_on
from fcnbench.records.evaluation import PAPER_SIDE
from fcnbench.util.console import progress

PAPER_TRIALS = 20
"""Trials that the papers average (CVPR 2015, Table 1)."""

WARM_UPS = 3
"""Untimed trials before; the papers do not say how many they took."""

_SEED = 500
"""Seed of the random picture that is timed."""


class Stopwatch:
    """Times work that may run asynchronously on a device.

    Args:
        device: where the work runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._events = device, events_of(device, timed=True)

    def start(self) -> Callable[[], Callable[[], float]]:
        """Start timing.

        Returns:
            A function to call when the work was submitted; what that answers with waits for the work, in any thread,
            and gives its seconds.
        """
        events = self._events
        if events is None:
            synchronize(self._device)
            started = time.perf_counter()

            def stop() -> Callable[[], float]:
                synchronize(self._device)
                seconds = time.perf_counter() - started
                return lambda: seconds

            return stop
        begin = events.recorded()

        def stop_on_device() -> Callable[[], float]:
            end = events.recorded()

            def wait() -> float:
                end.synchronize()
                return float(begin.elapsed_time(end)) / 1e3

            return wait

        return stop_on_device


def paper_forward_time(segmenter: Segmenter, device: torch.device, trials: int) -> list[float]:
    """Seconds per forward pass at 500x500, batch 1, after warm-up: the papers' timing protocol (CVPR 2015, Table 1).

    Preparing the picture and copying it to the device are not included.

    Raises:
        ModelError: the model can't run at this size.
    """
    seconds = []
    with running_at_paper_size("add --trials 0 to leave the papers' timing out"), torch.inference_mode():
        batch = paper_batch(segmenter, device)
        with progress(WARM_UPS + trials, f"forward at {PAPER_SIDE}x{PAPER_SIDE}", "trial") as bar:
            for trial in range(WARM_UPS + trials):
                took = forward_time(segmenter, batch, device)()
                if trial >= WARM_UPS:
                    seconds.append(took)
                bar.update()
    return seconds


def paper_pictures(segmenter: Segmenter) -> list[NDArray[Any]]:
    """A random picture of 500x500 for every modality that a model takes."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    colours = random.integers(0, 256, (PAPER_SIDE, PAPER_SIDE, 3), np.uint8)
    millimetres = random.integers(1000, 5000, (PAPER_SIDE, PAPER_SIDE), np.uint16)
    return [millimetres if name == "depth" else colours for name in modalities_of(segmenter)]


def paper_batch(segmenter: Segmenter, device: torch.device, count: int = 1) -> Tensor:
    """So many of these pictures, prepared and on the device: [N, planes, 500, 500]."""
    prepared = preprocess_on(segmenter, device, *paper_pictures(segmenter))
    return torch.stack([prepared] * count)


def forward_time(segmenter: Segmenter, batch: Tensor, device: torch.device) -> Callable[[], float]:
    """Run one forward pass on a copy of the batch; the answer waits for it and gives its seconds.

    A model may write into its input, which the next pass needs as it is. The copy is made before the time is taken.
    """
    own = batch.clone()
    stop = Stopwatch(device).start()
    segmenter.logits(own)
    return stop()


@contextmanager
def running_at_paper_size(hint: str) -> Iterator[None]:
    """Name the size in whatever goes wrong with a model inside the block.

    Args:
        hint: the next step.
    """
    try:
        yield
    except FcnbenchError:
        raise
    # The model is somebody else's code and may fail in any way at a size of its own.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model failed on a {PAPER_SIDE}x{PAPER_SIDE} picture: {type(error).__name__}: {error}", hint
        ) from error
