"""`check`: the drift check. Does a model still give what its baseline gave?"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.compare import folders
from fcnbench.api.inputs import ModelLike, RecordLike, check_record, load_record
from fcnbench.api.plan import check_device
from fcnbench.errors import DataMissing, UnknownName, UsageError
from fcnbench.models.names import find_model
from fcnbench.options import CheckOptions, ForwardOptions, RunOptions, ScoreOptions
from fcnbench.util import files
from fcnbench.util.console import note

if TYPE_CHECKING:
    from fcnbench.comparison.drift import Verdict
    from fcnbench.records.model import Record


@dataclass(frozen=True, repr=False)
class Check:
    """The verdicts of a check.

    Attributes:
        verdicts: one per baseline.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no run drifted."""
        return all(verdict.passed for verdict in self.verdicts)

    def __repr__(self) -> str:
        headlines = "; ".join(verdict.headline() for verdict in self.verdicts)
        return f"<Check {'passed' if self.passed else 'FAILED'}: {headlines}>"

    def _repr_html_(self) -> str:
        """Return the view of a notebook: the summary that `markdown` writes, as preformatted text."""
        from html import escape

        from fcnbench.comparison.drift_report import text

        return f"<pre>{escape(chr(10).join(text(verdict) for verdict in self.verdicts))}</pre>"


def check(
    baseline: RecordLike,
    *,
    record: RecordLike | None = None,
    predictions: str | Path | None = None,
    baseline_predictions: str | Path | None = None,
    model: ModelLike | None = None,
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
    """Check that a model still gives the results of its baseline; the model is run again unless a result is given.

    Args:
        baseline: the result of `fcnbench.run`, a record, a `record.json`, its folder, or a board, of which the newest
            run of every model is used.
        record: an existing result to check instead of running the model; as `baseline`, but not a board.
        predictions: a folder of predicted label maps to check instead of running the model; with `record`, the
            predictions of that run.
        baseline_predictions: the baseline's own predicted label maps, to count changed pixels exactly.
        model: run this model, given by name or as an object, instead of the baseline's; if the baseline is a board,
            check only this model.
        weights: the model's weights, if those of the baseline were a file.
        from_: the user's own archive or extracted folder of the dataset.
        allow_partial: accept an incomplete dataset, if that of the baseline was incomplete.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        device: where the model runs.
        budget: number of pixels that may change class; by default 0, or no limit if only `tolerance` is given.
        tolerance: fraction by which each metric may change; by default 0, or no limit if only `budget` is given.
        markdown: write a summary to this file.
        junit: write JUnit XML to this file.
        keep: keep the record of the new run in this folder with `submissions/` and `leaderboards/`.

    Raises:
        UsageError: options that do not fit together.
        DataMissing: the baseline or the record is not there.
        ResultsError: the baseline or the record can't be read.
        DataError, ModelError, PredictionError, OutputError: the new run failed.

    >>> import fcnbench
    >>> baseline = fcnbench.run(limit=1, trials=0)
    >>> fcnbench.check(baseline)
    <Check passed: fcn8s-pocket on pocket: identical, pixel for pixel>
    """
    options = CheckOptions.of(locals())
    for given in (baseline, record):
        if _is_board(given) and not Path(str(given)).expanduser().is_file():
            raise DataMissing(f"there is no board at {given}", "name a record, or a board below leaderboards/")
        if given is not None and not _is_board(given):
            check_record(given)
    if model is not None and not _is_board(baseline):  # of a board, it chooses among the rows
        find_model(model)
    return judge_baselines(options)


def judge_baselines(options: CheckOptions) -> Check:
    """Judge every baseline, and write the summaries; baseline, record and model are there.

    Raises:
        FcnbenchError: as `check` does.
    """
    check_device(options.rerun.device, options.model if isinstance(options.model, str) else "")
    from fcnbench.comparison.drift import judge
    from fcnbench.comparison.drift_report import write

    outputs = [None if path is None else Path(path).expanduser() for path in (options.markdown, options.junit)]
    for path in outputs:
        if path is not None:
            files.check_writable(path.parent)
    baselines = _baselines(options)
    results = (options.record, options.predictions, options.baseline_predictions, options.rerun.weights)
    if len(baselines) > 1 and any(given is not None for given in results):
        raise UsageError(
            f"{options.baseline} holds {len(baselines)} baselines, and one result was given",
            "name a record as the baseline, or one model with --model",
        )
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="fcnbench-check-") as scratch:
        for each in baselines:
            current, maps = _current(each, options, Path(scratch), len(verdicts))
            own = options.baseline_predictions
            pair = (own, maps) if own is not None and maps is not None else None
            verdicts.append(judge(each, current, options.rerun.allowance, folders(pair)))
    write(verdicts, *outputs)
    return Check(tuple(verdicts))


def _current(baseline: Record, options: CheckOptions, scratch: Path, number: int) -> tuple[Record, str | Path | None]:
    """Return the result that is held against a baseline, and the folder of its predictions, where there is one."""
    board = options.keep or scratch
    if options.record is not None:
        return load_record(options.record), options.predictions
    if options.predictions is not None:
        return _scored(baseline, options, board), options.predictions
    model = baseline.model.name if options.model is None else options.model
    try:
        find_model(model)
    except UnknownName as error:
        raise UnknownName(
            f"the baseline's model can't be run again by its name: {error.message}",
            "name it with --model, pass the object as model=, or give a result with --record",
        ) from error
    note(f"check: running {find_model(model).display} on {baseline.protocol.dataset} again")
    maps = scratch / f"predictions-{number}" if options.baseline_predictions is not None else None
    return _run(baseline, options, board, maps), maps


def _is_board(given: object) -> bool:
    """Whether a baseline is the path of a board."""
    return isinstance(given, str | Path) and str(given).endswith(".csv")


def _baselines(options: CheckOptions) -> list[Record]:
    """Return the record of a path or an object, or of each model of a board the newest."""
    if not _is_board(options.baseline):
        return [load_record(options.baseline)]
    from fcnbench.leaderboard.board import read_board
    from fcnbench.records.files import load

    path, model = Path(options.baseline).expanduser(), options.model
    board = read_board(path)
    newest = (
        board[board["record"] != ""]
        .sort_values("created", kind="stable")
        .drop_duplicates(["model", "signature"], keep="last")
    )
    rows = newest if model is None else newest[newest["model"] == _board_name(model)]
    if rows.empty:
        raise UsageError(
            f"{path} has no row{f' of {model}' if model else ''}", f"its models: {', '.join(newest['model']) or 'none'}"
        )
    # A board lies in leaderboards/<version>/, its records are named from the folder above.
    root = path.resolve().parents[2]
    return [load(root / name) for name in sorted(rows["record"])]


def _board_name(model: ModelLike) -> str:
    """Return what boards call a model: its name, or that of an object."""
    return model if isinstance(model, str) else find_model(model).display


def _run(baseline: Record, options: CheckOptions, board: str | Path, save: Path | None) -> Record:
    """Run the baseline's model again."""
    from fcnbench.api.run import run_unless
    from fcnbench.records.evaluation import NEAR_TIES

    protocol, execution, rerun = baseline.protocol, baseline.evaluation.execution, options.rerun
    # An object has its weights.
    own = baseline.model.weights if options.model is None or isinstance(options.model, str) else None
    result = run_unless(
        RunOptions(
            baseline.model.name if options.model is None else options.model,
            weights=own if rerun.weights is None else rerun.weights,
            data=options.data,
            limit=protocol.images if protocol.partial else None,
            forward=ForwardOptions(
                rerun.device,
                fast=execution is not None and execution.forward != "plain",
                batch=execution.batch if execution is not None else 1,
            ),
            trials=0,
            signature=protocol.signature(),
            save_predictions=save,
            margins=NEAR_TIES in baseline.evaluation.counts,
            board=board,
        ),
        None,
    )
    assert result is not None  # there is nothing to reuse
    return result.record


def _scored(baseline: Record, options: CheckOptions, board: str | Path) -> Record:
    """Score the predictions that are held against a baseline."""
    from fcnbench.api.score import score_folder

    return score_folder(
        ScoreOptions(
            options.predictions,
            dataset=baseline.protocol.dataset,
            model=baseline.model.name,
            data=options.data,
            board=board,
        )
    ).record
