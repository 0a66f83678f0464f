"""What an evaluation found: integers and digests per image, and times. No torch, so that a laptop can read records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.store.dataset import digest_label
from fcnbench.errors import UsageError
from fcnbench.metrics.counts import CONFUSION, GEO_CONFUSION, LABELS, Count, CountSpec, ImageResult
from fcnbench.records.types import Natural, Positive
from fcnbench.util.console import listed

PHASES = ("decode", "prepare", "forward", "score")
"""Phases of the loop in order. `decode` and `prepare` run ahead in a few threads, `score` behind in another."""

PAPER_SIDE = 500
"""Side of the square input that the papers time (CVPR 2015, Table 1)."""

NEAR_TIES = "near_ties"
"""Name of the count of pixels whose two largest logits nearly tie."""


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
        pixels: number of their pixels, in all their label maps.
        flips: pixels that changed class, by the name of the way; None where the model can't be run in this way.
    """

    images: Natural
    pixels: Natural
    flips: dict[str, Natural | None]

    def describe(self) -> str:
        """In words."""
        ways = ", ".join(f"{way} {'not possible' if count is None else count}" for way, count in self.flips.items())
        return f"flipped pixels of {self.pixels:,} on {self.images} images: {ways}"


@dataclass(frozen=True)
class Execution:
    """How the forward passes were carried out, as far as no protocol cares.

    Attributes:
        forward: `plain`, or the name of the faster path of the same function.
        batch: images of one size that went through the network together.
        processes: how many shared the work.
        peak_memory: most bytes in use at once, of the process that needed most: of its accelerator's memory where it
            ran on one, else of the whole process.
    """

    forward: str
    batch: Positive
    processes: Positive
    peak_memory: Natural

    def describe(self) -> str:
        """In words."""
        words = [f"forward {'plain' if self.forward == 'plain' else f'by {self.forward}'}"]
        words += [f"batches of {self.batch}"] if self.batch > 1 else []
        words += [f"{self.processes} processes"] if self.processes > 1 else []
        words += [f"peak memory {self.peak_memory / 2**20:,.0f} MiB"] if self.peak_memory else []
        return ", ".join(words)


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """The counts of one image.

    Attributes:
        id: image id.
        counts: int64 arrays by the name of the count; what an image lacks has none.
        digests: digests of its predicted label maps, by the name of the label maps.
    """

    id: str
    counts: Mapping[str, NDArray[np.int64]]
    digests: Mapping[str, str]


def count_image(sample_id: str, image: ImageResult, counts: Sequence[Count]) -> ImageCounts:
    """Return what is counted on one image, and the digests of its predicted label maps.

    Args:
        sample_id: image id.
        image: ground truth, predictions and maybe logits.
        counts: what to count.

    Raises:
        DataCorrupt: a ground-truth value is not a class.
        PredictionError: a predicted value is not a class.
    """
    counted = {count.spec.name: count.count(image) for count in counts}
    digests = {name: digest_label(pair.prediction) for name, pair in image.maps.items()}
    return ImageCounts(sample_id, {name: values for name, values in counted.items() if values is not None}, digests)


