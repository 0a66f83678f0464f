"""Records on disk: the schema is the truth, damage is one of our errors, and a kill leaves the old files."""

import contextlib
import io
import json
import warnings
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
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME, load, read_file, save, schema
from fcnbench.records.json import file_of
from fcnbench.records.serial import to_json
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
        lambda content: content.update(run=".."),
        lambda content: content.update(run=".hidden"),
        lambda content: content.update(run=f"{content['run']}\n"),
        lambda content: content.update(run="a" * 300),
        lambda content: content.update(created="yesterday"),
        lambda content: content.update(surprise=None),
        lambda content: content["data"].update(labels=f"{content['data']['labels']}\n"),
        lambda content: content["model"].update(name="\ud800"),
        lambda content: content["leakage"].update(listed=-1),
        lambda content: content["protocol"].update(split=f"{content['protocol']['split']} "),
        lambda content: content["execution"].update(batch=0),
        lambda content: content["execution"].update(processes=-1),
        lambda content: content["execution"].update(peak_memory=-1),
        lambda content: content["execution"].update(peak_memory=2**63),
        lambda content: content.update(reproducibility={"images": 1, "pixels": 1, "flips": {"second run": -1}}),
        lambda content: content["counts"]["confusion"].update(label_maps="geo"),
        lambda content: content["counts"]["confusion"].update(label_space="voc21"),
        lambda content: content["counts"]["near_ties"].update(label_maps="others"),
        lambda content: content["counts"]["near_ties"]["axes"]["below"].reverse(),
        lambda content: content["timing"]["samples"]["decode"].pop(),
        lambda content: content["timing"]["samples"].update(prepare=[]),
        lambda content: content["timing"]["samples"].update(pause=[1.0] * 64),
        lambda content: content["timing"]["samples"].update(forward=[1e308] * 64),
        lambda content: content.update(geo_classes=["low", "high"]),
        lambda content: content["predictions"]["maps"].update(geo=content["predictions"]["maps"]["labels"]),
        lambda content: content["predictions"]["maps"].update(others=content["predictions"]["maps"]["labels"]),
    ],
)
def test_what_the_schema_or_the_signature_forbids_is_refused(place: Path, change: Callable[[Content], object]) -> None:
    with pytest.raises(ResultsError, match=r"the record .* is unusable"):
        load(edited(place, change))


def test_a_name_that_is_there_twice_is_refused(place: Path) -> None:
    """Another reader of the file might take the first one."""
    text = (place / RECORD_NAME).read_text()
    (place / RECORD_NAME).write_text(text.replace('"mean_iu": ', '"mean_iu": 0.999, "mean_iu": ', 1))
    with pytest.raises(ResultsError, match="the key 'mean_iu' occurs twice"):
        load(place)


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
        lambda arrays: arrays.update(confusion=np.full_like(arrays["confusion"], 2**62)),
        lambda arrays: arrays.update(near_ties=np.full_like(arrays["near_ties"], 2**62)),
    ],
)
def test_arrays_that_are_not_the_records_are_refused(place: Path, change: Callable[[Any], object]) -> None:
    arrays = arrays_of(place)
    change(arrays)
    np.savez_compressed(place / MATRICES_NAME, **arrays)
    with pytest.raises(ResultsError):
        fcnbench.score(record=place)


def test_files_beside_the_arrays_and_arrays_that_are_there_twice_are_refused(place: Path) -> None:
    packed = (place / MATRICES_NAME).read_bytes()
    for name, says in (("README", "something else than arrays: README"), ("ids.npy", "holds an array twice")):
        (place / MATRICES_NAME).write_bytes(packed)
        with warnings.catch_warnings(), zipfile.ZipFile(place / MATRICES_NAME, "a") as archive:
            warnings.simplefilter("ignore")  # zipfile names the second entry of a name
            archive.writestr(name, archive.read("ids.npy") if name == "ids.npy" else b"read me")
        with pytest.raises(ResultsError, match=says):
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
    save(replace(record, run="run-2", created="2026-01-01T00:00:02+00:00"), root)
    build_board(root, "pocket")


def test_a_process_killed_at_any_write_leaves_whole_records_and_a_whole_board(place: Path, tmp_path: Path) -> None:
    root = tmp_path / "written"
    older = save(replace(load(place), run="run-1", created="2026-01-01T00:00:01+00:00"), root).relative_to(root)
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
