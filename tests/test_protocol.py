"""The protocol's signature: short enough to quote, long enough to hold everything that can change a number."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.errors import UsageError
from fcnbench.protocol import RULES_VERSION, Choices, Protocol, choices_of

SPLIT = "sha256:4ca991bd72c251fd2485eaa9e29536502ea3800d1b1c17c151fd6a04bcfbc2cc"

CHANGES: dict[str, Any] = {
    "dataset": "voc2012val",
    "images": 735,
    "total": 737,
    "split": "sha256:" + "0" * 64,
    "variant": "VOC2011",
    "labelling": "raw",
    "modality": "hha",
    "label_space": "voc20",
    "geo": "geo3",
    "classes": 20,
    "ignore": 254,
    "absent": "reference",
    "resolution": "long-side-512",
    "precision": "fp16",
    "version": 2,
}
"""Another value for every field of the protocol below."""


def protocol(**changes: Any) -> Protocol:
    """The paper's task in full, with some fields replaced."""
    fields: dict[str, Any] = {
        "dataset": "voc2011val", "images": 736, "total": 736, "split": SPLIT, "variant": "VOC2012",
        "labelling": "", "modality": "rgb", "label_space": "voc21", "geo": "", "classes": 21, "ignore": 255,
        "absent": "present", "resolution": "native", "precision": "fp32", "version": 1,
    }  # fmt: skip
    return Protocol(**(fields | changes))


def long_fields(signature: str) -> dict[str, str]:
    head, *pairs = signature.split("|")
    assert head == "fcn"
    return dict(pair.split("=", 1) for pair in pairs)


def test_the_short_signature_is_the_documented_one() -> None:
    assert protocol().signature() == "fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1"


def test_what_is_usual_goes_without_saying_and_the_rest_is_said() -> None:
    changed = protocol(labelling="gupta", modality="rgb+hha").signature()
    assert changed == "fcn|voc2011val#736|gupta|rgb+hha|c21|ign255|abs:present|native|fp32|v1"


def test_the_documented_example_is_the_one_in_the_docstring() -> None:
    assert f"`{protocol().signature()}`" in (Protocol.signature.__doc__ or "")


def test_every_field_is_covered_by_these_tests() -> None:
    assert list(CHANGES) == [field.name for field in dataclasses.fields(Protocol)]


def test_the_long_signature_shows_every_field_once_in_order() -> None:
    shown = long_fields(protocol().signature(long=True))
    assert list(shown) == [field.name for field in dataclasses.fields(Protocol)]
    assert shown["split"] == "4ca991bd72c2"
    for name, value in shown.items():
        if name != "split":
            assert value == str(getattr(protocol(), name))


@pytest.mark.parametrize("name", CHANGES)
def test_changing_any_one_field_changes_the_long_signature(name: str) -> None:
    changed = protocol(**{name: CHANGES[name]})
    assert changed.signature(long=True) != protocol().signature(long=True)
    shown, before = long_fields(changed.signature(long=True)), long_fields(protocol().signature(long=True))
    assert [key for key in shown if shown[key] != before[key]] == [name]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("dataset", "voc2012val#736"),
        ("images", "voc2011val#735/736"),
        ("total", "voc2011val#736/737"),
        ("classes", "c20"),
        ("ignore", "ign254"),
        ("absent", "abs:reference"),
        ("resolution", "long-side-512"),
        ("precision", "fp16"),
        ("version", "v2"),
    ],
)
def test_the_short_signature_shows_what_readers_compare(name: str, part: str) -> None:
    signature = protocol(**{name: CHANGES[name]}).signature()
    assert part in signature.split("|")
    assert len(signature.split("|")) == len(protocol().signature().split("|"))


def test_a_part_of_a_split_says_so_in_both_forms() -> None:
    part = protocol(images=120)
    assert part.partial
    assert part.count == "120/736"
    assert "voc2011val#120/736" in part.signature().split("|")
    shown = long_fields(part.signature(long=True))
    assert (shown["images"], shown["total"]) == ("120", "736")


def test_a_whole_split_is_no_part() -> None:
    assert not protocol().partial
    assert protocol().count == "736"


