"""Records on disk: the schema is the truth, damage is one of our errors, and a kill leaves the old files."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fcnbench
from fcnbench.errors import DataMissing, FcnbenchError, ResultsError
from fcnbench.leaderboard.board import build_board
from fcnbench.records import json as record_json
from fcnbench.records import upgrade
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME, load, read_file, save, schema
from fcnbench.records.json import file_of
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import from_json, to_json
from fcnbench.records.upgrade import upgraded, upgraded_arrays
from tests.committed import committed
from tests.conftest import record_of
from tests.kills import kills_at_every_write

Content = dict[str, Any]
COMMITTED = sorted((committed() / "submissions").glob(f"*/*/*/{RECORD_NAME}"))

FUZZ = settings(
    deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def place(runs: Path) -> Path:
    return record_of(runs, "fcn8s-pocket")


def edited(place: Path, change: Callable[[Content], object]) -> Path:
    content = json.loads((place / RECORD_NAME).read_text())
    change(content)
    (place / RECORD_NAME).write_text(json.dumps(content))
    return place


# --- the schema ------------------------------------------------------------------------------------------------------


def test_the_schema_is_one_and_every_object_of_it_is_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())

    def closed(node: Any, where: str = "") -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert "additionalProperties" in node, where
            for name, value in node.items():
                closed(value, f"{where}/{name}")
        elif isinstance(node, list):
            for each in node:
                closed(each, where)

    closed(schema())


def test_another_validator_agrees(place: Path) -> None:
    jsonschema.validate(json.loads((place / RECORD_NAME).read_text()), schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parts[-4])
def test_committed_records_fit_and_agree_with_their_matrices(path: Path) -> None:
    jsonschema.validate(json.loads(path.read_text()), schema(), jsonschema.Draft202012Validator)
    found = fcnbench.score(record=path)
    assert found.mismatches == ()
    golden = {"fcn32s-pocket": 0.3895, "fcn16s-pocket": 0.7870, "fcn8s-pocket": 0.9189}
    assert found.record.scores().mean_iu == pytest.approx(golden[found.record.model.name], abs=5e-5)


def test_there_are_committed_records() -> None:
    assert len(COMMITTED) >= 3


OPTIONAL = {("environment", "device_check"), ("protocol", "version"), ("counts", "near_ties")}
"""Fields that a record need not have; a count that it does not describe must not be in its arrays either."""


def test_every_field_of_the_schema_that_is_taken_away_or_added_is_noticed(place: Path) -> None:
    whole = json.loads((place / RECORD_NAME).read_text())
    required = schema()["$defs"]["RecordFile"]["required"]
    keys = [(name,) for name in required] + [
        (name, inner) for name in required if isinstance(whole[name], dict) for inner in whole[name]
    ]
    for path in keys:
        content = json.loads(json.dumps(whole))
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        holder.pop(path[-1])
        (place / RECORD_NAME).write_text(json.dumps(content))
        if path in OPTIONAL:
            read_file(place / RECORD_NAME)
        else:
            with pytest.raises(ResultsError, match="is unusable"):
                read_file(place / RECORD_NAME)
    for change in ({"surprise": 1}, {"protocol": whole["protocol"] | {"surprise": 1}}):
        (place / RECORD_NAME).write_text(json.dumps(whole | change))
        with pytest.raises(ResultsError, match=r"unknown field .*surprise"):
            read_file(place / RECORD_NAME)


# --- reading back ----------------------------------------------------------------------------------------------------


def test_a_record_that_is_read_back_is_the_same_record(place: Path) -> None:
    stored = json.loads((place / RECORD_NAME).read_text())
    record = load(place)
    assert to_json(file_of(record)) | {"files": {}} == stored | {"files": {}}
    assert "near_ties" in record.evaluation.counts
    assert record.evaluation.timing.images == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(format="fcnbench.record/3"),
        lambda content: content.update(format="something/1"),
        lambda content: content.update(format=1),
        lambda content: content["protocol"].update(ignore=0),
        lambda content: content["protocol"].update(images=63, total=63),
        lambda content: content["protocol"].update(classes=9),
        lambda content: content["signature"].update(short="fcn2|other"),
        lambda content: content["scores"]["gt"].update(mean_iu=1.5),
        lambda content: content["scores"]["gt"].update(mean_iu=float("nan")),
        lambda content: content["predictions"]["maps"]["labels"].pop("val-0000"),
        lambda content: content["predictions"].update(digest="sha256:abc"),
        lambda content: content["environment"].update(packages=[]),
        lambda content: content["timing"]["samples"].update(forward=["slow"]),
        lambda content: content["per_class"].clear(),
        lambda content: content["files"].clear(),
        lambda content: content.update(run="../../../etc"),
    ],
)
def test_what_the_schema_or_the_signature_forbids_is_refused(place: Path, change: Callable[[Content], object]) -> None:
    with pytest.raises(ResultsError, match=r"the record .* is unusable"):
        load(edited(place, change))


def test_a_later_format_says_so(place: Path) -> None:
    with pytest.raises(ResultsError, match="a newer fcnbench reads it"):
        load(edited(place, lambda content: content.update(format="fcnbench.record/7")))


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


FORMAT_1 = Path(__file__).parent / "format-1"
"""A record that the code of format 1 wrote, with everything that it could hold; all its numbers are made up."""


def format_1() -> tuple[Content, dict[str, Any]]:
    with np.load(FORMAT_1 / MATRICES_NAME) as packed:
        arrays = {name: packed[name] for name in packed.files}
    return json.loads((FORMAT_1 / RECORD_NAME).read_text()), arrays


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


def test_matrices_that_are_missing_or_others_are_refused(place: Path) -> None:
    packed = (place / MATRICES_NAME).read_bytes()
    (place / MATRICES_NAME).write_bytes(packed + b"\0")
    with pytest.raises(ResultsError, match="digests differ"):
        load(place)
    (place / MATRICES_NAME).unlink()
    with pytest.raises(ResultsError, match="can't be read"):
        load(place)
    with pytest.raises(DataMissing, match="there is no record at"):
        load(place / "nowhere")


def arrays_of(place: Path) -> dict[str, Any]:
    with np.load(place / MATRICES_NAME) as found:
        return {name: found[name] for name in found.files}


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("confusion"),
        lambda arrays: arrays.pop("ids"),
        lambda arrays: arrays.update(extra=np.zeros(3)),
        lambda arrays: arrays.update(confusion=arrays["confusion"][:-1]),
        lambda arrays: arrays.update(confusion=arrays["confusion"].astype(np.float32)),
        lambda arrays: arrays.update(confusion=arrays["confusion"].astype(np.int32)),
        lambda arrays: arrays.update(confusion=-arrays["confusion"]),
        lambda arrays: arrays.update(confusion=np.zeros_like(arrays["confusion"])),
        lambda arrays: arrays.update(ids=arrays["ids"][::-1]),
        lambda arrays: arrays.update(ids=np.array([{"a": 1}] * 64, dtype=object)),
        lambda arrays: arrays.update(near_ties=arrays["near_ties"][:, :2]),
    ],
)
def test_arrays_that_are_not_the_records_are_refused(place: Path, change: Callable[[Any], object]) -> None:
    arrays = arrays_of(place)
    change(arrays)
    np.savez_compressed(place / MATRICES_NAME, **arrays)
    with pytest.raises(ResultsError):
        fcnbench.score(record=place)


def test_a_bomb_is_not_unpacked(place: Path) -> None:
    with zipfile.ZipFile(place / MATRICES_NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": (1 << 28,)})
        with archive.open("confusion.npy", "w", force_zip64=True) as entry:
            entry.write(stream.getvalue())
            for _ in range(1100):
                entry.write(bytes(1 << 20))
    with pytest.raises(ResultsError, match="too large to be true"):
        fcnbench.score(record=place)


@FUZZ
@given(data=st.data())
def test_fuzzed_records_end_in_our_errors(place: Path, data: st.DataObject) -> None:
    whole = (place / RECORD_NAME).read_bytes()
    kind = data.draw(st.sampled_from(["bytes", "cut", "value"]))
    if kind == "value":
        content = json.loads(whole)
        holder: Any = content
        while True:
            key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))))
            if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
                break
            holder = holder[key]
        values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))
        holder[key] = data.draw(values)
        fuzzed = json.dumps(content).encode()
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        fuzzed = whole[:at] if kind == "cut" else whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    path = place / "fuzzed" / RECORD_NAME
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(fuzzed)
    path.with_name(MATRICES_NAME).write_bytes((place / MATRICES_NAME).read_bytes())
    with contextlib.suppress(FcnbenchError):
        fcnbench.score(record=path)
        load(path)


@FUZZ
@given(data=st.data())
def test_fuzzed_matrices_end_in_our_errors(place: Path, data: st.DataObject) -> None:
    whole = (place / MATRICES_NAME).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    path = place / "fuzzed" / RECORD_NAME
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((place / RECORD_NAME).read_bytes())
    path.with_name(MATRICES_NAME).write_bytes(
        whole[:at] if cut else whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    )
    with pytest.raises(ResultsError):
        load(path)
    with contextlib.suppress(FcnbenchError):
        assert fcnbench.score(record=path).mismatches  # the digest at least


# --- writing ---------------------------------------------------------------------------------------------------------


def write_again(root: Path, record_folder: Path) -> None:
    """Write a record beside an older one, and their board."""
    record = load(record_folder)
    save(replace(record, run="run-2", created="2"), root)
    build_board(root, "pocket")


def test_a_process_killed_at_any_write_leaves_whole_records_and_a_whole_board(place: Path, tmp_path: Path) -> None:
    root = tmp_path / "written"
    older = save(replace(load(place), run="run-1", created="1"), root).relative_to(root)
    board = build_board(root, "pocket").relative_to(root)
    numbers, rows = [], []
    for killed in kills_at_every_write(write_again, root, place):
        records = sorted(killed.folder.glob(f"submissions/*/*/[!.]*/{RECORD_NAME}"))
        assert killed.folder / older in records
        for path in records:
            assert fcnbench.score(record=path).mismatches == ()
        numbers.append(len(records))
        rows.append(len(fcnbench.read_board(killed.folder / board)))
        assert len(fcnbench.read_board(fcnbench.board(killed.folder)[0])) == len(records)
    # Both appear in one step each, the record first.
    assert numbers == sorted(numbers)
    assert rows == sorted(rows)
    assert set(zip(numbers, rows, strict=True)) == {(1, 1), (2, 1), (2, 2)}
