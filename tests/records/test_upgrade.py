"""Older and later formats of records: format 1 is read as it was written, later formats say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.errors import ResultsError
from fcnbench.records import json as record_json
from fcnbench.records import upgrade
from fcnbench.records.files import RECORD_NAME, load, read_file
from fcnbench.records.json import file_of
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import from_json, to_json
from fcnbench.records.upgrade import upgraded, upgraded_arrays
from tests.conftest import record_of
from tests.records.format_1 import FORMAT_1, format_1

Content = dict[str, Any]


@pytest.fixture
def place(runs: Path) -> Path:
    return record_of(runs, "fcn8s-pocket")


def test_a_later_format_says_so(place: Path) -> None:
    content = json.loads((place / RECORD_NAME).read_text())
    (place / RECORD_NAME).write_text(json.dumps(content | {"format": "fcnbench.record/7"}))
    with pytest.raises(ResultsError, match="a newer fcnbench reads it"):
        load(place)


def test_an_older_format_is_brought_up_to_date_step_by_step(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(content: Content) -> Content:
        return {**{name: value for name, value in content.items() if name != "who"}, "model": content["who"]}

    def newest(content: Content) -> Content:
        return rename(content) | {"format": "fcnbench.record/2"}

    whole = json.loads((place / RECORD_NAME).read_text())
    old = {**{name: value for name, value in whole.items() if name != "model"}, "who": whole["model"]}
    old["format"] = "fcnbench.record/0"
    (place / RECORD_NAME).write_text(json.dumps(old))
    with pytest.raises(ResultsError, match="format 0 is unknown"):
        load(place)
    steps = {0: lambda content: content | {"format": "fcnbench.record/1"}, 1: newest}
    monkeypatch.setattr(upgrade, "UPGRADES", steps)
    assert load(place).model.name == "fcn8s-pocket"
    assert upgraded(old) == whole


def test_records_of_format_1_are_read_as_they_were() -> None:
    """The values are those that the first release wrote: scores, intervals, signature and digests stay."""
    content, arrays = format_1()
    file = from_json(upgraded(content), RecordFile)
    assert file.signature.short == "fcn2|data:siftflowtest#2/200|classes:2|ignore:255|mean:gt|infer:native|prec:fp32"
    record = record_json.record_of(file, upgraded_arrays(arrays, file.counts))
    assert set(record.evaluation.counts) == {"confusion", "geo_confusion", "near_ties", "trimap"}
    computed, stored = to_json(file_of(record)), to_json(file)
    assert computed["counts"] == stored["counts"]
    assert computed["predictions"] == stored["predictions"]
    for name in ("scores", "per_class", "protocol", "leakage", "reproducibility"):
        assert computed[name] == stored[name], name
    assert fcnbench.score(record=FORMAT_1).mismatches == ()
    assert record.scores().mean_iu == pytest.approx(0.3288997718292615, rel=1e-14)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("training"),
        lambda content: content["signature"].update(short="fcn|other"),
        lambda content: content["signature"].update(long="fcn|other"),
        lambda content: content["protocol"].update(version=2),
        lambda content: content["protocol"].update(absent="some"),
        lambda content: content["scores"].pop("present"),
        lambda content: content.update(surprise=1),
        lambda content: content["margins"].update(pixels=["many"]),
    ],
)
def test_damaged_records_of_format_1_are_refused(tmp_path: Path, change: Callable[[Content], object]) -> None:
    content, _ = format_1()
    change(content)
    (tmp_path / RECORD_NAME).write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="is unusable"):
        read_file(tmp_path / RECORD_NAME)
