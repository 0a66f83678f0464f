"""The part of a record that boards and pages show. It is read from the record's JSON alone, without its matrices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcnbench.datasets.leakage import Leakage
from fcnbench.errors import ResultsError
from fcnbench.protocol import Protocol
from fcnbench.records.environment import Environment
from fcnbench.records.files import read_content
from fcnbench.records.model import DataFacts, ModelFacts


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
        scores: fractions by metric, under the protocol's absent-class policy.
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
    content = read_content(path)
    try:
        return _entry(path, content)
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(
            f"the record {path} is unusable: {type(error).__name__}: {error}", "restore it, or remove its folder"
        ) from error


def _entry(path: Path, content: dict[str, Any]) -> Entry:
    protocol, timing = Protocol(**content["protocol"]), content["timing"]
    intervals = content["intervals"][protocol.absent]
    paper = timing["forward_500"]
    return Entry(
        path=path,
        run=content["run"],
        created=content["created"],
        fcnbench=content["fcnbench"],
        model=ModelFacts(**content["model"]),
        protocol=protocol,
        data=DataFacts(**content["data"]),
        leakage=Leakage(**{name: _tuple(value) for name, value in content["training"].items()}),
        environment=Environment.of(content["environment"]),
        signature=content["signature"]["short"],
        scores=dict(content["scores"][protocol.absent]),
        intervals={name: (low, high) for name, (low, high) in intervals.items()},
        class_iu={each["name"]: each["iu"] for each in content["per_class"]},
        predictions=content["predictions"]["digest"],
        images_per_second=timing["images_per_second"],
        forward_500_ms=paper["median"] if paper else None,
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
