"""The report of a device: its integers, its speed, and the pixels that flip in other precisions.

One JSON file, without names of users or hosts and without paths, so that anyone can publish it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import torch

from fcnbench.datasets.load import load_dataset
from fcnbench.errors import ResultsError
from fcnbench.evaluation.device import move
from fcnbench.evaluation.device_measurements import (
    ForwardMeasurement,
    ForwardPass,
    LoopMeasurement,
    measure_forward,
    measure_loop,
    supported_precisions,
)
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.loop import scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.pocket_check import BUDGET, DATASET, MODEL, PocketCheck, check_pocket
from fcnbench.evaluation.precision import FP32, Precision
from fcnbench.evaluation.reproducibility import check_reproducibility
from fcnbench.evaluation.roofline import work_of
from fcnbench.evaluation.timing import paper_batch
from fcnbench.models.fcn.fast import without_fast_path
from fcnbench.models.load import open_model
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import ReproducibilityCheck, Summary
from fcnbench.records.serial import to_json
from fcnbench.util.console import note
from fcnbench.util.version import __version__

FORMAT = 1
"""Version of the report's format; later versions read older files."""

LARGE, LARGE_WEIGHTS = "fcn8s", "random:0"
"""The second network that is timed, of the papers' size. Its weights do not matter for the time."""

_MAX_MESSAGE = 200
"""Characters of a schema error that are shown; it quotes the whole value."""

_ROUNDS = {"accelerator": 20, "cpu": 3}
"""Timed forward passes: a CPU takes seconds for one of the large network."""

_LARGE_IMAGES = {"accelerator": 64, "cpu": 3}
"""Images of the loop with the large network."""


@dataclass(frozen=True)
class DeviceReport:
    """The report of a device.

    Attributes:
        created: time in UTC, ISO 8601.
        seconds: time that the report took.
        environment: the machine and the device, as in records.
        check: the integers of the built-in dataset.
        forward: forward passes at 500x500, batch 1, of the pocket network and the large one.
        loop: the evaluation loop with both networks.
        flips: reproducibility check by precision.
    """

    created: str
    seconds: float
    environment: Environment
    check: PocketCheck
    forward: tuple[ForwardMeasurement, ...]
    loop: tuple[LoopMeasurement, ...]
    flips: dict[str, ReproducibilityCheck]

    @cached_property
    def content(self) -> dict[str, Any]:
        """The report as JSON values; `device-report-v1.schema.json` describes it."""
        forward = [
            {**asdict(each), "milliseconds": list(each.milliseconds), **asdict(Summary.of(each.milliseconds))}
            for each in self.forward
        ]
        return {
            "format": FORMAT,
            "created": self.created,
            "fcnbench": __version__,
            "seconds": self.seconds,
            "environment": to_json(self.environment),
            "check": {**asdict(self.check), "budget": BUDGET, "sound": self.check.sound},
            "forward": forward,
            "loop": [{**asdict(each), "ratio": round(each.ratio, 4)} for each in self.loop],
            "flips": {precision: asdict(check) for precision, check in self.flips.items()},
        }


def measure_device(device: torch.device) -> DeviceReport:
    """Check and time a device, which takes about a minute on two CPU cores and less on a GPU.

    Raises:
        ModelError: a forward pass failed on it.
    """
    started, created = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    data = load_dataset(DATASET)
    classes, indices = data.label_space.num_classes, scorable(data)
    pipeline = ImagePipeline(open_model(MODEL).segmenter, data, device)
    note(f"1 of 4: {MODEL} on {DATASET}, {len(indices)} images, against the expected integers and the CPU")
    pocket_loop, evaluation = measure_loop(pipeline, indices, MODEL)
    check = check_pocket(pipeline, indices, evaluation)
    note("2 of 4: reproducibility in every precision")
    flips = {
        precision: check_reproducibility(pipeline, indices, Precision(precision), every=precision == "fp32")
        for precision in supported_precisions(device)
    }
    note(f"3 of 4: forward passes at 500x500 of {MODEL} and {LARGE} (half a minute or more on a CPU)")
    forward = tuple(_measure_networks(device))
    note(f"4 of 4: the evaluation loop with {LARGE}")
    large = ImagePipeline(open_model(LARGE, LARGE_WEIGHTS, classes).segmenter, data, device)
    few = indices[: _by_type(_LARGE_IMAGES, device)]
    loop = (pocket_loop, measure_loop(large, few, LARGE)[0])
    seconds = round(time.perf_counter() - started, 1)
    return DeviceReport(created, seconds, describe(device), check, forward, loop, flips)


def read_report(path: Path) -> dict[str, Any]:
    """Read a report and check it against its schema.

    Raises:
        ResultsError: it can't be read, is of a later version, or does not fit the schema.
    """
    from jsonschema_rs import ValidationError, validator_for

    text = (resources("fcnbench.evaluation") / f"device-report-v{FORMAT}.schema.json").read_text(encoding="utf-8")
    try:
        content = json.loads(path.read_bytes())
        validator_for(json.loads(text)).validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.instance_path)) or "the whole file"
        raise _not_a_report(path, f"{where}: {error.message[:_MAX_MESSAGE]}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _not_a_report(path, f"{type(error).__name__}: {error}") from error
    return dict(content)


def _not_a_report(path: Path, reason: str) -> ResultsError:
    return ResultsError(
        f"{path} is not a device report of format {FORMAT}: {reason}", "write it with `fcnbench doctor --report FILE`"
    )


def _measure_networks(device: torch.device) -> Iterator[ForwardMeasurement]:
    """Time both networks on the fast path, which a run takes, too."""
    for name, weights in ((MODEL, None), (LARGE, LARGE_WEIGHTS)):
        segmenter = open_model(name, weights).segmenter
        move(segmenter, device)
        with FP32.applied(device):
            batch = paper_batch(segmenter, device)
            reference = without_fast_path(segmenter).logits(batch).cpu().argmax(1)
            flops = work_of(segmenter, batch).flops
        passes = {name: ForwardPass(segmenter.logits, flops)}
        yield from measure_forward(passes, batch, reference, _by_type(_ROUNDS, device))


def _by_type(counts: dict[str, int], device: torch.device) -> int:
    return counts["cpu" if device.type == "cpu" else "accelerator"]
