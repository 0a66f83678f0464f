"""The part of a record that boards and pages show. It is read from the record's JSON alone, without its matrices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcnbench.datasets.leakage import Leakage
from fcnbench.protocol import Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.files import read_file
from fcnbench.records.model import DataFacts, ModelFacts
from fcnbench.records.serial import to_json


@dataclass(frozen=True)
class Entry:
    """A record without its matrices.

    Attributes:
        path: path of the record.
        run: name of the run.
        created: time of the run in UTC, ISO 8601.
        fcnbench: version that made the record.
        model: the model.
        protocol: what was scored, and how.
        data: the data.
        leakage: the model's declared training data, and the evaluated images among it.
        environment: hardware and software of the run.
        signature: the protocol in one line.
        scores: fractions by metric, with the protocol's mean.
        intervals: lower and upper end of the 95% interval by metric.
        class_iu: IU by class name; None for a class without one.
        predictions: digest of all predicted label maps.
        images_per_second: throughput of the run; 0 if no image was timed.
        forward_500_ms: median forward time at 500x500; None if not measured.
    """

    path: Path
    run: str
    created: str
    fcnbench: str
    model: ModelFacts
    protocol: Protocol
    data: DataFacts
    leakage: Leakage
    environment: Environment
    signature: str
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    class_iu: dict[str, float | None]
    predictions: str
    images_per_second: float
    forward_500_ms: float | None

    @property
    def ranked(self) -> bool:
        """Whether the record may enter a board: a whole split, without training images in it."""
        return not self.protocol.partial and self.leakage.clear


def read_entry(path: Path) -> Entry:
    """Read a record's JSON, checked against its schema and its own signature.

    Args:
        path: path of the `record.json`.

    Raises:
        ResultsError: the record is unreadable, of a later version, or contradicts itself.
    """
    file = read_file(path)
    scores, intervals = (getattr(sets, file.protocol.mean) for sets in (file.scores, file.intervals))
    paper = file.timing.forward_500
    return Entry(
        path=path,
        run=file.run,
        created=file.created,
        fcnbench=file.fcnbench,
        model=file.model,
        protocol=file.protocol,
        data=file.data,
        leakage=file.leakage,
        environment=file.environment,
        signature=file.signature.short,
        scores=to_json(scores),
        intervals={name: (low, high) for name, (low, high) in to_json(intervals).items()},
        class_iu={entry.name: entry.iu for entry in file.per_class},
        predictions=file.predictions.digest,
        images_per_second=file.timing.images_per_second,
        forward_500_ms=paper.median if paper else None,
    )
