"""The JSON of a record alone: boards and pages read it without the matrices."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fcnbench.errors import ResultsError
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME, load, read_file
from fcnbench.records.serial import to_json
from tests.committed import committed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a copy of a committed record."""
    newest = next((committed() / "submissions/fcn8s-pocket/pocket").glob("2*"))
    return Path(shutil.copytree(newest, tmp_path / "record")) / RECORD_NAME


@pytest.mark.parametrize("mean", ["gt", "union"])
def test_the_json_agrees_with_the_whole_record(path: Path, mean: str) -> None:
    change(path, lambda content: content["protocol"].update(mean=mean))
    change(
        path,
        lambda content: content["signature"].update(
            short=content["signature"]["short"].replace("mean:gt", f"mean:{mean}")
        ),
    )
    file, record = read_file(path), load(path)
    assert (file.run, file.created, file.fcnbench) == (record.run, record.created, record.fcnbench)
    assert (file.model, file.protocol, file.data) == (record.model, record.protocol, record.data)
    assert (file.leakage, file.environment, file.ranked) == (record.leakage, record.environment, record.ranked)
    assert file.signature.short == record.protocol.signature()
    assert file.protocol.mean == mean
    assert to_json(file.protocol_scores) == pytest.approx(record.all_scores(), rel=1e-12)
    assert file.protocol_intervals.mean_iu == pytest.approx(record.intervals()["mean_iu"], rel=1e-12)
    assert [each.name for each in file.per_class] == list(record.classes)
    assert file.predictions.digest == record.predictions


def test_the_json_needs_no_matrices(path: Path) -> None:
    before = read_file(path)
    path.with_name(MATRICES_NAME).unlink()
    assert read_file(path) == before


@pytest.mark.parametrize(
    "wrong",
    [
        lambda content: content["protocol"].update(absent="nanmean"),
        lambda content: content["leakage"].update(extra=1),
        lambda content: content["intervals"].pop("gt"),
        lambda content: content["environment"].pop("device"),
        lambda content: content["signature"].update(short="fcn|other"),
    ],
)
def test_json_that_contradicts_itself_is_refused(path: Path, wrong: Callable[[dict[str, Any]], object]) -> None:
    change(path, wrong)
    with pytest.raises(ResultsError, match="is unusable"):
        read_file(path)


def test_a_record_with_evaluated_training_images_is_not_ranked(path: Path) -> None:
    assert read_file(path).ranked
    change(path, lambda content: content["leakage"].update(ids=["val-0000"]))
    assert not read_file(path).ranked


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the JSON of a record in its file."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
