"""What an evaluation found: integers and digests per image, and times. No torch, so that a laptop can read records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.errors import UsageError
from fcnbench.util.console import listed

PHASES = ("decode", "prepare", "forward", "score")
"""Phases of the loop in order. `decode` and `prepare` run ahead in a few threads, `score` behind in another."""

PAPER_SIDE = 500
"""Side of the square input that the papers time (CVPR 2015, Table 1)."""

MARGINS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Gaps between the two largest logits below which pixels are counted as near ties."""


@dataclass(frozen=True)
class Summary:
    """Statistics over samples, in milliseconds."""

    median: float
    p90: float
    p99: float
    mean: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Summary:
        """Summary of at least one sample, in milliseconds, to four decimals like the samples."""
        median, p90, p99 = np.percentile(samples, [50, 90, 99])
        return cls(*(round(float(value), 4) for value in (median, p90, p99, np.mean(samples))))


@dataclass(frozen=True)
class Timing:
    """Times of a run, as its record keeps them: samples in milliseconds with four decimals.

    Attributes:
        phases: per image for each of `PHASES`, in the order of the images scored in this session; empty where no model
            ran.
        seconds: wall time over those images.
        paper: per forward pass at 500x500; empty when it was not measured.
    """

    phases: Mapping[str, tuple[float, ...]]
    seconds: float
    paper: tuple[float, ...]

    @classmethod
    def of_seconds(cls, phases: Mapping[str, Sequence[float]], seconds: float, paper: Sequence[float]) -> Timing:
        """Times that were taken in seconds."""
        samples = {phase: _milliseconds(taken) for phase, taken in phases.items()}
        return cls(samples, round(seconds, 6), _milliseconds(paper))

    @property
    def images(self) -> int:
        """How many images were timed."""
        return len(self.phases.get("forward", ()))

    @property
    def images_per_second(self) -> float:
        """Throughput of the whole loop; 0 when no model ran in this session."""
        return self.images / self.seconds if self.images and self.seconds else 0.0


NO_TIMING = Timing({}, 0.0, ())
"""Times where no model ran."""


@dataclass(frozen=True)
class ReproducibilityCheck:
    """Predictions of a few images, repeated in ways that should not change a pixel.

    Attributes:
        images: number of repeated images.
        pixels: number of their pixels.
        flips: pixels that changed class, by the name of the way; None where the model can't be run in this way.
    """

    images: int
    pixels: int
    flips: dict[str, int | None]

    def told(self) -> str:
        """In words."""
        ways = ", ".join(f"{way} {'not possible' if count is None else count}" for way, count in self.flips.items())
        return f"flipped pixels of {self.pixels:,} on {self.images} images: {ways}"


@dataclass(frozen=True)
class Execution:
    """How the forward passes were carried out, as far as no protocol cares.

    Attributes:
        forward: `plain`, or the name of the faster path of the same function.
        batch: pictures of one size that went through the network together.
        processes: how many shared the work.
        peak_memory: most bytes in use at once, of the process that needed most: of its accelerator's memory where it
            ran on one, else of the whole process.
    """

    forward: str
    batch: int
    processes: int
    peak_memory: int

    def told(self) -> str:
        """In words."""
        words = [f"forward {'plain' if self.forward == 'plain' else f'by {self.forward}'}"]
        words += [f"batches of {self.batch}"] if self.batch > 1 else []
        words += [f"{self.processes} processes"] if self.processes > 1 else []
        words += [f"peak memory {self.peak_memory / 2**20:,.0f} MiB"] if self.peak_memory else []
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes:
        ids: the scored images in the data set's order.
        matrices: their confusion matrices, int64 [N, C, C], rows = truth, columns = prediction.
        predictions: digests of their predicted label maps.
        geo: confusion matrices of the second label map, int64 [N, G, G]; None where model or task has none.
        margins: scored pixels whose two largest logits lie closer than each of `MARGINS`, int64 [N, 4]; None where they
            were not counted.
        trimap: confusion matrices of the bands around the truth's boundaries, summed over the images, int64 [40, C, C];
            None where they were not counted.
        certificate: what changes on a probe when nothing should; None where that was not tried.
        timing: times per phase.
        resumed: how many of the images an earlier, interrupted run had scored.
        execution: how the forward passes were carried out; None where no model ran.
    """

    ids: tuple[str, ...]
    matrices: NDArray[np.int64]
    predictions: tuple[str, ...]
    geo: NDArray[np.int64] | None = None
    margins: NDArray[np.int64] | None = None
    trimap: NDArray[np.int64] | None = None
    certificate: ReproducibilityCheck | None = None
    timing: Timing = NO_TIMING
    resumed: int = 0
    execution: Execution | None = None

    def __post_init__(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            twice = sorted({each for each in self.ids if self.ids.count(each) > 1})
            raise UsageError(f"images are counted twice: {listed(twice)}", "score every image of a split once")
        if not len(self.ids) == len(self.matrices) == len(self.predictions):
            raise UsageError(f"{len(self.ids)} images have {len(self.matrices)} matrices", "give one for each image")


def _milliseconds(seconds: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value * 1e3, 4) for value in seconds)
