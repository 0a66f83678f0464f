"""The protocol's signature: short enough to quote, long enough to hold everything that can change a number."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench import protocol as protocol_module
from fcnbench.errors import UsageError
from fcnbench.protocol import ALWAYS, RULES_VERSION, Choices, Protocol, choices_of

SPLIT = "sha256:4ca991bd72c251fd2485eaa9e29536502ea3800d1b1c17c151fd6a04bcfbc2cc"

CHANGES: dict[str, Any] = {
    "dataset": "voc2012val",
    "images": 735,
    "total": 737,
    "classes": 20,
    "ignore": 254,
    "mean": "union",
    "infer": "long-side-512",
    "precision": "fp16",
    "modality": "hha",
    "labelling": "raw",
    "split": "sha256:" + "0" * 64,
    "variant": "VOC2011",
    "label_space": "voc20",
    "geo": "geo3",
}
"""Another value for every field of the protocol below but the version of the rules."""

KEYS = {
    "dataset": "data", "images": "data", "total": "data", "classes": "classes", "ignore": "ignore", "mean": "mean",
    "infer": "infer", "precision": "prec", "modality": "input", "labelling": "labels", "split": "split",
    "variant": "release", "label_space": "space", "geo": "geo",
}  # fmt: skip
"""The key of every field in a signature."""

OLD = "fcn|voc2011val#736|c21|ign255|abs:present|native|fp32|v1"
OLD_LONG = (
    "fcn|dataset=voc2011val|images=736|total=736|split=4ca991bd72c2|variant=VOC2012|labelling=|modality=rgb"
    "|label_space=voc21|geo=|classes=21|ignore=255|absent=present|resolution=native|precision=fp32|version=1"
)
"""The same protocol, as the first version of the rules wrote it."""


def protocol(**changes: Any) -> Protocol:
    """The papers' protocol in full, with some fields replaced."""
    fields: dict[str, Any] = {
        "dataset": "voc2011val", "images": 736, "total": 736, "split": SPLIT, "variant": "VOC2012",
        "labelling": "", "modality": "rgb", "label_space": "voc21", "geo": "", "classes": 21, "ignore": 255,
        "mean": "gt", "infer": "native", "precision": "fp32",
    }  # fmt: skip
    return Protocol(**(fields | changes))


def pairs(signature: str) -> dict[str, str]:
    head, *parts = signature.split("|")
    assert head == "fcn2"
    return dict(part.split(":", 1) for part in parts)


def test_the_short_signature_is_the_documented_one() -> None:
    assert protocol().signature() == "fcn2|data:voc2011val#736|classes:21|ignore:255|mean:gt|infer:native|prec:fp32"
    assert protocol().signature() in (protocol_module.__doc__ or "")


def test_usual_values_are_left_out_and_others_have_a_key() -> None:
    changed = protocol(labelling="gupta", modality="rgb+hha").signature()
    assert changed == protocol().signature() + "|input:rgb+hha|labels:gupta"


def test_every_short_signature_has_the_keys_that_are_always_there() -> None:
    assert tuple(pairs(protocol().signature())) == ALWAYS
    given = protocol(modality="files", infer="unknown", precision="unknown").signature()
    assert tuple(pairs(given)) == (*ALWAYS, "input")


def test_every_field_is_covered_by_these_tests() -> None:
    assert [*CHANGES, "version"] == [field.name for field in dataclasses.fields(Protocol)]


def test_the_long_signature_has_every_key_once_in_order() -> None:
    shown = pairs(protocol().signature(long=True))
    assert list(shown) == list(dict.fromkeys(KEYS[name] for name in CHANGES))
    assert shown["split"] == "4ca991bd72c2"
    assert (shown["release"], shown["space"], shown["input"], shown["labels"]) == ("VOC2012", "voc21", "rgb", "")


