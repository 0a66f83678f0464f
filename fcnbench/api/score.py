"""`score`: stored predictions of any framework against a dataset's ground truth, and records recomputed. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from fcnbench.api.inputs import DatasetLike, RecordLike, check_record, given_dataset, record_file
from fcnbench.errors import DataMissing, UsageError
from fcnbench.options import DEFAULT_DATASET, ScoreOptions
from fcnbench.protocol import GIVEN
from fcnbench.util import files, paths

if TYPE_CHECKING:
    from fcnbench.api.result import Run
    from fcnbench.records.recompute import Rescored


@overload
def score(
    predictions: str | Path,
    dataset: DatasetLike = ...,
    *,
    model: str | None = ...,
    train_splits: Sequence[str] = ...,
    from_: str | Path | None = ...,
    allow_partial: bool = ...,
    accept_terms: bool = ...,
    trimap: bool = ...,
    board: str | Path | None = ...,
) -> Run: ...
@overload
def score(*, record: RecordLike) -> Rescored: ...
def score(
    predictions: str | Path | None = None,
    dataset: DatasetLike = DEFAULT_DATASET,
    *,
    model: str | None = None,
    train_splits: Sequence[str] = (),
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    trimap: bool = False,
    board: str | Path | None = None,
    record: RecordLike | None = None,
) -> Run | Rescored:
    """Score a folder of predicted label maps, or recompute a record from its matrices.

    Args:
        predictions: folder of index PNGs, palette or grey: `<id>.png`, or the VOC devkit's `<comp>_<set>_cls/<id>.png`.
        dataset: name of the dataset, its specification, or what `fcnbench.load_dataset` returned.
        model: name of the model that made the predictions; by default the name of the folder.
        train_splits: splits that the model was trained on; a run that includes some of their images is not added to
            a board.
        from_: the user's own archive or extracted folder of the dataset; its images are not needed.
        allow_partial: score the images that have both a label map and a prediction; the result is marked `n/N`.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        trimap: also score the bands of 1 to 40 pixels around the boundaries of the ground truth.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.
        record: the result of `fcnbench.run`, a record, a `record.json` or its folder, to recompute instead.

    Returns:
        The run with its record; for `record`, the recomputed scores and the values in which the record differs.

    Raises:
        UsageError: both or neither of `predictions` and `record`, or an unknown dataset.
        DataError: the dataset, the folder, or the record is missing, incomplete or corrupt.
        PredictionsError: some files are not predictions, or are wrong; the message lists all of them.
        ResultsError: the record or its matrices can't be read.
        OutputError: record or board could not be written.

    >>> import fcnbench
    >>> run = fcnbench.run(limit=2, trials=0, save_predictions="predictions")
    >>> again = fcnbench.score("predictions", "pocket", allow_partial=True)
    >>> again.scores == run.scores
    True
    >>> fcnbench.score(record=run).mismatches
    ()
    """
    options = ScoreOptions.of(locals())
    if (predictions is None) == (record is None):
        raise UsageError("score takes either predictions or a record", "pass --predictions DIR or --record PATH")
    if record is not None:
        if options != ScoreOptions(record=record):
            raise UsageError("score recomputes a record without other arguments", "pass record= alone")
        check_record(record)
        from fcnbench.records.recompute import rescore

        with record_file(record) as path:
            return rescore(path)
    return score_folder(options)


def score_folder(options: ScoreOptions) -> Run:
    """Score a folder of predictions, and file the record."""
    folder, root = Path(str(options.predictions)).expanduser(), paths.results(options.board)
    if not folder.is_dir():
        raise DataMissing(f"there is no folder {folder}", "name a folder of predictions, one <id>.png per image")
    given = given_dataset(options.dataset, options.data.source)
    spec = given.spec
    from fcnbench.api.result import Run
    from fcnbench.datasets.leakage import find_leakage
    from fcnbench.leaderboard.filing import file_record
    from fcnbench.records.assemble import assemble, protocol_of
    from fcnbench.records.environment import describe_machine
    from fcnbench.records.model import ModelFacts
    from fcnbench.records.scoring import score_predictions

    files.check_writable(root / "submissions")
    # A store without images will do: only its label maps are read.
    data, partial = given.load(replace(options.data, allow_partial=True)), options.data.allow_partial
    if len(data) < data.manifest.total and not partial:
        raise DataMissing(
            f"only {len(data)} of the {data.manifest.total} label maps of {spec.name} are here",
            "pass the complete release to --from, or add --allow-partial",
        )
    evaluation = score_predictions(data, folder, partial, trimap=options.trimap)
    record = assemble(
        spec,
        data,
        model=ModelFacts(options.model or folder.resolve().name, "predictions", "", None, None, "unknown", None),
        protocol=protocol_of(spec, data, len(evaluation.ids), GIVEN),
        leakage=find_leakage(evaluation.ids, options.train_splits, (), spec.split.name),
        evaluation=evaluation,
        environment=describe_machine(),
    )
    return Run.of(file_record(record, root))
