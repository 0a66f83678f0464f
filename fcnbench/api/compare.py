"""`compare`: two records side by side, and one record under other harnesses' rules. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import RecordLike, check_record, load_record
from fcnbench.errors import UsageError
from fcnbench.util.paths import user_path

if TYPE_CHECKING:
    from fcnbench.comparison.compare import Comparison
    from fcnbench.comparison.conventions import ConventionScores


def compare(
    first: RecordLike, second: RecordLike, *, predictions: tuple[str | Path, str | Path] | None = None
) -> Comparison:
    """Compare two runs A and B on one dataset: whether B is better, where they differ, and possible reasons.

    Args:
        first: run A: the result of `fcnbench.run`, a record, a `record.json`, or its folder.
        second: run B, in the same forms.
        predictions: folders of the predicted label maps of A and B, to count changed pixels exactly.

    Raises:
        UsageError: the runs have different datasets or rules, or no image in common.
        DataMissing: a record is not there.
        ResultsError: a record or its matrices can't be read, or are damaged.
        PredictionError: a folder does not hold the predictions of its record.

    >>> import fcnbench
    >>> run = fcnbench.run(limit=1, trials=0)
    >>> fcnbench.compare(run, run).flips
    0
    """
    for record in (first, second):
        check_record(record)
    from fcnbench.comparison import compare as comparing

    return comparing.compare(load_record(first), load_record(second), folders(predictions))


def lens(record: RecordLike) -> list[ConventionScores]:
    """Return the scores that other harnesses would report for a record, and the rule that causes each difference.

    Args:
        record: the result of `fcnbench.run`, a record, a `record.json`, or its folder.

    Raises:
        DataMissing: the record is not there.
        ResultsError: the record or its matrices can't be read, or are damaged.

    >>> import fcnbench
    >>> fcnbench.lens(fcnbench.run(limit=1, trials=0))[0].why
    'the same'
    """
    check_record(record)
    from fcnbench.comparison.conventions import score_conventions

    return score_conventions(load_record(record))


def folders(predictions: tuple[str | Path, str | Path] | None) -> tuple[Path, Path] | None:
    """Return two folders of predictions as paths.

    Raises:
        UsageError: they are not two paths.
    """
    if predictions is None:
        return None
    if isinstance(predictions, str) or not isinstance(predictions, Sequence) or len(predictions) != 2:
        raise UsageError(
            f"predictions is {predictions!r}, expected the folders of both runs", "pass two folders, (A, B)"
        )
    first, second = (user_path(each, "--predictions") for each in predictions)
    return first, second
