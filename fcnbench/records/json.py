"""The JSON of a record: dataclasses that are its schema, made from a `Record` and turned back into one.

`record.json` is a `RecordFile`. Everything that follows from the integers (scores, intervals, per-class values, totals,
statistics of the times) is written for people and programs that read the file without fcnbench, and computed again
where fcnbench reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fcnbench.datasets.leakage import Leakage
from fcnbench.metrics.bootstrap import DRAWS, LEVEL, SEED
from fcnbench.metrics.counts import CountSpec
from fcnbench.protocol import Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import (
    NO_TIMING,
    PAPER_SIDE,
    Counted,
    Evaluation,
    Execution,
    ReproducibilityCheck,
    Summary,
    Timing,
)
from fcnbench.records.model import CodeFacts, DataFacts, ModelFacts, Record
from fcnbench.records.serial import to_json
from fcnbench.records.types import Digest, Fraction, Interval, Milliseconds, Natural, Positive, RunName, Text

VERSION = 2
"""Version of the format of a record: raised when a reader of the version before would misread it."""

_METHOD = "percentile bootstrap over images"


@dataclass(frozen=True)
class Signatures:
    """The protocol in one line, short and long."""

    short: str
    long: str


@dataclass(frozen=True)
class ScoreEntry:
    """Metrics as fractions under one rule for the mean.

    Attributes:
        pixel_acc: pixel accuracy.
        mean_acc: mean accuracy.
        mean_iu: mean IU.
        fw_iu: frequency-weighted IU.
        mean_iu_nobg: mean IU without the class `background`, where there is one.
        geo_pixel_acc: pixel accuracy of the second label maps, where they were predicted.
    """

    pixel_acc: Fraction
    mean_acc: Fraction
    mean_iu: Fraction
    fw_iu: Fraction
    mean_iu_nobg: Fraction | None = None
    geo_pixel_acc: Fraction | None = None


@dataclass(frozen=True)
class IntervalEntry:
    """95% intervals of the same metrics."""

    pixel_acc: Interval
    mean_acc: Interval
    mean_iu: Interval
    fw_iu: Interval
    mean_iu_nobg: Interval | None = None
    geo_pixel_acc: Interval | None = None


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
    created: str
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


Arrays = dict[str, NDArray[Any]]
"""The arrays beside a record by name: `ids`, and every count."""


def file_of(record: Record, files: dict[str, Digest] | None = None) -> RecordFile:
    """Return the JSON values of a record.

    Args:
        record: the record.
        files: digests of the files beside it, by name.
    """
    protocol, evaluation = record.protocol, record.evaluation
    return RecordFile(
        format="fcnbench.record/2",
        run=record.run,
        created=record.created,
        fcnbench=record.fcnbench,
        signature=Signatures(protocol.signature(), protocol.signature(long=True)),
        protocol=protocol,
        model=record.model,
        data=record.data,
        leakage=record.leakage,
        scores=ScoreSets(ScoreEntry(**record.all_scores("gt")), ScoreEntry(**record.all_scores("union"))),
        intervals=IntervalSets(
            _METHOD,
            LEVEL,
            DRAWS,
            SEED,
            IntervalEntry(**record.intervals("gt")),
            IntervalEntry(**record.intervals("union")),
        ),
        per_class=per_class(record),
        geo_classes=record.geo_classes,
        counts={name: _count_entry(counted) for name, counted in evaluation.counts.items()},
        predictions=PredictionEntry(
            record.predictions,
            {name: dict(zip(evaluation.ids, found, strict=True)) for name, found in evaluation.digests.items()},
        ),
        timing=_timing(evaluation),
        environment=record.environment,
        files=files or {},
        code=record.code,
        execution=evaluation.execution,
        reproducibility=evaluation.reproducibility,
    )


def record_of(file: RecordFile, arrays: Arrays) -> Record:
    """Return the record of a checked file and of the arrays beside it.

    Raises:
        KeyError, TypeError, ValueError, UsageError: they do not make a record after all.
    """
    samples = dict(file.timing.samples)
    paper = samples.pop("forward_500", ())
    images = next(iter(file.predictions.maps.values()))
    return Record(
        run=file.run,
        created=file.created,
        fcnbench=file.fcnbench,
        model=file.model,
        protocol=file.protocol,
        data=file.data,
        leakage=file.leakage,
        classes=tuple(entry.name for entry in file.per_class),
        geo_classes=file.geo_classes,
        evaluation=Evaluation(
            ids=tuple(images),
            counts={name: Counted(spec, arrays[name]) for name, spec in specs_of(file).items()},
            digests={
                name: tuple(found[sample_id] for sample_id in images) for name, found in file.predictions.maps.items()
            },
            reproducibility=file.reproducibility,
            timing=Timing(samples, file.timing.seconds, paper) if samples else NO_TIMING,
            resumed=file.timing.resumed,
            execution=file.execution,
        ),
        environment=file.environment,
        code=file.code,
    )


def specs_of(file: RecordFile) -> dict[str, CountSpec]:
    """Return what the arrays beside a record are, by name.

    Raises:
        ValueError: an entry contradicts itself.
    """
    return {
        name: CountSpec(name, entry.shape, entry.per == "image", entry.label_maps, entry.label_space, entry.axes)
        for name, entry in file.counts.items()
    }


def arrays_of(record: Record) -> Arrays:
    """Return the arrays that lie beside a record, by name."""
    evaluation = record.evaluation
    return {"ids": np.array(evaluation.ids)} | {name: counted.values for name, counted in evaluation.counts.items()}


def summary(record: Record) -> dict[str, Any]:
    """Return what `--json` prints: the result without environment and raw samples."""
    mean, evaluation = record.protocol.mean, record.evaluation
    timing = to_json(_timing(evaluation))
    del timing["samples"]
    return {
        "model": record.model.name,
        "dataset": record.protocol.dataset,
        "signature": record.protocol.signature(),
        "images": record.protocol.images,
        "total": record.protocol.total,
        "partial": record.protocol.partial,
        "leakage": to_json(record.leakage),
        "scores": record.all_scores(),
        "intervals": {name: list(ends) for name, ends in record.intervals(mean).items()},
        "per_class": to_json(per_class(record)),
        "timing": timing,
        "execution": to_json(evaluation.execution),
        "reproducibility": to_json(evaluation.reproducibility),
        "run": record.run,
    }


def per_class(record: Record) -> tuple[ClassEntry, ...]:
    """Return accuracy, IU and pixels of every class."""
    found = record.scores()
    return tuple(
        ClassEntry(
            index=index,
            name=name,
            acc=_or_none(found.class_acc[index]),
            iu=_or_none(found.class_iu[index]),
            true_pixels=int(found.true_pixels[index]),
            predicted_pixels=int(found.predicted_pixels[index]),
        )
        for index, name in enumerate(record.classes)
    )


def _count_entry(counted: Counted) -> CountEntry:
    spec = counted.spec
    return CountEntry(
        per="image" if spec.per_image else "split",
        shape=spec.shape,
        label_maps=spec.label_maps,
        label_space=spec.label_space,
        axes=dict(spec.axes),
        derived=counted.derived,
    )


def _timing(evaluation: Evaluation) -> TimingEntry:
    timing = evaluation.timing
    paper = Summary.of(timing.paper) if timing.paper else None
    return TimingEntry(
        unit="ms",
        images=timing.images,
        resumed=evaluation.resumed,
        seconds=timing.seconds,
        images_per_second=timing.images_per_second,
        phases={phase: Summary.of(taken) for phase, taken in timing.phases.items() if taken},
        forward_500=None
        if paper is None
        else PaperTiming(PAPER_SIDE, PAPER_SIDE, 1, len(timing.paper), paper.median, paper.p90, paper.p99, paper.mean),
        samples=({**timing.phases, "forward_500": timing.paper} if timing.phases or timing.paper else {}),
    )


def _or_none(value: float) -> float | None:
    """Return None for NaN, which JSON does not have: a class without the quantity has none."""
    return None if np.isnan(value) else float(value)
