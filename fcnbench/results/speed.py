"""The record of a timing: `speed.json`, forward times of one model on one machine, with every raw sample."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fcnbench.errors import ResultsError
from fcnbench.evaluation.environment import Environment
from fcnbench.evaluation.result import PAPER_SIDE, Summary
from fcnbench.ground import files
from fcnbench.results.record import ModelFacts, folder_name

FORMAT = "fcnbench.speed/1"
NAME = "speed.json"
FOLDER = "speed"
"""Where a model's timings lie, beside its data sets."""


@dataclass(frozen=True)
class SpeedRecord:
    """Forward times of one 500x500 picture, batch 1: the papers' protocol.

    Attributes:
        run: name of the run, unique: time and random digits.
        created: time in UTC, ISO 8601.
        fcnbench: version that ran it.
        model: the model.
        parameters: its learned numbers; None where it shows no module.
        precision: arithmetic of the forward pass.
        warm_ups: untimed passes before.
        samples: milliseconds of every pass.
        environment: what it ran on.
    """

    run: str
    created: str
    fcnbench: str
    model: ModelFacts
    parameters: int | None
    precision: str
    warm_ups: int
    samples: tuple[float, ...]
    environment: Environment

    @property
    def summary(self) -> Summary:
        """Statistics over the samples."""
        return Summary.of(self.samples)

    @property
    def machine(self) -> str:
        """The group of machines whose times may be compared: one device with one number of threads."""
        environment = self.environment
        threads = f"-{environment.threads}-threads" if environment.device == "cpu" else ""
        return folder_name(f"{environment.device_name}{threads}")

    def save(self, root: Path) -> Path:
        """Write it below the root of boards and submissions; returns its path.

        Raises:
            OutputError: it could not be written.
        """
        path = root / "submissions" / folder_name(self.model.name) / FOLDER / self.run / NAME
        facts = asdict(self) | {"samples": list(self.samples)}
        shape = {"height": PAPER_SIDE, "width": PAPER_SIDE, "batch": 1, "unit": "ms"}
        files.write_json(path, {"format": FORMAT, **shape, "forward": asdict(self.summary), **facts})
        return path


def read_speed(path: Path) -> SpeedRecord:
    """Read a timing back; its statistics must follow from its samples.

    Raises:
        ResultsError: unreadable, or contradicting itself.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("it is no timing of fcnbench, or of another version")
        shape = [content.pop(name) for name in ("height", "width", "batch", "unit")]
        if shape != [PAPER_SIDE, PAPER_SIDE, 1, "ms"]:
            raise ValueError("it is not of one 500x500 picture in ms")
        stated = content.pop("forward")
        samples = tuple(float(value) for value in content.pop("samples"))
        if not samples or not all(math.isfinite(value) and value > 0 for value in samples):
            raise ValueError("its samples are no times")
        model, environment = ModelFacts(**content.pop("model")), Environment(**content.pop("environment"))
        record = SpeedRecord(**content, model=model, environment=environment, samples=samples)
        if stated != asdict(record.summary):
            raise ValueError("its statistics do not follow from its samples")
        texts = (record.run, record.created, record.fcnbench, record.precision, model.name, environment.device_name)
        if not all(isinstance(text, str) for text in texts) or not isinstance(environment.threads, int):
            raise ValueError("its fields have other types")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(
            f"the timing {path} is unusable: {type(error).__name__}: {error}", "restore it, or remove its folder"
        ) from error
    return record
