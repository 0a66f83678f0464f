"""`bench`: forward times of a model on this machine, in the papers' protocol, without a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.api.plan import check_device, check_model
from fcnbench.errors import UsageError
from fcnbench.models.names import find_model
from fcnbench.models.registry import SHIPPED
from fcnbench.protocol import PRECISIONS
from fcnbench.util import files, paths
from fcnbench.util.console import note
from fcnbench.util.version import __version__

if TYPE_CHECKING:
    import torch

    from fcnbench.evaluation.precision import Precision
    from fcnbench.records.speed import SpeedRecord


UNTRAINED = "random:0"
"""Weights of networks that ship with none: a forward pass takes the same time with any."""


@dataclass(frozen=True)
class Bench:
    """A finished timing.

    Attributes:
        record: the result.
        path: path of `speed.json`.
        board: path of the machine's speed board.
    """

    record: SpeedRecord
    path: Path
    board: Path

    def summary(self) -> dict[str, Any]:
        """What `fcnbench bench --json` prints."""
        from dataclasses import asdict

        record = self.record
        return {
            "model": record.model.name,
            "machine": record.machine,
            "scenario": record.scenario,
            "batch": record.batch,
            "trials": len(record.samples),
            "unit": "ms",
            **asdict(record.summary),
            "images_per_second": record.images_per_second,
            "flops": record.flops,
            "of_ceiling": record.of_ceiling,
            "joules": record.joules,
            "slowed": len(record.slowed),
            "record": str(self.path),
            "board": str(self.board),
        }


def bench(
    model: str,
    *,
    weights: str | Path | None = None,
    classes: int | None = None,
    device: str = "auto",
    fast: bool = True,
    precision: str | None = None,
    compiled: bool | None = None,
    scenario: str = "single-stream",
    batch: int = 1,
    trials: int = 20,
    seconds: float = 1.0,
    board: str | Path | None = None,
) -> Bench:
    """Time forward passes at 500x500, and write them down with the machine's speed board.

    One picture at a time in single stream is the papers' protocol. Warm-up first; preparing the picture and copying it
    to the device are not included (CVPR 2015, Table 1, does not say whether theirs are), but timed beside. Weights do
    not matter for the time: `random:SEED` will do.

    Args:
        model: registered name, `path/to/file.py:factory`, or `scheme:argument`.
        weights: handed to the model's factory; the papers' networks are timed with `random:0` by default.
        classes: classes of the score layer; the model's own number by default.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        fast: take the fast path of the papers' VGG nets.
        precision: arithmetic: `fp32` (the default), `tf32`, `bf16`, `fp16`.
        compiled: have the network compiled by `torch.compile`; the fast path is left out.
        scenario: `single-stream`: each pass is waited for; `throughput`: the device never waits.
        batch: pictures in a pass.
        trials: least number of timed passes; the papers average 20.
        seconds: least time that they take together.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        UsageError: an argument is wrong, or the model is an oracle.
        ModelError: the model or its weights are unusable, or it fails at this size.
        OutputError: timing or board could not be written.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: at least one pass must be timed", "pass a positive number")
    if batch < 1:
        raise UsageError(f"--batch {batch}: at least one picture must go through", "pass a positive number")
    if not 0 <= seconds < math.inf:
        raise UsageError(f"--seconds {seconds} is no time", "pass 0 or more")
    check_model(model, weights)
    if weights is None and find_model(model).builtin and model not in SHIPPED:
        weights = UNTRAINED
        note(f"weights do not matter for the time: {model} is timed with {weights}")
    check_device(device, model)
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"--precision {precision} is unknown", f"choose one of {', '.join(PRECISIONS)}")
    files.check_writable(paths.results(board) / "submissions")
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.precision import FP32, Precision
    from fcnbench.leaderboard.speed_board import build_speed_boards, speed_folder
    from fcnbench.models.torch_state import protected

    # Absolute while the model's code runs, which may change the working directory.
    given, on = paths.results(board), choose_device(device)
    arithmetic = Precision(precision or FP32.format, bool(compiled))
    arithmetic.check_device(on)
    options = _Options(model, weights, classes, on, fast and not arithmetic.compiled, arithmetic, scenario, batch)
    with protected():
        record = _timed(options, trials, seconds)
    paths.keep_out_of_git(given)
    path = record.save(given)
    build_speed_boards(given)
    return Bench(record, path, speed_folder(given) / f"{record.machine}.csv")


@dataclass(frozen=True)
class _Options:
    """What is timed, and how."""

    model: str
    weights: str | Path | None
    classes: int | None
    on: torch.device
    fast: bool
    arithmetic: Precision
    scenario: str
    batch: int


def _timed(options: _Options, trials: int, seconds: float) -> SpeedRecord:
    """Load the model and time it."""
    from fcnbench.evaluation.device import move
    from fcnbench.evaluation.dtypes import checked_dtypes
    from fcnbench.evaluation.environment import describe
    from fcnbench.evaluation.model_facts import facts_of
    from fcnbench.evaluation.precision import FP32, uncompiled
    from fcnbench.evaluation.roofline import ceiling, work_of
    from fcnbench.evaluation.timing import WARM_UPS, paper_batch, running_at_paper_size, time_scenario
    from fcnbench.models.load import open_model
    from fcnbench.models.segmenter import is_oracle, module_of
    from fcnbench.models.torch_state import foreign_code
    from fcnbench.records.model import new_run
    from fcnbench.records.speed import SpeedRecord

    on, arithmetic, batch = options.on, options.arithmetic, options.batch
    loaded = open_model(options.model, options.weights, options.classes, fast=options.fast)
    segmenter = loaded.segmenter
    if is_oracle(segmenter):
        raise UsageError(f"{options.model} has no forward pass", "time a network")
    move(segmenter, on)
    arithmetic.compile_network(segmenter)
    environment = describe(on)
    with arithmetic.applied(on), foreign_code("the forward pass"):
        with running_at_paper_size("run it on such a picture by itself"), checked_dtypes(arithmetic, segmenter):
            segmenter.logits(paper_batch(segmenter, on))
        found = time_scenario(segmenter, on, options.scenario, batch, trials, seconds)
    with FP32.applied(on), uncompiled():
        work = work_of(segmenter, paper_batch(segmenter, on, batch))
    module, best = module_of(segmenter), ceiling(on, arithmetic)
    name, created = new_run()
    return SpeedRecord(
        run=name,
        created=created,
        fcnbench=__version__,
        model=facts_of(loaded),
        parameters=sum(value.numel() for value in module.parameters()) if module is not None else None,
        precision=arithmetic.name,
        scenario=options.scenario,
        batch=batch,
        forward=str(getattr(segmenter, "forward_path", "plain")),
        warm_ups=WARM_UPS,
        samples=_milliseconds(found.passes),
        slowed=found.slowed,
        parts={part: _milliseconds(taken) for part, taken in found.parts.items()},
        joules=None if found.joules is None else round(found.joules, 6),
        flops=work.flops,
        bytes=work.bytes,
        ceiling_flops=round(best.flops_per_second),
        ceiling_bytes=round(best.bytes_per_second),
        environment=environment,
    )


def _milliseconds(seconds: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(1e3 * value, 4) for value in seconds)