@pytest.mark.parametrize("name", CHANGES)
def test_changing_any_one_field_changes_its_key_of_the_long_signature_alone(name: str) -> None:
    changed = protocol(**{name: CHANGES[name]} | ({"images": 737} if name == "total" else {}))
    shown, before = pairs(changed.signature(long=True)), pairs(protocol().signature(long=True))
    assert [key for key in shown if shown[key] != before[key]] == [KEYS[name]]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("dataset", "data:voc2012val#736"),
        ("images", "data:voc2011val#735/736"),
        ("total", "data:voc2011val#736/737"),
        ("classes", "classes:20"),
        ("ignore", "ignore:254"),
        ("mean", "mean:union"),
        ("infer", "infer:long-side-512"),
        ("precision", "prec:fp16"),
    ],
)
def test_the_short_signature_shows_what_readers_compare(name: str, part: str) -> None:
    signature = protocol(**{name: CHANGES[name]}).signature()
    assert part in signature.split("|")
    assert len(signature.split("|")) == len(protocol().signature().split("|"))


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 0}, {"images": 737}, {"classes": 0}, {"classes": 256}, {"ignore": 256}, {"mean": "all"},
        {"version": 1}, {"dataset": ""}, {"dataset": "a|b"}, {"variant": "x|y"},
    ],
)  # fmt: skip
def test_a_protocol_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        protocol(**changes)


def test_a_part_of_a_split_says_so_in_both_forms() -> None:
    part = protocol(images=120)
    assert part.partial
    assert part.count == "120/736"
    for long in (False, True):
        assert pairs(part.signature(long))["data"] == "voc2011val#120/736"


def test_a_whole_split_is_no_part() -> None:
    assert not protocol().partial
    assert protocol().count == "736"


@pytest.mark.parametrize("long", [False, True])
def test_a_signature_is_one_line_and_the_same_every_time(long: bool) -> None:
    assert len(protocol().signature(long).splitlines()) == 1
    assert protocol().signature(long) == protocol().signature(long)


def test_values_are_printed_as_they_are_even_with_braces_and_colons() -> None:
    odd = protocol(dataset="a{classes}:b")
    assert odd.signature().split("|")[1] == "data:a{classes}:b#736"
    assert choices_of(odd.signature()).dataset == "a{classes}:b"


def test_a_new_option_changes_no_signature_of_runs_without_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Later(Protocol):
        flip: str = dataclasses.field(metadata={"key": "flip", "usual": "no", "long_only": False}, default="no")

    fields = {field.name: getattr(protocol(), field.name) for field in dataclasses.fields(Protocol)}
    assert Later(**fields).signature() == protocol().signature()
    assert Later(**fields, flip="yes").signature() == protocol().signature() + "|flip:yes"
    assert Later(**fields, flip="yes").departures(protocol().signature()) == ["flip is yes here, no in the signature"]


def test_a_protocol_cannot_be_changed_and_has_no_defaults() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol().mean = "union"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Protocol()  # type: ignore[call-arg]


def test_equal_protocols_are_equal_and_hash_alike() -> None:
    assert protocol() == protocol()
    assert len({protocol(), protocol(), protocol(ignore=254)}) == 2


def test_the_version_in_force_is_two() -> None:
    assert RULES_VERSION == 2


def test_it_is_part_of_the_public_surface() -> None:
    assert fcnbench.Protocol is Protocol


@pytest.mark.parametrize("long", [False, True])
def test_a_protocol_does_not_depart_from_its_own_signature(long: bool) -> None:
    given = {"modality": "files", "precision": "unknown", "infer": "unknown"}
    for changes in ({}, given, {"images": 120}, {"labelling": "raw"}):
        assert protocol(**changes).departures(protocol(**changes).signature(long)) == []


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_that_departs_is_said(name: str) -> None:
    changed = protocol(**{name: CHANGES[name]} | ({"images": 737} if name == "total" else {}))
    (said,) = protocol().departures(changed.signature(long=True))
    assert said.startswith(f"{KEYS[name]} is ")
    if changed.signature() != protocol().signature():
        assert protocol().departures(changed.signature())


@pytest.mark.parametrize("long", [False, True])
def test_what_a_signature_lets_choose_is_read_from_it(long: bool) -> None:
    given = protocol(dataset="nyudv2test", mean="union", images=3)
    assert choices_of(given.signature(long)) == Choices("nyudv2test", "union", given.precision)


