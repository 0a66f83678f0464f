"""The layout of `record.json`: dataclasses that are its schema.

Everything that follows from the integers (scores, intervals, per-class values, totals, statistics of the times) is
written for people and programs that read the file without fcnbench, and computed again where fcnbench reads it. A field
that is added later has a default, so that files without it stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from fcnbench.datasets.leakage import Leakage
from fcnbench.protocol import Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import Execution, ReproducibilityCheck, Summary
from fcnbench.records.model import CodeFacts, DataFacts, ModelFacts
from fcnbench.records.types import Digest, Fraction, Interval, Milliseconds, Natural, Positive, RunName, Text, Time

Value = TypeVar("Value")

VERSION = 2
"""Version of the format of a record: raised when a reader of the version before would misread it."""


@dataclass(frozen=True)
class Signatures:
    """The protocol in one line, short and long."""

    short: str
    long: str


@dataclass(frozen=True)
class MetricEntry(Generic[Value]):
    """A value for every metric.

    Attributes:
        pixel_acc: pixel accuracy.
        mean_acc: mean accuracy.
        mean_iu: mean IU.
        fw_iu: frequency-weighted IU.
        mean_iu_nobg: mean IU without the class `background`, where there is one.
        geo_pixel_acc: pixel accuracy of the second label maps, where they were predicted.
    """

    pixel_acc: Value
    mean_acc: Value
    mean_iu: Value
    fw_iu: Value
    mean_iu_nobg: Value | None = None
    geo_pixel_acc: Value | None = None


class ScoreEntry(MetricEntry[Fraction]):
    """Metrics as fractions under one rule for the mean."""


class IntervalEntry(MetricEntry[Interval]):
    """95% intervals of the metrics."""


@dataclass(frozen=True)
class ScoreSets:
    """The metrics with the mean over classes in the ground truth, and over those in ground truth or predictions."""

    gt: ScoreEntry
    union: ScoreEntry


@dataclass(frozen=True)
class IntervalSets:
    """Intervals, and how they were computed.

    Attributes:
        method: name of the method.
        level: share of the draws inside an interval.
        draws: number of draws of the images.
        seed: of the draws.
        gt: with the mean over classes in the ground truth.
        union: over classes in ground truth or predictions.
    """

    method: str
    level: float
    draws: Positive
    seed: Natural
    gt: IntervalEntry
    union: IntervalEntry


@dataclass(frozen=True)
class ClassEntry:
    """Accuracy, IU and pixels of one class; null where a class has none."""

    index: Natural
    name: str
    acc: Fraction | None
    iu: Fraction | None
    true_pixels: Natural
    predicted_pixels: Natural


@dataclass(frozen=True)
class CountEntry:
    """An array of counts in `confusion.npz`.

    Attributes:
        per: `image` where the array has one entry per image, `split` where it is their sum.
        shape: shape of one image's counts, or of the sum.
        label_maps: the label maps that it is derived from, `labels` or `geo`; empty where it needs more than those.
        label_space: where the last two axes are a confusion matrix, its label space; else empty.
        axes: names and values of the other axes.
        derived: what follows from the array along its first axis.
    """

    per: Literal["image", "split"]
    shape: tuple[Positive, ...]
    label_maps: str
    label_space: str
    axes: dict[str, tuple[float, ...]]
    derived: dict[str, tuple[int | float | None, ...]]


@dataclass(frozen=True)
class PredictionEntry:
    """Digests of the predicted label maps.

    Attributes:
        digest: over all of them: equal digests mean equal pixels.
        maps: by the name of the label maps and by image id.
    """

    digest: Digest
    maps: dict[str, dict[str, Digest]]


@dataclass(frozen=True)
class PaperTiming:
    """Forward times at 500x500, batch 1, in milliseconds."""

    height: Positive
    width: Positive
    batch: Positive
    trials: Positive
    median: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    mean: Milliseconds


@dataclass(frozen=True)
class TimingEntry:
    """Times of a run.

    Attributes:
        unit: of all times but `seconds`.
        images: images that were timed.
        resumed: images that an earlier, interrupted run had scored.
        seconds: wall time over the timed images.
        images_per_second: throughput of the whole loop.
        phases: statistics of the phases of an image.
        forward_500: statistics of the forward passes at 500x500; null where they were not timed.
        samples: every time.
    """

    unit: Literal["ms"]
    images: Natural
    resumed: Natural
    seconds: Milliseconds
    images_per_second: Milliseconds
    phases: dict[str, Summary]
    forward_500: PaperTiming | None
    samples: dict[str, tuple[Milliseconds, ...]]


@dataclass(frozen=True)
class RecordFile:
    """`record.json`.

    Attributes:
        format: name and version of the format.
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        signature: the protocol in one line.
        protocol: what was scored, and how.
        model: the model.
        data: the data.
        leakage: what the model declares of its training, and which evaluated images are among that.
        scores: the metrics.
        intervals: their 95% intervals.
        per_class: every class.
        geo_classes: class names of the second label maps.
        counts: the arrays in `confusion.npz`, by name.
        predictions: digests of the predicted label maps.
        timing: times.
        environment: what it ran on.
        files: digests of the files beside the record, by name.
        code: the user's own source files, where some took part.
        execution: how the forward passes were carried out, where a model ran.
        reproducibility: pixels that changed class when nothing should change them, where that was tried.
    """

    format: Literal["fcnbench.record/2"]
    run: RunName
    created: Time
    fcnbench: str
    signature: Signatures
    protocol: Protocol
    model: ModelFacts
    data: DataFacts
    leakage: Leakage
    scores: ScoreSets
    intervals: IntervalSets
    per_class: tuple[ClassEntry, ...]
    geo_classes: tuple[Text, ...]
    counts: dict[str, CountEntry]
    predictions: PredictionEntry
    timing: TimingEntry
    environment: Environment
    files: dict[str, Digest] = field(default_factory=dict)
    code: CodeFacts | None = None
    execution: Execution | None = None
    reproducibility: ReproducibilityCheck | None = None

    @property
    def ranked(self) -> bool:
        """Whether the record may enter a board: a whole split, without training images in it."""
        return not self.protocol.partial and self.leakage.clear

    @property
    def protocol_scores(self) -> ScoreEntry:
        """The metrics under the protocol's rule for the mean."""
        return self.scores.gt if self.protocol.mean == "gt" else self.scores.union

    @property
    def protocol_intervals(self) -> IntervalEntry:
        """The 95% intervals under the protocol's rule for the mean."""
        return self.intervals.gt if self.protocol.mean == "gt" else self.intervals.union
