"""The record of a timing: `speed.json`, forward times of one model on one machine, with every raw sample."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fcnbench.errors import ResultsError
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import PAPER_SIDE, Summary
from fcnbench.records.model import ModelFacts, folder_name
from fcnbench.util import files
from fcnbench.util.text import read_text

FORMAT = "fcnbench.speed/2"
NAME = "speed.json"
FOLDER = "speed"
"""Where a model's timings lie, beside its data sets."""


@dataclass(frozen=True)
class SpeedRecord:
    """Forward times at 500x500; with batch 1 in single stream they are the papers' protocol.

    Attributes:
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        model: the model.
        parameters: numbers in its layers, frozen up-sampling included; None where it shows no module.
        precision: arithmetic of the forward pass.
        scenario: `single-stream`, each pass waited for, or `throughput`, the device never waiting.
        batch: pictures in a pass.
        forward: `plain`, or the name of the faster path of the same function.
        warm_ups: untimed passes before.
        samples: milliseconds of every pass.
        slowed: which of them heat or power may have slowed down.
        parts: milliseconds of the parts of a picture's way by name, a few samples each.
        joules: energy per picture; None where the device does not count it.
        flops: floating-point operations of a pass, of the path that ran; 0 where the model shows none.
        bytes: parameters, input and logits of a pass, each moved once.
        ceiling_flops: operations per second that the device reached in a matrix product.
        ceiling_bytes: bytes per second that it reached in a copy.
        environment: what it ran on.
    """

    run: str
    created: str
    fcnbench: str
    model: ModelFacts
    parameters: int | None
    precision: str
    scenario: str
    batch: int
    forward: str
    warm_ups: int
    samples: tuple[float, ...]
    slowed: tuple[int, ...]
    parts: dict[str, tuple[float, ...]]
    joules: float | None
    flops: int
    bytes: int
    ceiling_flops: float
    ceiling_bytes: float
    environment: Environment

    @property
    def summary(self) -> Summary:
        """Statistics over the samples."""
        return Summary.of(self.samples)

    @property
    def images_per_second(self) -> float:
        """Pictures in a second, at the median."""
        return 1e3 * self.batch / self.summary.median

    @property
    def of_ceiling(self) -> float | None:
        """Least time that the device's ceilings allow, over the median; None where the model shows no operations."""
        if not self.flops:
            return None
        floor = max(self.flops / self.ceiling_flops, self.bytes / self.ceiling_bytes)
        return round(1e3 * floor / self.summary.median, 4)

    @property
    def machine(self) -> str:
        """The group of machines whose times may be compared: one device, and of CPUs one number of threads.

        A device other than the CPU has its type in front: its name may be the processor's.
        """
        environment = self.environment
        if environment.device == "cpu":
            return folder_name(f"{environment.device_name}-{environment.threads}-threads")
        return folder_name(f"{environment.device}-{environment.device_name}")

    def save(self, root: Path) -> Path:
        """Write it below the root of boards and submissions; returns its path.

        Raises:
            OutputError: it could not be written.
        """
        path = root / "submissions" / folder_name(self.model.name) / FOLDER / self.run / NAME
        shape = {"height": PAPER_SIDE, "width": PAPER_SIDE, "unit": "ms"}
        environment = {"environment": self.environment.content}
        follows = {"passes": asdict(self.summary), "of_ceiling": self.of_ceiling}
        files.write_json(path, {"format": FORMAT, **shape, **follows, **asdict(self), **environment})
        return path


def read_speed(path: Path) -> SpeedRecord:
    """Read a timing back; its statistics must follow from its samples.

    Raises:
        ResultsError: unreadable, or contradicting itself.
    """
    try:
        content: dict[str, Any] = json.loads(read_text(path))
        if content.pop("format") != FORMAT:
            raise ValueError("it is no timing of fcnbench, or of another version")
        shape = [content.pop(name) for name in ("height", "width", "unit")]
        if shape != [PAPER_SIDE, PAPER_SIDE, "ms"]:
            raise ValueError("it is not of 500x500 pictures in ms")
        stated = content.pop("passes"), content.pop("of_ceiling")
        samples = _times(content.pop("samples"))
        parts = {str(name): _times(taken) for name, taken in content.pop("parts").items()}
        slowed = tuple(int(place) for place in content.pop("slowed"))
        model, environment = ModelFacts(**content.pop("model")), Environment.of(content.pop("environment"))
        record = SpeedRecord(
            **content, model=model, environment=environment, samples=samples, parts=parts, slowed=slowed
        )
        _check_types(record)
        if stated != (asdict(record.summary), record.of_ceiling):
            raise ValueError("its statistics do not follow from its samples")
        if any(not 0 <= place < len(samples) for place in slowed):
            raise ValueError("it marks passes that it has not")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(
            f"the timing {path} is unusable: {type(error).__name__}: {error}", "restore it, or remove its folder"
        ) from error
    return record


def _times(values: list[Any]) -> tuple[float, ...]:
    """Samples in milliseconds.

    Raises:
        ValueError: there is none, or some are no times.
    """
    samples = tuple(float(value) for value in values)
    if not samples or not all(math.isfinite(value) and value >= 0 for value in samples) or not any(samples):
        raise ValueError("its samples are no times")
    return samples


def _check_types(record: SpeedRecord) -> None:
    """Refuse fields of other types than those that are written.

    Raises:
        ValueError: there is one.
    """
    texts = (
        record.run, record.created, record.fcnbench, record.precision, record.scenario, record.forward,
        record.model.name, record.environment.device_name, record.environment.device,
    )  # fmt: skip
    counts = (record.batch, record.flops, record.bytes, record.environment.threads, record.ceiling_flops)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(count, int | float) for count in counts):
        raise ValueError("its fields have other types")
    rates = (record.batch, record.ceiling_flops, record.ceiling_bytes)
    if min(rates) <= 0 or not all(math.isfinite(rate) for rate in rates) or min(record.flops, record.bytes) < 0:
        raise ValueError("its numbers can't be")
    if record.joules is not None and not (math.isfinite(record.joules) and record.joules > 0):
        raise ValueError("its energy can't be")