@pytest.mark.parametrize("old", [OLD, OLD_LONG])
def test_signatures_of_the_first_version_are_read(old: str) -> None:
    assert choices_of(old) == Choices("voc2011val", "gt", "fp32")
    assert protocol().departures(old) == []
    assert protocol(mean="union").departures(old) == ["mean is union here, gt in the signature"]
    assert protocol(images=3).departures(old) == ["data is voc2011val#3/736 here, voc2011val#736 in the signature"]


@pytest.mark.parametrize(
    ("old", "changes"),
    [
        ("fcn|nyudv2test#654|gupta|rgb+hha|c40|ign255|abs:reference|native|bf16+compile|v1",
         {"dataset": "nyudv2test", "images": 654, "total": 654, "labelling": "gupta", "modality": "rgb+hha",
          "classes": 40, "mean": "union", "precision": "bf16+compile"}),
        ("fcn|voc2011val#5/736|files|c21|ign255|abs:present|native|v1",
         {"images": 5, "modality": "files", "infer": "unknown", "precision": "unknown"}),
        ("fcn|voc2011val#736|truth|c21|ign255|abs:present|native|fp32|v1", {"modality": "truth"}),
    ],
)  # fmt: skip
def test_every_kind_of_part_of_the_first_version_is_read(old: str, changes: dict[str, Any]) -> None:
    assert protocol(**changes).departures(old) == []
    assert protocol().departures(old)


def test_a_later_version_says_so() -> None:
    with pytest.raises(UsageError, match="a later version"):
        choices_of(protocol().signature().replace("fcn2", "fcn3"))


@pytest.mark.parametrize(
    "text",
    [
        "", "fcn", "hello", "fcn|pocket", "fcn|#3|abs:present", "fcn|pocket#64|abs:all", "|" * 99,
        "fcn2", "fcn2|data:pocket#64", "fcn2|pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32",
        "fcn2|data:pocket|classes:8|ignore:255|mean:gt|infer:native|prec:fp32",
        "fcn2|data:pocket#64|classes:8|ignore:255|mean:all|infer:native|prec:fp32",
        "fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp8",
        "fcn2|data:pocket#64|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32",
    ],
)  # fmt: skip
def test_what_is_not_a_signature_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a signature"):
        choices_of(text)


def test_a_signature_runs_again(tmp_path: Path) -> None:
    first = fcnbench.run(board=tmp_path, trials=0).record.protocol
    for long in (False, True):
        assert fcnbench.run(board=tmp_path, trials=0, signature=first.signature(long)).record.protocol == first
    other = fcnbench.run(board=tmp_path, trials=0, signature=first.signature().replace("mean:gt", "mean:union")).record
    assert other.protocol.mean == "union"
    assert other.all_scores() == other.all_scores("union")
    board = fcnbench.read_board(tmp_path / "leaderboards/v1/pocket.csv")
    assert set(board["signature"]) == {first.signature(), other.protocol.signature()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("prec:fp32", "prec:fp32|flip:yes"), "flip is not set here, yes in the signature"),
        (("#64", "#5/64"), "give the --limit or the --from"),
        (("|prec", "|input:hha|prec"), "input is rgb here, hha in the signature"),
        (("native", "long-side-512"), "infer is native here, long-side-512 in the signature"),
        (("classes:8", "classes:9"), "classes is 8 here, 9 in the signature"),
    ],
)
def test_what_can_not_be_reproduced_is_named(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    signature = "fcn2|data:pocket#64|classes:8|ignore:255|mean:gt|infer:native|prec:fp32".replace(*change)
    with pytest.raises(UsageError, match=re.escape(said)):
        fcnbench.run(board=tmp_path, signature=signature)
    assert not (tmp_path / "submissions").exists()


def test_a_part_runs_again_with_the_same_limit(tmp_path: Path) -> None:
    part = fcnbench.run(board=tmp_path, limit=2).record.protocol
    assert fcnbench.run(board=tmp_path, limit=2, signature=part.signature()).record.protocol == part
    with pytest.raises(UsageError, match="--dataset voc2011val is not the dataset"):
        fcnbench.run(dataset="voc2011val", signature=part.signature())
