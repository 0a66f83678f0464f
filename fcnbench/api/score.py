"""`score`: stored predictions of any framework against a data set's truth, and a record worked out anew. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from fcnbench.api.defaults import DEFAULT_DATASET
from fcnbench.api.plan import dataset_of
from fcnbench.errors import DataMissing, UsageError
from fcnbench.protocol import GIVEN
from fcnbench.records.location import find
from fcnbench.util import files, paths

if TYPE_CHECKING:
    from fcnbench.api.result import Run
    from fcnbench.records.recompute import Rescored


@overload
def score(
    predictions: str | Path,
    dataset: str = ...,
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
def score(*, record: str | Path) -> Rescored: ...
def score(
    predictions: str | Path | None = None,
    dataset: str = DEFAULT_DATASET,
    *,
    model: str | None = None,
    train_splits: Sequence[str] = (),
    from_: str | Path | None = None,
    allow_partial: bool = False,
    accept_terms: bool = False,
    trimap: bool = False,
    board: str | Path | None = None,
    record: str | Path | None = None,
) -> Run | Rescored:
    """Score a folder of predicted label maps, or work out a record anew from its matrices.

    Args:
        predictions: folder of index PNGs, palette or grey: `<id>.png`, or the VOC devkit's `<comp>_<set>_cls/<id>.png`.
        dataset: name of the task.
        model: what to call the maker of the predictions; the folder's name by default.
        train_splits: splits that it was trained on; a run on images among them enters no board.
        from_: the user's own archive or extracted folder of the data set; its pictures are not needed.
        allow_partial: score the ids that have both label and prediction, and mark the result `n/N`.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        trimap: also score the bands of 1 to 40 pixels around the truth's boundaries.
        board: folder of `submissions/` and `leaderboards/`; by default `$FCNBENCH_BOARD`, else `fcnbench-results`.
        record: a `record.json`, or its folder, to work out anew in place of all this.

    Returns:
        The run, with its record; for `record` what its matrices say, and where the record says otherwise.

    Raises:
        UsageError: both or neither of `predictions` and `record`, or an unknown data set.
        DataError: the data set, the folder, or the record is missing, incomplete or corrupt.
        PredictionsError: files that are no predictions or wrong ones; all of them are named.
        ResultsError: the record or its matrices can't be read.
        OutputError: record or board could not be written.
    """
    if (predictions is None) == (record is None):
        raise UsageError("score takes either predictions or a record", "pass --predictions DIR or --record PATH")
    if record is not None:
        place = find(record)
        from fcnbench.records.recompute import rescore

        return rescore(place)
    folder, root = Path(str(predictions)).expanduser(), paths.results(board)
    if not folder.is_dir():
        raise DataMissing(f"there is no folder {folder}", "name a folder of predictions, one <id>.png an image")
    spec = dataset_of(dataset, from_)
    from fcnbench.api.result import Run
    from fcnbench.datasets.leakage import find_leakage
    from fcnbench.datasets.load import load_dataset
    from fcnbench.leaderboard.filing import file_record
    from fcnbench.records.assemble import assemble, protocol_of
    from fcnbench.records.environment import describe_machine
    from fcnbench.records.model import ModelFacts
    from fcnbench.records.scoring import score_predictions

    files.check_writable(root / "submissions")
    # A store without pictures will do: only its label maps are read.
    data = load_dataset(dataset, from_, allow_partial=True, accept_terms=accept_terms)
    if len(data) < data.manifest.total and not allow_partial:
        raise DataMissing(
            f"only {len(data)} of the {data.manifest.total} label maps of {dataset} are here",
            "pass the complete release to --from, or add --allow-partial",
        )
    evaluation = score_predictions(data, folder, allow_partial, trimap=trimap)
    facts = ModelFacts(model or folder.resolve().name, "predictions", "", None, None, "unknown", None)
    protocol = protocol_of(spec, data, len(evaluation.ids), GIVEN)
    leakage = find_leakage(evaluation.ids, train_splits, (), spec.split.name)
    scored = assemble(
        spec,
        data,
        model=facts,
        protocol=protocol,
        leakage=leakage,
        evaluation=evaluation,
        environment=describe_machine(),
    )
    return Run.of(file_record(scored, root))
