"""`bench`: forward times of a model on this machine, in the papers' protocol, without a dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.api.inputs import ModelLike
from fcnbench.api.plan import check_device, check_model
from fcnbench.errors import UsageError
from fcnbench.models.names import find_model
from fcnbench.models.registry import SHIPPED
from fcnbench.options import BenchOptions
from fcnbench.util import files, paths
from fcnbench.util.console import note
from fcnbench.util.version import __version__

if TYPE_CHECKING:
    import torch

    from fcnbench.evaluation.precision import Precision
    from fcnbench.evaluation.roofline import Ceiling, Work
    from fcnbench.evaluation.timing import ForwardTimes
    from fcnbench.models.load import LoadedModel
    from fcnbench.records.environment import Environment
    from fcnbench.records.speed import SpeedRecord


UNTRAINED = "random:0"
"""Weights of networks that ship with none: a forward pass takes the same time with any."""


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        record = self.record
        return (
            f"<Bench of {record.model.name}, {record.scenario}, {record.precision}, {record.environment.device_name}: "
            f"median {record.summary.median:.1f} ms of {len(record.samples)} passes>"
        )

    def summary(self) -> dict[str, Any]:
        """Return what `fcnbench bench --json` prints."""
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
    model: ModelLike,
    *,
    weights: str | Path | None = None,
    classes: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    compiled: bool | None = None,
    fast: bool = True,
    batch: int = 1,
    scenario: str = "single-stream",
    trials: int = 20,
    seconds: float = 1.0,
    board: str | Path | None = None,
) -> Bench:
    """Time forward passes at 500x500, and write them with the machine's speed board.

    The papers' protocol is one image at a time. Preprocessing and the copy to the device are timed separately: Table 1
    of CVPR 2015 does not say whether its times include them.

    Args:
        model: registered name, `path/to/file.py:factory`, `scheme:argument`, `torch.nn.Module`, segmenter, or factory.
        weights: handed to the model's factory; the papers' networks are timed with `random:0` by default.
        classes: classes of the score layer; the model's own number by default.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        precision: `fp32` (the default), `tf32`, `bf16`, `fp16`.
        compiled: compile the network with `torch.compile`; the fast path is then not used.

        fast: use the fast path of the papers' VGG networks.

        batch: images per pass.
        scenario: `single-stream` waits for each pass; `throughput` submits passes without waiting.
        trials: minimum number of timed passes; the papers average 20.
        seconds: minimum total time of the timed passes, in seconds.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.

    Raises:
        UsageError: an argument is wrong, or the model is an oracle.
        ModelError: the model or its weights are unusable, or it fails at this size.
        OutputError: the timing or the board could not be written.

    >>> import fcnbench
    >>> fcnbench.bench("fcn8s-pocket", trials=1, seconds=0).record.scenario
    'single-stream'
    """
    return _bench(BenchOptions.of(locals()), model)


def _bench(options: BenchOptions, model: ModelLike) -> Bench:
    """Time, and file the result."""
    weights, device, board = options.weights, options.forward.device, options.board
    check_model(model, weights)
    if weights is None and find_model(model).builtin and model not in SHIPPED:
        options = replace(options, weights=UNTRAINED)
        note(f"weights do not matter for the time: {model} is timed with {UNTRAINED}")
    check_device(device, model if isinstance(model, str) else "")
    files.check_writable(paths.results(board) / "submissions")
    from fcnbench.evaluation.device import choose_device
    from fcnbench.evaluation.precision import FP32, Precision
    from fcnbench.leaderboard.speed_board import build_speed_boards, speed_folder
    from fcnbench.models.objects import kept_as_it_was
    from fcnbench.models.torch_state import protected

    root, on = paths.results(board), choose_device(device)
    forward_precision = Precision(options.forward.precision or FP32.format, bool(options.forward.compiled))
    forward_precision.check_device(on)
    with protected(), kept_as_it_was(model):
        record = _timed(options, on, forward_precision)
    paths.keep_out_of_git(root)
    path = record.save(root)
    build_speed_boards(root)
    return Bench(record, path, speed_folder(root) / f"{record.machine}.csv")


def _timed(options: BenchOptions, on: torch.device, forward_precision: Precision) -> SpeedRecord:
    """Load the model and time it."""
    from fcnbench.evaluation.device import move
    from fcnbench.evaluation.dtypes import checked_dtypes
    from fcnbench.evaluation.environment import describe
    from fcnbench.evaluation.precision import FP32, uncompiled
    from fcnbench.evaluation.roofline import ceiling, work_of
    from fcnbench.evaluation.timing import paper_batch, running_at_paper_size, time_scenario
    from fcnbench.models.load import open_model
    from fcnbench.models.segmenter import is_oracle
    from fcnbench.models.torch_state import foreign_code

    batch = options.forward.batch
    fast = options.forward.fast and not forward_precision.compiled
    loaded = open_model(options.model, options.weights, options.classes, fast=fast)
    segmenter = loaded.segmenter
    if is_oracle(segmenter):
        raise UsageError(f"{loaded.name} has no forward pass", "time a network")
    move(segmenter, on)
    forward_precision.compile_network(segmenter)
    environment = describe(on)
    with forward_precision.applied(on), foreign_code("the forward pass"):
        with running_at_paper_size("run it on such an image by itself"), checked_dtypes(forward_precision, segmenter):
            segmenter.logits(paper_batch(segmenter, on))
        measured = time_scenario(segmenter, on, options.scenario, batch, options.trials, options.seconds)
    with FP32.applied(on), uncompiled():
        work = work_of(segmenter, paper_batch(segmenter, on, batch))
    return _record(options, loaded, (measured, work, ceiling(on, forward_precision)), environment, forward_precision)


def _record(
    options: BenchOptions,
    loaded: LoadedModel,
    results: tuple[ForwardTimes, Work, Ceiling],
    environment: Environment,
    forward_precision: Precision,
) -> SpeedRecord:
    """Return the record of a timing: the measured passes, what they compute, and what the device reaches."""
    from fcnbench.evaluation.model_facts import facts_of
    from fcnbench.evaluation.timing import WARM_UPS
    from fcnbench.models.segmenter import module_of
    from fcnbench.records.model import new_run
    from fcnbench.records.speed import SpeedRecord

    (measured, work, best), segmenter = results, loaded.segmenter
    module, (name, created) = module_of(segmenter), new_run()
    return SpeedRecord(
        run=name,
        created=created,
        fcnbench=__version__,
        model=facts_of(loaded),
        parameters=sum(value.numel() for value in module.parameters()) if module is not None else None,
        precision=forward_precision.name,
        scenario=options.scenario,
        batch=options.forward.batch,
        forward=str(getattr(segmenter, "forward_path", "plain")),
        warm_ups=WARM_UPS,
        samples=_milliseconds(measured.passes),
        slowed=measured.slowed,
        parts={part: _milliseconds(taken) for part, taken in measured.parts.items()},
        joules=None if measured.joules is None else round(measured.joules, 6),
        flops=work.flops,
        bytes=work.bytes,
        ceiling_flops=round(best.flops_per_second),
        ceiling_bytes=round(best.bytes_per_second),
        environment=environment,
    )


def _milliseconds(seconds: tuple[float, ...]) -> tuple[float, ...]:
    """Convert seconds to milliseconds, rounded as records hold them."""
    return tuple(round(1e3 * value, 4) for value in seconds)
