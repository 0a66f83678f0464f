"""The file of a device report: what it holds, and what is refused with the name of the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fcnbench.errors import ResultsError
from fcnbench.records.device_report import DeviceReport, PocketCheck, read_report, schema
from fcnbench.records.schema import ScoreEntry
from fcnbench.records.serial import to_json
from fcnbench.util import files

Content = dict[str, Any]
Keys = tuple[str | int, ...]
EXAMPLE = Path(__file__).parent / "device-report-1.json"
"""A report in format 1."""


def content_of_example() -> Content:
    content: Content = json.loads(EXAMPLE.read_text())
    return content


def is_valid(content: Content) -> bool:
    """Return whether another validator accepts a content."""
    return jsonschema.Draft202012Validator(schema()).is_valid(content)


def test_a_report_of_format_1_is_read_and_written_again_byte_by_byte(tmp_path: Path) -> None:
    report = read_report(EXAMPLE)
    assert isinstance(report, DeviceReport)
    assert report.check.sound
    assert report.check.scores.mean_iu == pytest.approx(0.9189, abs=5e-5)
    assert report.environment.device_check is not None
    assert [(each.network, each.precision, each.median) for each in report.forward][:2] == [
        ("fcn8s-pocket", "fp32", 61.2733),
        ("fcn8s-pocket", "bf16", 192.9082),
    ]
    assert [each.ratio for each in report.loop] == [1.0509, 1.1944]
    assert report.flips["fp32"].flips == {"second run": 0, "batch of 2": None, "one thread": 0, "plain fp32": 0}
    files.write_json(tmp_path / "again.json", to_json(report))
    assert (tmp_path / "again.json").read_bytes() == EXAMPLE.read_bytes()


def test_the_schema_is_valid_and_accepts_a_report() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(content_of_example(), schema(), jsonschema.Draft202012Validator)


def fields_of(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """Yield the keys that lead to every field below a value, in lists to those of the first item."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from fields_of(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:1]):
            yield from fields_of(inner, (*path, index))


def holder_of(content: Content, path: Keys) -> Content:
    """Return the object that holds a field."""
    holder: Any = content
    for key in path[:-1]:
        holder = holder[key]
    found: Content = holder
    return found


FREE = ("clocks", "packages", "flips")
"""Objects whose keys are not the format's; `flips` of a forward pass is a number."""

FIELDS = [path for path in fields_of(content_of_example()) if len(path) < 2 or path[-2] not in FREE]


def refusal_of(target: Path, content: Content) -> str:
    """Return the sentence by which a content is refused."""
    target.write_text(json.dumps(content))
    with pytest.raises(ResultsError) as caught:
        read_report(target)
    assert caught.value.exit_code == 3
    assert caught.value.message.startswith(f"{target} is not a device report of format 1: ")
    return caught.value.message


def test_a_field_of_another_type_is_named(tmp_path: Path) -> None:
    for path in FIELDS:
        content = content_of_example()
        holder_of(content, path)[str(path[-1])] = [{}]
        assert re.search(rf"at `\$.*\b{path[-1]}\b", refusal_of(tmp_path / "report.json", content)), path
        assert not is_valid(content), path
    assert len(FIELDS) > 60


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    required = [path for path in FIELDS if path != ("environment", "device_check")]
    for path in required:
        content = content_of_example()
        del holder_of(content, path)[str(path[-1])]
        assert f"`{path[-1]}`" in refusal_of(tmp_path / "report.json", content), path
        assert not is_valid(content), path


def test_an_added_field_is_named(tmp_path: Path) -> None:
    for path in FIELDS:
        content = content_of_example()
        holder_of(content, path)["surprise"] = 1
        assert "surprise: a newer fcnbench may have written it" in refusal_of(tmp_path / "report.json", content), path
        assert not is_valid(content), path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.update(format=2), "`$.format`"),
        (lambda content: content.update(seconds=0), "`$.seconds`"),
        (lambda content: content["environment"].update(cores=-1), "`$.environment.cores`"),
        (lambda content: content["environment"]["clocks"].update(mains=1), "`$.environment.clocks[...]`"),
        (lambda content: content["check"]["confusion"][1].append(-1), "`$.check.confusion[1][8]`"),
        (lambda content: content["check"]["scores"].update(mean_iu=1.5), "`$.check.scores.mean_iu`"),
        (lambda content: content["forward"][1].update(precision="fp64"), "`$.forward[1].precision`"),
        (lambda content: content["forward"][1].update(milliseconds=[]), "`$.forward[1].milliseconds`"),
        (lambda content: content["forward"][1].update(of_ceiling=-0.1), "`$.forward[1].of_ceiling`"),
        (lambda content: content["loop"][0].update(forward_seconds=0), "`$.loop[0].forward_seconds`"),
        (lambda content: content["flips"]["bf16"].update(pixels=-1), "`$.flips[...].pixels`"),
        (lambda content: content["flips"]["fp32"]["flips"].update({"one thread": -1}), "`$.flips[...].flips[...]`"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_reader_and_by_the_schema(
    tmp_path: Path, change: Callable[[Content], object], says: str
) -> None:
    content = content_of_example()
    change(content)
    assert says in refusal_of(tmp_path / "report.json", content)
    assert not is_valid(content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content["check"].update(sound=False), "sound does not follow from the pixels that differ"),
        (lambda content: content["check"].update(from_cpu=201), "sound does not follow from the pixels that differ"),
        (lambda content: content["forward"][1].update(median=1.0), "the statistics do not follow from the samples"),
        (lambda content: content["loop"][1].update(ratio=1.0), "ratio does not follow from the times"),
        (lambda content: content["flips"].update(fp64=content["flips"]["bf16"]), "`key` in `$.flips`"),
    ],
)
def test_what_contradicts_the_rest_of_a_report_is_refused(
    tmp_path: Path, change: Callable[[Content], object], says: str
) -> None:
    content = content_of_example()
    change(content)
    assert says in refusal_of(tmp_path / "report.json", content)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": 1, "seconds": NaN}', "\xff"])
def test_a_file_that_is_not_a_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ResultsError, match="not a device report of format 1"):
        read_report(path)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"report\.json is not a device report of format 1: .*No such file"):
        read_report(tmp_path / "report.json")


def test_pixels_beyond_near_ties_are_not_sound() -> None:
    scores = ScoreEntry(1.0, 1.0, 1.0, 1.0)

    def check(from_golden: int, from_cpu: int, sound: bool) -> PocketCheck:
        return PocketCheck("m", "d", 1, 1, (), from_golden, from_cpu, scores, scores, 200, sound)

    for from_golden, from_cpu, sound in [(200, 200, True), (201, 0, False), (0, 201, False)]:
        assert check(from_golden, from_cpu, sound).sound == sound
        with pytest.raises(ValueError, match="sound does not follow"):
            check(from_golden, from_cpu, not sound)
