"""`report`: one HTML file of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import RecordLike, check_record, load_record
from fcnbench.options import ReportOptions
from fcnbench.util import files

if TYPE_CHECKING:
    from fcnbench.records.model import Record


def report(
    run: RecordLike,
    *,
    predictions: str | Path | None = None,
    from_: str | Path | None = None,
    accept_terms: bool = False,
    examples: int = 6,
    output: str | Path | None = None,
) -> Path:
    """Write one self-contained HTML file about a run; it opens from disk, without a network. Returns its path.

    Args:
        run: the result of `fcnbench.run`, a record, a `record.json`, or its folder.
        predictions: folder of the run's predicted label maps, to show the best and worst images, and scores near
            outlines.
        from_: the user's own archive or extracted folder of the dataset, for its images.
        accept_terms: agree to the terms of an archive that has to be downloaded; remembered.
        examples: number of best images, and of worst images, that are shown.
        output: the file; `report-<model>-<dataset>.html` in the working directory by default.

    Raises:
        ResultsError: the record is damaged or inconsistent.
        DataError: the record or the dataset is missing, or the dataset corrupt.
        PredictionError: the predictions are not the run's.
        OutputError: the file could not be written.

    >>> import fcnbench
    >>> fcnbench.report(fcnbench.run(limit=1, trials=0), output="report.html").name
    'report.html'
    """
    options = ReportOptions.of(locals())
    check_record(run)
    from fcnbench.datasets.load import load_dataset
    from fcnbench.pages.report import build
    from fcnbench.records.model import folder_name
    from fcnbench.records.predictions import open_predictions

    record = load_record(run)
    name = f"report-{folder_name(record.model.name)}-{folder_name(record.protocol.dataset)}.html"
    target = Path(options.output).expanduser() if options.output is not None else Path(name)
    files.check_writable(target.parent)
    dataset, found = None, None
    if predictions is not None:
        folder = Path(predictions).expanduser()
        dataset = load_dataset(record.protocol.dataset, from_, allow_partial=True, accept_terms=accept_terms)
        found = open_predictions(folder)
        record = _with_trimap(record, dataset, folder)
    files.write_bytes(target, build(record, dataset, found, examples).encode())
    return target


def _with_trimap(record: Record, dataset: object, folder: Path) -> Record:
    """Return the record with the bands around outlines, counted on its predictions where it lacks them."""
    from fcnbench.datasets.store.dataset import Dataset
    from fcnbench.errors import PredictionError
    from fcnbench.metrics.trimap import TRIMAP
    from fcnbench.records.scoring import score_predictions

    if TRIMAP in record.evaluation.counts:
        return record
    assert isinstance(dataset, Dataset)
    scored = score_predictions(dataset, folder, allow_partial=True, trimap=True)
    if (scored.ids, scored.predictions) != (record.evaluation.ids, record.evaluation.predictions):
        raise PredictionError(
            f"the predictions in {folder} are not those that the record names", "pass the folder that this run saved"
        )
    more = {name: counted for name, counted in scored.counts.items() if name not in record.evaluation.counts}
    return replace(record, evaluation=replace(record.evaluation, counts={**record.evaluation.counts, **more}))
