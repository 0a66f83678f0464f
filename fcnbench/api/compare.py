"""`compare`: two records side by side, and one record under other harnesses' rules. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.records.location import find

if TYPE_CHECKING:
    from fcnbench.comparison.compare import Comparison
    from fcnbench.comparison.conventions import ConventionScores


def compare(
    first: str | Path, second: str | Path, *, predictions: tuple[str | Path, str | Path] | None = None
) -> Comparison:
    """Compare two runs on one task: is B better than A, where do they differ, and why may they.

    Args:
        first: A: a `record.json`, or its folder.
        second: B, likewise.
        predictions: folders of A's and B's predicted label maps, to count flipped pixels exactly.

    Raises:
        UsageError: they are of different tasks or policies, or scored no image in common.
        DataMissing: a record is not there.
        ResultsError: a record or its matrices can't be read, or are damaged.
        PredictionError: a folder does not hold the predictions of its record.
    """
    places = find(first), find(second)
    from fcnbench.comparison import compare as comparing
    from fcnbench.records.files import load

    one, two = (load(place) for place in places)
    return comparing.compare(one, two, folders(predictions))


def lens(record: str | Path) -> list[ConventionScores]:
    """What other harnesses would report for a record's matrices, and which of their rules makes the gap.

    Args:
        record: a `record.json`, or its folder.

    Raises:
        DataMissing: the record is not there.
        ResultsError: the record or its matrices can't be read, or are damaged.
    """
    place = find(record)
    from fcnbench.comparison.conventions import score_conventions
    from fcnbench.records.files import load

    return score_conventions(load(place))


def folders(predictions: tuple[str | Path, str | Path] | None) -> tuple[Path, Path] | None:
    """Two folders of predictions as paths."""
    if predictions is None:
        return None
    first, second = (Path(each).expanduser() for each in predictions)
    return first, second
