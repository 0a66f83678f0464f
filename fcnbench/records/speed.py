"""The record of a timing: `speed.json`, forward times of one model on one machine, with every raw sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from fcnbench.errors import ResultsError
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import PAPER_SIDE, Summary
from fcnbench.records.model import ModelFacts, folder_name
from fcnbench.records.serial import from_json, parse, to_json
from fcnbench.records.types import Milliseconds, Natural, Positive, RunName
from fcnbench.util import files
from fcnbench.util.text import read_text

FORMAT = "fcnbench.speed/2"
NAME = "speed.json"
FOLDER = "speed"
"""Name of the folder of a model's timings, beside those of its datasets."""


@dataclass(frozen=True)
class SpeedRecord:
    """Forward times at 500x500; with batch 1 in single stream they are the papers' protocol.

    Raises ValueError where the numbers contradict each other.

    Attributes:
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        model: the model.
        parameters: numbers in its layers, frozen up-sampling included; None where it shows no module.
        precision: arithmetic of the forward pass.
        scenario: `single-stream`, each pass waited for, or `throughput`, the device never waiting.
        batch: images per pass.
        forward: `plain`, or the name of the faster path of the same function.
        warm_ups: untimed passes before.
        samples: milliseconds of every pass.
        slowed: which of them heat or power may have slowed down.
        parts: milliseconds of the steps of one image by name, a few samples per step.
        joules: energy per image; None where the device has no energy counter.
        flops: floating-point operations of a pass, of the path that ran; 0 where the model shows none.
        bytes: parameters, input and logits of a pass, each moved once.
        ceiling_flops: operations per second that the device reached in a matrix product.
        ceiling_bytes: bytes per second that it reached in a copy.
        environment: what it ran on.
    """

    run: RunName
    created: str
    fcnbench: str
    model: ModelFacts
    parameters: Natural | None
    precision: str
    scenario: str
    batch: Positive
    forward: str
    warm_ups: Natural
    samples: tuple[Milliseconds, ...]
    slowed: tuple[Natural, ...]
    parts: dict[str, tuple[Milliseconds, ...]]
    joules: float | None
    flops: Natural
    bytes: Natural
    ceiling_flops: float
    ceiling_bytes: float
    environment: Environment

    def __post_init__(self) -> None:
        for samples in (self.samples, *self.parts.values()):
            if not samples or not all(math.isfinite(value) and value >= 0 for value in samples) or not any(samples):
                raise ValueError("its samples are not times")
        if any(index >= len(self.samples) for index in self.slowed):
            raise ValueError("it marks passes that it does not have")
        rates = (self.batch, self.ceiling_flops, self.ceiling_bytes, *(() if self.joules is None else (self.joules,)))
        if min(rates) <= 0 or not all(math.isfinite(rate) for rate in rates):
            raise ValueError("its numbers are not possible")

    @property
    def summary(self) -> Summary:
        """Statistics over the samples."""
        return Summary.of(self.samples)

    @property
    def images_per_second(self) -> float:
        """Images per second, at the median."""
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
        derived = {"passes": to_json(self.summary), "of_ceiling": self.of_ceiling}
        files.write_json(path, {"format": FORMAT, **shape, **derived, **to_json(self)})
        return path


def read_speed(path: Path) -> SpeedRecord:
    """Read a timing back; its statistics must follow from its samples.

    Raises:
        ResultsError: unreadable, or contradicting itself.
    """
    try:
        content = parse(read_text(path))
        if content.pop("format") != FORMAT:
            raise ValueError("it is not a timing of fcnbench, or of another version")
        if [content.pop(name) for name in ("height", "width", "unit")] != [PAPER_SIDE, PAPER_SIDE, "ms"]:
            raise ValueError("it is not of 500x500 images in ms")
        stated = content.pop("passes"), content.pop("of_ceiling")
        record = from_json(content, SpeedRecord)
        if stated != (to_json(record.summary), record.of_ceiling):
            raise ValueError("its statistics do not follow from its samples")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ResultsError(
            f"the timing {path} is unusable: {type(error).__name__}: {error}", "restore it, or remove its folder"
        ) from error
    return record
