"""Speed boards: one CSV a group of machines, made from the timings below `submissions/`. Machines are never mixed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.columns import SPEED, VERSION
from fcnbench.records.speed import FOLDER, NAME, SpeedRecord, read_speed
from fcnbench.util import files
from fcnbench.util.console import note, track

if TYPE_CHECKING:
    import pandas as pd


def speed_folder(root: Path) -> Path:
    """Where the speed boards live below the root of boards and submissions."""
    return root / "leaderboards" / VERSION / "speed"


def build_speed_boards(root: Path) -> list[Path]:
    """Write every machine's board anew from the timings; returns their paths.

    Raises:
        OutputError: one could not be written.
    """
    texts = speed_texts(root)
    for path, text in texts.items():
        files.write_bytes(path, text.encode())
    return list(texts)


def speed_texts(root: Path) -> dict[Path, str]:
    """The CSV of every machine's board by its path; unusable timings are named on standard error."""
    rows: dict[str, list[dict[str, Any]]] = {}
    paths = sorted((root / "submissions").glob(f"*/{FOLDER}/[!.]*/{NAME}"))
    for path in track(paths, "read timings", "timing"):
        try:
            record = read_speed(path)
        except ResultsError as error:
            note(f"left out of the speed board: {error}")
            continue
        rows.setdefault(record.machine, []).append(_row(record, path.relative_to(root).as_posix()))
    return {speed_folder(root) / f"{machine}.csv": _csv(several) for machine, several in sorted(rows.items())}


def read_speed_board(path: Path) -> pd.DataFrame:
    """Read a speed board as a pandas frame with the columns and dtypes of `columns.SPEED`.

    Raises:
        DataMissing: there is no such file.
        ResultsError: the file is no speed board.
    """
    from fcnbench.leaderboard.board import read_table

    return read_table(path, SPEED)


def _row(record: SpeedRecord, path: str) -> dict[str, Any]:
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


def _csv(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(SPEED)).astype({name: dtype for name, (dtype, _) in SPEED.items()})
    order = ["scenario", "images_per_s", "model", "created", "record"]
    frame = frame.sort_values(order, ascending=[True, False, True, True, True], kind="stable")
    return frame.to_csv(index=False, float_format="%.4f", lineterminator="\n")
