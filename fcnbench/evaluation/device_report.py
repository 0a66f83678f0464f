"""The report of a device: does it give the integers that it should, how fast is it, what flips in other precisions?

One JSON file that says what a stranger's device does. It holds no names of users or hosts and no paths.
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

import numpy as np
import torch
from numpy.typing import NDArray

from fcnbench.datasets.load import load_dataset
from fcnbench.errors import ResultsError
from fcnbench.evaluation.argmax import label_map
from fcnbench.evaluation.device import move
from fcnbench.evaluation.device_measurements import (
    Contestant,
    ForwardFigure,
    LoopShare,
    forward_figures,
    loop_share,
    precisions_of,
)
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.loop import scorable
from fcnbench.evaluation.pipeline import Look
from fcnbench.evaluation.precision import FP32, Arithmetic
from fcnbench.evaluation.reproducibility import certify
from fcnbench.evaluation.roofline import work_of
from fcnbench.evaluation.timing import paper_batch
from fcnbench.metrics.scores import scores
from fcnbench.models.fcn.fast import without_fast_path
from fcnbench.models.load import open_model
from fcnbench.records.environment import Environment
from fcnbench.records.evaluation import Certificate, Evaluation, Summary
from fcnbench.util.console import note, progress
from fcnbench.util.version import __version__

FORMAT = 1
"""Version of the report's format; later versions read older files."""

MODEL, DATASET = "fcn8s-pocket", "pocket"
"""What the integers are checked on: shipped weights on the built-in dataset."""

LARGE, LARGE_WEIGHTS = "fcn8s", "random:0"
"""What is timed beside it: a network of the papers' size. Its weights do not matter for the time."""

BUDGET = 200
"""Pixels of the 1.7 million that may differ from the expected ones: near ties that other kernels flip."""

_MESSAGE = 200
"""Characters of a schema's complaint that are shown; it quotes the whole value."""

_ROUNDS = {"accelerator": 20, "cpu": 3}
_LARGE_IMAGES = {"accelerator": 64, "cpu": 3}
"""Passes, and images of the loop with the large network: a CPU needs seconds each."""


@dataclass(frozen=True)
class Check:
    """The built-in dataset's integers on a device.

    Attributes:
        model: name of the model.
        dataset: name of the dataset.
        images: images that were scored.
        pixels: pixels of their label maps.
        confusion: confusion matrix, rows = ground truth, columns = prediction.
        from_golden: pixels that must have moved between cells of the expected matrix; at least so many differ.
        from_cpu: pixels whose class differs from that of the same machine's CPU in fp32.
        scores: the four metrics as fractions.
        golden_scores: those of the expected matrix.
    """

    model: str
    dataset: str
    images: int
    pixels: int
    confusion: list[list[int]]
    from_golden: int
    from_cpu: int
    scores: dict[str, float]
    golden_scores: dict[str, float]

    @property
    def sound(self) -> bool:
        """Whether no more pixels differ than near ties explain."""
        return max(self.from_golden, self.from_cpu) <= BUDGET


@dataclass(frozen=True)
class DeviceReport:
    """Everything that is found about a device.

    Attributes:
        created: time in UTC, ISO 8601.
        seconds: how long the report took.
        environment: what it ran on, as in records.
        check: the built-in dataset's integers.
        forward: forward passes at 500x500, batch 1, of the pocket network and the large one.
        loop: what the evaluation loop adds to the forward passes.
        flips: by precision, pixels of a probe that change class against the network as written in fp32.
    """

    created: str
    seconds: float
    environment: Environment
    check: Check
    forward: tuple[ForwardFigure, ...]
    loop: tuple[LoopShare, ...]
    flips: dict[str, Certificate]

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
            "environment": self.environment.content,
            "check": {**asdict(self.check), "budget": BUDGET, "sound": self.check.sound},
            "forward": forward,
            "loop": [{**asdict(each), "ratio": round(each.ratio, 4)} for each in self.loop],
            "flips": {precision: asdict(found) for precision, found in self.flips.items()},
        }


