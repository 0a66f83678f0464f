"""Speed boards: one CSV file per machine, made from the timings below `submissions/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.columns import SPEED_COLUMNS, VERSION
from fcnbench.leaderboard.table import Board, Kind, Row, Table
from fcnbench.records.speed import FOLDER, NAME, SpeedRecord, read_speed
from fcnbench.util import files
from fcnbench.util.console import note, track
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SpeedBoard(Board):
    """The forward times of all models on one machine, by scenario, fastest first.

    Attributes:
        timings: the machine's timings, each with its path relative to the root.
    """

    kind: ClassVar[Kind] = "speed"
    table: ClassVar[Table] = Table(
        SPEED_COLUMNS,
        {"scenario": True, "images_per_s": False, "model": True, "created": True, "record": True},
        float_format="%.4f",
    )
    timings: tuple[tuple[SpeedRecord, str], ...] = ()

    @classmethod
    def of(cls, root: Path, machine: str, timings: tuple[tuple[SpeedRecord, str], ...] = ()) -> Self:
        """Return the board of a machine below the root of boards and submissions.

        >>> SpeedBoard.of(Path("."), "a-cpu-2-threads").path.as_posix()
        'leaderboards/v1/speed/a-cpu-2-threads.csv'
        """
        return cls(speed_folder(root) / f"{machine}.csv", machine, timings)

    @property
    def root(self) -> Path:
        """The folder that holds `submissions/` and `leaderboards/`."""
        return self.path.parents[3]

    def rows(self) -> list[Row]:
        """Return one row per timing."""
        return [_row(record, path) for record, path in self.timings]

    def build(self) -> Path:
        """Write the board; return its path.

        Raises:
            OutputError: it could not be written.
        """
        files.write_bytes(self.path, self.text().encode())
        return self.path

    def difference(self) -> str:
        """Return in what the file differs from what the timings give; empty if it does not."""
        if self.timings and self.path.is_file() and read_text(self.path) == self.text():
            return ""
        return "is not what the timings give"


def speed_folder(root: Path) -> Path:
    """Return the folder of the speed boards below the root of boards and submissions."""
    return root / "leaderboards" / VERSION / "speed"


def speed_boards(root: Path) -> list[SpeedBoard]:
    """Return the board of every machine that has a timing; unusable timings are named on standard error."""
    machines: dict[str, list[tuple[SpeedRecord, str]]] = {}
    for path in track(_timing_paths(root), "read timings", "timing"):
        try:
            record = read_speed(path)
        except ResultsError as error:
            note(f"left out of the speed board: {error}")
            continue
        machines.setdefault(record.machine, []).append((record, path.relative_to(root).as_posix()))
    return [SpeedBoard.of(root, machine, tuple(timings)) for machine, timings in sorted(machines.items())]


def build_speed_boards(root: Path) -> list[Path]:
    """Write the board of every machine that has a timing; return the paths.

    Raises:
        OutputError: a board could not be written.
    """
    while True:
        timings = _timing_paths(root)
        paths = [board.build() for board in speed_boards(root)]
        # As for boards of scores: a timing that was saved in the meantime must not lose its row.
        if _timing_paths(root) == timings:
            return paths


def read_speed_board(path: Path) -> pd.DataFrame:
    """Read a speed board as a pandas frame with the columns and dtypes of `columns.SPEED_COLUMNS`.

    Raises:
        DataMissing: there is no such file.
        ResultsError: the file is not a speed board.
    """
    return SpeedBoard(path, path.stem).read()


def _timing_paths(root: Path) -> list[Path]:
    return sorted((root / "submissions").glob(f"*/{FOLDER}/[!.]*/{NAME}"))


def _row(record: SpeedRecord, path: str) -> Row:
    summary, environment = record.summary, record.environment
    return {
        "model": record.model.name,
        "scenario": record.scenario,
        "batch": record.batch,
        "median_ms": summary.median,
        "p90_ms": summary.p90,
        "p99_ms": summary.p99,
        "mean_ms": summary.mean,
        "trials": len(record.samples),
        "images_per_s": record.images_per_second,
        "precision": record.precision,
        "forward": record.forward,
        "gflops": record.flops / 1e9 or None,
        "of_ceiling": record.of_ceiling,
        "joules": record.joules,
        "slowed": len(record.slowed),
        "parameters": record.parameters,
        "device": environment.device_name,
        "threads": environment.threads,
        "torch": environment.packages.get("torch", ""),
        "weights": record.model.weights or "",
        "weights_digest": record.model.weights_digest or "",
        "fcnbench": record.fcnbench,
        "created": record.created,
        "record": path,
    }
