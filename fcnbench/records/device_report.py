"""The report of a device: its integers, its times, and the pixels that flip in other precisions.

One JSON file, without names of users or hosts and without paths, so that anyone can publish it. The dataclasses are its
layout. Statistics and verdicts are written for people and programs that read the file without fcnbench, and must follow
from the rest where fcnbench reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from fcnbench.errors import ResultsError
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import ReproducibilityCheck, Summary
from fcnbench.records.schema import ScoreEntry
from fcnbench.records.serial import from_json, parse, schema_of
from fcnbench.records.types import Duration, Natural, PrecisionName, Ratio
from fcnbench.util.text import read_text

FORMAT: Final = 1
"""Version of the report's format; later versions read older files."""


@dataclass(frozen=True)
class PocketCheck:
    """The integers of the built-in dataset on a device.

    Attributes:
        model: name of the model.
        dataset: name of the dataset.
        images: number of scored images.
        pixels: number of pixels of their label maps.
        confusion: confusion matrix, rows = ground truth, columns = prediction.
        from_golden: least number of pixels that differ from the expected run, by its confusion matrix.
        from_cpu: pixels whose class differs from that of the same machine's CPU in fp32.
        scores: the four metrics as fractions.
        golden_scores: the four metrics of the expected confusion matrix.
        budget: pixels that may differ: near ties that other kernels flip.
        sound: whether no more pixels differ.

    Raises:
        ValueError: `sound` does not follow from the pixels.
    """

    model: str
    dataset: str
    images: Natural
    pixels: Natural
    confusion: tuple[tuple[Natural, ...], ...]
    from_golden: Natural
    from_cpu: Natural
    scores: ScoreEntry
    golden_scores: ScoreEntry
    budget: Natural
    sound: bool

    def __post_init__(self) -> None:
        if self.sound != (max(self.from_golden, self.from_cpu) <= self.budget):
            raise ValueError("sound does not follow from the pixels that differ")


@dataclass(frozen=True)
class ForwardMeasurement:
    """Measured forward passes of a network in one precision.

    Attributes:
        network: name of the network.
        precision: name of the precision in the protocol.
        milliseconds: samples, one per pass.
        of_ceiling: share of the speed that the device reached in a matrix product of this precision, at the median.
        flips: pixels whose class differs from the reference's.
        pixels: pixels that were compared.
        median: median of the samples in milliseconds.
        p90: their 90th percentile.
        p99: their 99th percentile.
        mean: their mean.

    Raises:
        ValueError: the statistics do not follow from the samples.
    """

    network: str
    precision: PrecisionName
    milliseconds: Annotated[tuple[Duration, ...], Meta(min_length=1)]
    of_ceiling: Ratio
    flips: Natural
    pixels: Natural
    median: Duration
    p90: Duration
    p99: Duration
    mean: Duration

    def __post_init__(self) -> None:
        if Summary(self.median, self.p90, self.p99, self.mean) != Summary.of(self.milliseconds):
            raise ValueError("the statistics do not follow from the samples")

    @classmethod
    def of(
        cls, network: str, precision: str, milliseconds: Sequence[float], of_ceiling: float, *, flips: int, pixels: int
    ) -> ForwardMeasurement:
        """Return the measurement with the statistics of at least one sample.

        >>> ForwardMeasurement.of("fcn8s", "fp32", [50.0, 51.0, 55.0], 0.5, flips=0, pixels=250000).median
        51.0
        """
        statistics = asdict(Summary.of(milliseconds))
        return cls(network, precision, tuple(milliseconds), of_ceiling, flips, pixels, **statistics)


@dataclass(frozen=True)
class LoopMeasurement:
    """Time of the evaluation loop beside that of its forward passes.

    Attributes:
        network: name of the model.
        precision: name of the precision in the protocol.
        images: number of scored images.
        seconds: wall time.
        forward_seconds: sum of the forward times.
        ratio: wall time over the sum of the forward times, to four decimals; 1 for a loop without overhead.

    Raises:
        ValueError: `ratio` does not follow from the times.
    """

    network: str
    precision: PrecisionName
    images: Natural
    seconds: Duration
    forward_seconds: Duration
    ratio: Duration

    def __post_init__(self) -> None:
        if self.ratio != round(self.seconds / self.forward_seconds, 4):
            raise ValueError("ratio does not follow from the times")

    @classmethod
    def of(
        cls, network: str, precision: str, images: int, *, seconds: float, forward_seconds: float
    ) -> LoopMeasurement:
        """Return the measurement with the ratio of its times.

        >>> LoopMeasurement.of("fcn8s", "fp32", 64, seconds=2.1, forward_seconds=2.0).ratio
        1.05
        """
        return cls(network, precision, images, seconds, forward_seconds, round(seconds / forward_seconds, 4))


@dataclass(frozen=True)
class DeviceReport:
    """The report of a device.

    Attributes:
        format: version of the format.
        created: time in UTC, ISO 8601.
        fcnbench: version that measured it.
        seconds: time that the report took.
        environment: the machine and the device, as in records.
        check: the integers of the built-in dataset.
        forward: forward passes at 500x500, batch 1, of the pocket network and the large one.
        loop: the evaluation loop with both networks.
        flips: reproducibility check by precision.
    """

    format: Literal[1]
    created: str
    fcnbench: str
    seconds: Duration
    environment: Environment
    check: PocketCheck
    forward: tuple[ForwardMeasurement, ...]
    loop: tuple[LoopMeasurement, ...]
    flips: dict[PrecisionName, ReproducibilityCheck]


def read_report(path: Path) -> DeviceReport:
    """Read a report and check it against its schema.

    Raises:
        ResultsError: it can't be read, is of a later version, or is not what the schema says.
    """
    try:
        return from_json(parse(read_text(path)), DeviceReport)
    except (OSError, ValueError, RecursionError, OverflowError) as error:
        raise ResultsError(
            f"{path} is not a device report of format {FORMAT}: {error}",
            "write it with `fcnbench doctor --report FILE`",
        ) from error


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report.

    >>> schema()["title"]
    'A device report of fcnbench, format 1'
    """
    return schema_of(DeviceReport, f"A device report of fcnbench, format {FORMAT}")