@dataclass(frozen=True, eq=False)
class Counted:
    """An array of counts, and what it is.

    Attributes:
        spec: what it is.
        values: int64, of `spec.stored_shape`.

    Raises:
        ValueError: it is not such an array.
    """

    spec: CountSpec
    values: NDArray[np.int64]

    def __post_init__(self) -> None:
        images = len(self.values) if self.spec.per_image else 0
        if self.values.dtype != np.int64 or self.values.shape != self.spec.stored_shape(images):
            raise ValueError(
                f"{self.spec.name} is {self.values.dtype} {self.values.shape}, expected int64 "
                f"{self.spec.stored_shape(images)}"
            )

    @property
    def total(self) -> NDArray[np.int64]:
        """The sum over the images, int64 `spec.shape`."""
        return self.spec.total(self.values)

    @property
    def derived(self) -> dict[str, tuple[int | float | None, ...]]:
        """What follows along the first axis: totals, or scores of confusion matrices."""
        return self.spec.derived(self.values)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        ids: the scored images in the dataset's order.
        counts: what was counted, by name; `confusion` always, with the confusion matrices of all images.
        digests: digests of the images' predicted label maps, by the name of the label maps: `labels`, and `geo` where
            the dataset has a second label map and the model predicts it.
        reproducibility: pixels of a few images that change class when nothing should change them; None where that was
            not tried.
        timing: times per phase.
        resumed: how many of the images an earlier, interrupted run had scored.
        execution: how the forward passes were carried out; None where no model ran.

    Raises:
        UsageError: an image is there twice, or a count lacks images.
    """

    ids: tuple[str, ...]
    counts: Mapping[str, Counted]
    digests: Mapping[str, tuple[str, ...]]
    reproducibility: ReproducibilityCheck | None = None
    timing: Timing = NO_TIMING
    resumed: int = 0
    execution: Execution | None = None

    def __post_init__(self) -> None:
        if len(set(self.ids)) < len(self.ids):
            twice = sorted({each for each in self.ids if self.ids.count(each) > 1})
            raise UsageError(f"images are counted twice: {listed(twice)}", "score every image of a split once")
        lengths = {name: len(counted.values) for name, counted in self.counts.items() if counted.spec.per_image}
        lengths |= {f"digests of {name}": len(digests) for name, digests in self.digests.items()}
        for name, length in lengths.items():
            if length != len(self.ids):
                raise UsageError(f"{len(self.ids)} images have {length} {name}", "give one for each image")

    @property
    def matrices(self) -> NDArray[np.int64]:
        """The images' confusion matrices, int64 [N, C, C], rows = ground truth, columns = prediction."""
        return self.counts[CONFUSION].values

    @property
    def geo(self) -> NDArray[np.int64] | None:
        """The images' confusion matrices of the second label maps, int64 [N, G, G]; None where there are none."""
        counted = self.counts.get(GEO_CONFUSION)
        return None if counted is None else counted.values

    @property
    def predictions(self) -> tuple[str, ...]:
        """The digests of the images' predicted label maps."""
        return self.digests[LABELS]


class CountGatherer:
    """Gathers the counts of images, one after the other, into an evaluation.

    Args:
        specs: what is counted; what some image lacks is left out.
    """

    def __init__(self, specs: Sequence[CountSpec]) -> None:
        self._specs = specs
        self._images: dict[str, list[NDArray[np.int64]]] = {spec.name: [] for spec in specs if spec.per_image}
        self._sums = {spec.name: np.zeros(spec.shape, np.int64) for spec in specs if not spec.per_image}
        self._there = dict.fromkeys((spec.name for spec in specs), 0)
        self._digests: dict[str, list[str]] = {}
        self.ids: list[str] = []

    def add(self, image: ImageCounts) -> None:
        """Add the counts of one image; sums are added at once, so that no image's array is kept for them."""
        self.ids.append(image.id)
        for name, values in image.counts.items():
            self._there[name] += 1
            if name in self._sums:
                self._sums[name] += values
            else:
                self._images[name].append(values)
        for name, digest in image.digests.items():
            self._digests.setdefault(name, []).append(digest)

    def evaluation(self) -> Evaluation:
        """Return the evaluation of the images that were added."""
        complete = [spec for spec in self._specs if self._there[spec.name] == len(self.ids)]
        return Evaluation(
            ids=tuple(self.ids),
            counts={
                spec.name: Counted(spec, np.stack(self._images[spec.name]) if spec.per_image else self._sums[spec.name])
                for spec in complete
            },
            digests={name: tuple(found) for name, found in self._digests.items() if len(found) == len(self.ids)},
        )


def _milliseconds(seconds: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value * 1e3, 4) for value in seconds)