def measure_device(device: torch.device) -> DeviceReport:
    """Check and time a device; about a minute on two CPU cores, less on a GPU.

    Raises:
        ModelError: a forward pass failed on it.
    """
    started, created = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    data = load_dataset(DATASET)
    classes, indices = data.label_space.num_classes, scorable(data)
    look = Look(open_model(MODEL).segmenter, data, device)
    note(f"1 of 4: {MODEL} on {DATASET}, {len(indices)} images, against the expected integers and the CPU")
    share, evaluation = loop_share(look, indices, MODEL)
    check = check_integers(look, indices, evaluation)
    note("2 of 4: other precisions, and other ways to predict")
    flips = {
        precision: certify(look, indices, Arithmetic(precision), every=precision == "fp32")
        for precision in precisions_of(device)
    }
    note(f"3 of 4: forward passes at 500x500 of {MODEL} and {LARGE} (half a minute or more on a CPU)")
    forward = tuple(_forward(device))
    note(f"4 of 4: the evaluation loop with {LARGE}")
    large = Look(open_model(LARGE, LARGE_WEIGHTS, classes).segmenter, data, device)
    few = indices[: _by_type(_LARGE_IMAGES, device)]
    loop = (share, loop_share(large, few, LARGE)[0])
    seconds = round(time.perf_counter() - started, 1)
    return DeviceReport(created, seconds, describe(device), check, forward, loop, flips)


def golden_confusion() -> NDArray[np.int64]:
    """Return the confusion matrix of `fcn8s-pocket` on `pocket` that the committed board row has."""
    text = (resources("fcnbench.evaluation") / "pocket-golden.json").read_text(encoding="utf-8")
    return np.array(json.loads(text)["confusion"], np.int64)


def read_report(path: Path) -> dict[str, Any]:
    """Read a report and check it against its schema.

    Raises:
        ResultsError: it can't be read, is of a later version, or not what the schema says.
    """
    from jsonschema_rs import ValidationError, validator_for

    text = (resources("fcnbench.evaluation") / f"device-report-v{FORMAT}.schema.json").read_text(encoding="utf-8")
    try:
        content = json.loads(path.read_bytes())
        validator_for(json.loads(text)).validate(content)
    except ValidationError as error:
        where = ".".join(map(str, error.instance_path)) or "the whole"
        raise _not_a_report(path, f"{where}: {error.message[:_MESSAGE]}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _not_a_report(path, f"{type(error).__name__}: {error}") from error
    return dict(content)


def _not_a_report(path: Path, reason: str) -> ResultsError:
    return ResultsError(
        f"{path} is not a device report of format {FORMAT}: {reason}", "write it with `fcnbench doctor --report FILE`"
    )


def check_integers(look: Look, indices: list[int], evaluation: Evaluation) -> Check:
    """Compare an evaluation of `MODEL` on `DATASET` with the expected matrix, and its label maps with the CPU's."""
    confusion, golden = evaluation.matrices.sum(axis=0), golden_confusion()
    pixels, differ = 0, 0
    for ours, theirs in _label_maps(look, indices):
        pixels += ours.size
        differ += int(np.count_nonzero(ours != theirs))
    return Check(
        model=MODEL,
        dataset=DATASET,
        images=len(indices),
        pixels=pixels,
        confusion=confusion.tolist(),
        from_golden=int(np.abs(confusion - golden).sum() + 1) // 2,
        from_cpu=differ,
        scores=scores(confusion).as_dict(),
        golden_scores=scores(golden).as_dict(),
    )


def _label_maps(look: Look, indices: list[int]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Give the label map of every image, by the look's device and by the CPU."""
    cpu = Look(open_model(MODEL).segmenter, look.dataset, torch.device("cpu"))
    with progress(len(indices), "compare with the CPU") as bar:
        for index in indices:
            maps = []
            for each in (look, cpu):
                (read,) = each.read([index])
                assert read.prepared is not None  # the model is a network
                with FP32.held(each.device):
                    maps.append(label_map(each.segmenter.logits(read.prepared[None])[0]))
            bar.update()
            yield maps[0], maps[1]


def _forward(device: torch.device) -> Iterator[ForwardFigure]:
    """Time both networks as they are used: the fast path where they have it."""
    for name, weights in ((MODEL, None), (LARGE, LARGE_WEIGHTS)):
        segmenter = open_model(name, weights).segmenter
        move(segmenter, device)
        with FP32.held(device):
            batch = paper_batch(segmenter, device)
            reference = without_fast_path(segmenter).logits(batch).cpu().argmax(1)
            flops = work_of(segmenter, batch).flops
        contestants = {name: Contestant(segmenter.logits, flops)}
        yield from forward_figures(contestants, batch, reference, _by_type(_ROUNDS, device))


def _by_type(counts: dict[str, int], device: torch.device) -> int:
    return counts["cpu" if device.type == "cpu" else "accelerator"]
