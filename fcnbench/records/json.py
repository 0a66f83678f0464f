"""Between a `Record` and its files: the `RecordFile` that `record.json` holds, and the arrays of `confusion.npz`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnbench.metrics.bootstrap import DRAWS, LEVEL, SEED
from fcnbench.metrics.counts import LABELS, CountSpec
from fcnbench.records.evaluation import (
    NO_TIMING,
    PAPER_SIDE,
    Counted,
    Evaluation,
    Summary,
    Timing,
)
from fcnbench.records.model import Record
from fcnbench.records.schema import (
    ClassEntry,
    CountEntry,
    IntervalEntry,
    IntervalSets,
    PaperTiming,
    PredictionEntry,
    RecordFile,
    ScoreEntry,
    ScoreSets,
    Signatures,
    TimingEntry,
)
from fcnbench.records.serial import to_json
from fcnbench.records.types import Digest

_METHOD = "percentile bootstrap over images"


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
    maps = file.predictions.maps
    images = maps[LABELS]
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
            # The digest of all predictions begins with the label maps, in whatever order the file has them.
            digests={name: tuple(maps[name][sample_id] for sample_id in images) for name in (LABELS, *maps)},
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
