"""Entries: the values of a record that boards show, read without its matrices."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.entry import read_entry
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME, load
from tests.committed import committed
from tests.leaderboard.conftest import copied


def newest(root: Path, model: str = "fcn8s-pocket") -> Path:
    """Return the path of a model's record on pocket."""
    return next((root / f"submissions/{model}/pocket").glob("2*")) / RECORD_NAME


def test_an_entry_agrees_with_the_record() -> None:
    path = newest(committed())
    entry, record = read_entry(path), load(path)
    assert (entry.run, entry.created, entry.fcnbench) == (record.run, record.created, record.fcnbench)
    assert (entry.model, entry.protocol, entry.data) == (record.model, record.protocol, record.data)
    assert (entry.leakage, entry.environment, entry.ranked) == (record.leakage, record.environment, record.ranked)
    assert entry.signature == record.protocol.signature()
    assert entry.scores == pytest.approx(record.all_scores(), rel=1e-12)
    assert entry.intervals["mean_iu"] == pytest.approx(record.intervals()["mean_iu"], rel=1e-12)
    assert list(entry.class_iu) == list(record.classes)
    assert entry.predictions == record.predictions


def test_an_entry_needs_no_matrices(run_folder: Path, tmp_path: Path) -> None:
    path = newest(copied(run_folder, tmp_path))
    before = read_entry(path)
    path.with_name(MATRICES_NAME).unlink()
    assert read_entry(path) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["protocol"].update(absent="nanmean"),
        lambda content: content["leakage"].update(extra=1),
        lambda content: content["intervals"].pop("gt"),
        lambda content: content["environment"].pop("device"),
        lambda content: content["signature"].update(short="fcn|other"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(
    run_folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = newest(copied(run_folder, tmp_path))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="is unusable"):
        read_entry(path)


def test_an_entry_with_evaluated_training_images_is_not_ranked(run_folder: Path, tmp_path: Path) -> None:
    path = newest(copied(run_folder, tmp_path))
    assert read_entry(path).ranked
    content = json.loads(path.read_text())
    content["leakage"]["ids"] = ["val-0000"]
    path.write_text(json.dumps(content))
    assert not read_entry(path).ranked