@pytest.mark.parametrize("long", [False, True])
def test_a_signature_is_one_line_and_the_same_every_time(long: bool) -> None:
    assert len(protocol().signature(long).splitlines()) == 1
    assert protocol().signature(long) == protocol().signature(long)


def test_values_are_printed_as_they_are_even_with_braces() -> None:
    assert protocol(dataset="a{classes}b").signature().split("|")[1] == "a{classes}b#736"


def test_a_field_that_is_added_later_shows_without_anybody_thinking_of_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Later(Protocol):
        flip: bool = dataclasses.field(metadata={"short": "flip:{flip}"}, default=True)

    fields = {field.name: getattr(protocol(), field.name) for field in dataclasses.fields(Protocol)}
    assert Later(**fields).signature().endswith("|v1|flip:True")
    assert Later(**fields).signature(long=True).endswith("|version=1|flip=True")


def test_a_protocol_cannot_be_changed_and_has_no_defaults() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol().absent = "reference"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Protocol()  # type: ignore[call-arg]


def test_equal_protocols_are_equal_and_hash_alike() -> None:
    assert protocol() == protocol()
    assert len({protocol(), protocol(), protocol(version=2)}) == 2


def test_the_version_in_force_is_one() -> None:
    assert RULES_VERSION == 1


def test_it_is_part_of_the_public_surface() -> None:
    assert fcnbench.Protocol is Protocol


@pytest.mark.parametrize("long", [False, True])
def test_a_protocol_does_not_depart_from_its_own_signature(long: bool) -> None:
    for changes in ({}, {"modality": "files", "precision": ""}, {"images": 120}, {"labelling": "raw"}):
        assert protocol(**changes).departures(protocol(**changes).signature(long)) == []


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_that_departs_is_said(name: str) -> None:
    changed = protocol(**{name: CHANGES[name]})
    (said,) = protocol().departures(changed.signature(long=True))
    assert said.startswith(f"{name} is ")
    if changed.signature() != protocol().signature():
        assert protocol().departures(changed.signature())


@pytest.mark.parametrize("long", [False, True])
def test_what_a_signature_lets_choose_is_read_from_it(long: bool) -> None:
    given = protocol(dataset="nyudv2test", absent="reference", images=3)
    assert choices_of(given.signature(long)) == Choices("nyudv2test", "reference", given.precision)


@pytest.mark.parametrize(
    "text", ["", "fcn", "hello", "fcn|pocket", "fcn|#3|abs:present", "fcn|pocket#64|abs:all", "|" * 99]
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no signature"):
        choices_of(text)


def test_a_signature_runs_again(tmp_path: Path) -> None:
    first = fcnbench.run(board=tmp_path, trials=0).record.protocol
    for long in (False, True):
        assert fcnbench.run(board=tmp_path, trials=0, signature=first.signature(long)).record.protocol == first
    other = fcnbench.run(board=tmp_path, trials=0, signature=first.signature().replace("present", "reference")).record
    assert other.protocol.absent == "reference"
    assert other.all_scores() == other.all_scores("reference")
    board = fcnbench.read_board(tmp_path / "leaderboards/v1/pocket.csv")
    assert set(board["signature"]) == {first.signature(), other.protocol.signature()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("fp32", "fp8"), "'fp8' is not so here"),
        (("v1", "v2"), "'v2' is not so here"),
        (("#64", "#5/64"), "give the --limit or the --from"),
        (("|c8", "|hha|c8"), "'hha' is not so here"),
        (("native", "long-side-512"), "'long-side-512' is not so here"),
    ],
)
def test_what_can_not_be_reproduced_is_named(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    signature = "fcn|pocket#64|c8|ign255|abs:present|native|fp32|v1".replace(*change)
    with pytest.raises(UsageError, match=re.escape(said)):
        fcnbench.run(board=tmp_path, signature=signature)
    assert not (tmp_path / "submissions").exists()


def test_a_part_runs_again_with_the_same_limit(tmp_path: Path) -> None:
    part = fcnbench.run(board=tmp_path, limit=2).record.protocol
    assert fcnbench.run(board=tmp_path, limit=2, signature=part.signature()).record.protocol == part
    with pytest.raises(UsageError, match="--dataset voc2011val is not the data set"):
        fcnbench.run(dataset="voc2011val", signature=part.signature())
