"""`bench`: forward times of a model on this machine, in the papers' protocol, without a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import UsageError
from fcnbench.ground import files
from fcnbench.ground.version import __version__

if TYPE_CHECKING:
    from fcnbench.results.speed import SpeedRecord


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
            "trials": len(record.samples),
            "unit": "ms",
            **asdict(record.summary),
            "record": str(self.path),
            "board": str(self.board),
        }


def bench(
    model: str,
    *,
    weights: str | Path | None = None,
    classes: int | None = None,
    device: str = "auto",
    trials: int = 20,
    board: str | Path = ".",
) -> Bench:
    """Time the forward pass of one 500x500 picture, batch 1, and write it down with the machine's speed board.

    Warm-up first; preparing the picture and copying it to the device are not included (CVPR 2015, Table 1, does not say
    whether theirs are). Weights do not matter for the time: `random:SEED` will do.

    Args:
        model: registered name, `path/to/file.py:factory`, or `scheme:argument`.
        weights: handed to the model's factory.
        classes: classes of the score layer; the model's own number by default.
        device: `auto`, `cpu`, `cuda`, ...
        trials: timed passes; the papers average 20.
        board: folder that holds `submissions/` and `leaderboards/`.

    Raises:
        UsageError: an argument is wrong, or the model is an oracle.
        ModelError: the model or its weights are unusable, or it fails at this size.
        OutputError: timing or board could not be written.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: at least one pass must be timed", "pass a positive number")
    from fcnbench.api.run import facts_of
    from fcnbench.evaluation.device import choose_device, full_precision, move
    from fcnbench.evaluation.environment import describe
    from fcnbench.evaluation.timing import WARM_UPS, paper_forward_time
    from fcnbench.models.load import open_model
    from fcnbench.models.segmenter import answers_from_truth, module_of
    from fcnbench.results.record import new_run
    from fcnbench.results.speed import SpeedRecord
    from fcnbench.results.speedboard import build_speed_boards, speed_folder

    root, on = Path(board).expanduser(), choose_device(device)
    files.check_writable(root / "submissions")
    loaded = open_model(model, weights, classes)
    if answers_from_truth(loaded.segmenter):
        raise UsageError(f"{model} has no forward pass", "time a network")
    move(loaded.segmenter, on)
    with full_precision():
        seconds = paper_forward_time(loaded.segmenter, on, trials)
    module = module_of(loaded.segmenter)
    name, created = new_run()
    record = SpeedRecord(
        run=name,
        created=created,
        fcnbench=__version__,
        model=facts_of(loaded),
        parameters=sum(value.numel() for value in module.parameters()) if module is not None else None,
        precision="fp32",
        warm_ups=WARM_UPS,
        samples=tuple(round(1e3 * value, 4) for value in seconds),
        environment=describe(on),
    )
    path = record.save(root)
    build_speed_boards(root)
    return Bench(record, path, speed_folder(root) / f"{record.machine}.csv")
