"""`check`: the drift gate. Is the model still what its baseline was?"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.compare import folders
from fcnbench.api.plan import check_device
from fcnbench.errors import DataMissing, UsageError
from fcnbench.models.names import find_model
from fcnbench.records.location import find
from fcnbench.util import files
from fcnbench.util.console import note

if TYPE_CHECKING:
    from fcnbench.comparison.drift import Verdict
    from fcnbench.records.model import Record


@dataclass(frozen=True)
class Check:
    """The verdicts of a check.

    Attributes:
        verdicts: one a baseline.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no run drifted."""
        return all(verdict.passed for verdict in self.verdicts)


def check(
    baseline: str | Path,
    *,
    record: str | Path | None = None,
    predictions: str | Path | None = None,
    baseline_predictions: str | Path | None = None,
    model: str | None = None,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    device: str = "auto",
    budget: int | None = None,
    tolerance: float | None = None,
    markdown: str | Path | None = None,
    junit: str | Path | None = None,
    keep: str | Path | None = None,
) -> Check:
    """Judge whether a model still gives what its baseline says; runs it again unless a result is given.

    Args:
        baseline: a `record.json`, its folder, or a board; of a board every model's newest run.
        record: the result to judge, in place of a new run.
        predictions: a folder of predicted label maps to judge, in place of a new run; beside `record`, that run's.
        baseline_predictions: the baseline's own predicted label maps, to count flipped pixels exactly.
        model: run this one, in place of the baseline's; of a board, judge only this one.
        weights: the model's weights, where the baseline's were a file.
        from_: the user's own archive or extracted folder of the data set.
        allow_partial: accept an incomplete data set, as the baseline's was.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        device: where the model runs.
        budget: pixels that may change class.
        tolerance: how far each of the four metrics may move, as a fraction. Without either only identical passes.
        markdown: write a summary there.
        junit: write JUnit XML there.
        keep: keep a new run's record below this folder of boards.

    Raises:
        UsageError: options that do not fit together.
        DataMissing: the baseline or the record is not there.
        ResultsError: the baseline or the record can't be read.
        DataError, ModelError, PredictionError, OutputError: the new run failed.
    """
    for path in (baseline, record):
        if path is not None and not str(path).endswith(".csv"):
            find(path)
        elif path is not None and not Path(path).expanduser().is_file():
            raise DataMissing(f"there is no board at {path}", "name a record, or a board below leaderboards/")
    if model is not None and not str(baseline).endswith(".csv"):  # of a board, it chooses among the rows
        find_model(model)
    check_device(device, model or "")
    from fcnbench.comparison.drift import Allowance, judge
    from fcnbench.comparison.drift_report import write
    from fcnbench.records.files import load

    allowance = Allowance(budget, tolerance)
    outputs = [None if path is None else Path(path).expanduser() for path in (markdown, junit)]
    for path in outputs:
        if path is not None:
            files.check_writable(path.parent)
    found = _baselines(Path(baseline).expanduser(), model)
    given = record is not None or predictions is not None or baseline_predictions is not None
    if len(found) > 1 and (given or weights is not None):
        raise UsageError(
            f"{baseline} holds {len(found)} baselines, and one result was given",
            "name a record as the baseline, or one model with --model",
        )
    source = _Source(from_, allow_partial, accept_terms)
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="fcnbench-check-") as scratch:
        for each in found:
            saved = Path(scratch) / f"predictions-{len(verdicts)}"
            if record is not None:
                current, maps = load(Path(record).expanduser()), predictions
            elif predictions is not None:
                current, maps = _scored(each, predictions, source, keep or scratch), predictions
            else:
                note(f"check: running {model or each.model.name} on {each.protocol.dataset} again")
                maps = saved if baseline_predictions is not None else None
                chosen = _Model(model or each.model.name, weights, device)
                current = _run(each, chosen, source, keep or scratch, maps)
            pair = (baseline_predictions, maps) if baseline_predictions is not None and maps is not None else None
            verdicts.append(judge(each, current, allowance, folders(pair)))
    write(verdicts, *outputs)
    return Check(tuple(verdicts))


@dataclass(frozen=True)
class _Source:
    """Where the data comes from."""

    from_: str | Path | None
    allow_partial: bool
    accept_terms: bool


@dataclass(frozen=True)
class _Model:
    """What is run, and where."""

    name: str
    weights: str | Path | None
    device: str


def _baselines(path: Path, model: str | None) -> list[Record]:
    """The record of a path, or of each model of a board the newest."""
    from fcnbench.leaderboard.board import read_board
    from fcnbench.records.files import load

    if path.suffix != ".csv":
        return [load(path)]
    board = read_board(path)
    newest = (
        board[board["record"] != ""]
        .sort_values("created", kind="stable")
        .drop_duplicates(["model", "signature"], keep="last")
    )
    rows = newest if model is None else newest[newest["model"] == model]
    if rows.empty:
        raise UsageError(
            f"{path} has no row{f' of {model}' if model else ''}", f"its models: {', '.join(newest['model']) or 'none'}"
        )
    # A board lies in leaderboards/<version>/, its records are named from the folder above.
    root = path.resolve().parents[2]
    return [load(root / name) for name in sorted(rows["record"])]


def _run(baseline: Record, model: _Model, source: _Source, board: str | Path, save: str | Path | None) -> Record:
    """The baseline's run once more."""
    from fcnbench.api.run import run
    from fcnbench.records.evaluation import NEAR_TIES

    protocol, execution = baseline.protocol, baseline.evaluation.execution
    return run(
        model.name,
        weights=model.weights if model.weights is not None else baseline.model.weights,
        from_=source.from_,
        allow_partial=source.allow_partial,
        accept_terms=source.accept_terms,
        limit=protocol.images if protocol.partial else None,
        device=model.device,
        trials=0,
        signature=protocol.signature(),
        save_predictions=save,
        margins=NEAR_TIES in baseline.evaluation.counts,
        fast=execution is not None and execution.forward != "plain",
        batch=execution.batch if execution is not None else 1,
        board=board,
    ).record


def _scored(baseline: Record, predictions: str | Path, source: _Source, board: str | Path) -> Record:
    from fcnbench.api.score import score

    return score(
        predictions,
        baseline.protocol.dataset,
        model=baseline.model.name,
        from_=source.from_,
        allow_partial=source.allow_partial,
        accept_terms=source.accept_terms,
        board=board,
    ).record
