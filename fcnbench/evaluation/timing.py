"""Timing: work on a device, and the papers' forward time at 500x500.

On a CUDA device the forward pass is timed by events on the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from fcnbench.errors import FcnbenchError, ModelError
from fcnbench.evaluation.result import PAPER_SIDE
from fcnbench.ground.console import progress
from fcnbench.models.segmenter import Segmenter, modalities_of

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
        self._cuda = device.type == "cuda"

    def start(self) -> Callable[[], float]:
        """Start timing; the answer, called after the work was submitted, waits for it and gives its seconds."""
        if not self._cuda:
            started = time.perf_counter()
            return lambda: time.perf_counter() - started
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()

        def stop() -> float:
            end.record()
            end.synchronize()
            return float(begin.elapsed_time(end)) / 1e3

        return stop


def paper_forward_time(segmenter: Segmenter, device: torch.device, trials: int) -> list[float]:
    """Seconds per forward pass at 500x500, batch 1, after warm-up: the papers' timing protocol (CVPR 2015, Table 1).

    Preparing the picture and copying it to the device are not included.

    Raises:
        ModelError: the model can't run at this size.
    """
    random = np.random.Generator(np.random.PCG64(_SEED))
    colours = random.integers(0, 256, (PAPER_SIDE, PAPER_SIDE, 3), np.uint8)
    millimetres = random.integers(1000, 5000, (PAPER_SIDE, PAPER_SIDE), np.uint16)
    pictures = [millimetres if name == "depth" else colours for name in modalities_of(segmenter)]
    stopwatch = Stopwatch(device)
    seconds = []
    try:
        prepare: Callable[..., torch.Tensor] = segmenter.prepare
        batch = prepare(*pictures)[None].to(device)
        with torch.inference_mode(), progress(WARM_UPS + trials, f"{PAPER_SIDE}x{PAPER_SIDE}", "trial") as bar:
            for trial in range(WARM_UPS + trials):
                stop = stopwatch.start()
                segmenter.logits(batch)
                took = stop()
                if trial >= WARM_UPS:
                    seconds.append(took)
                bar.update()
    except FcnbenchError:
        raise
    # The model is somebody else's code and may fail in any way at a size of its own.
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"the model failed on a {PAPER_SIDE}x{PAPER_SIDE} picture: {type(error).__name__}: {error}",
            "add --trials 0 to leave the papers' timing out",
        ) from error
    return seconds
