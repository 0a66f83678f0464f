"""Parts of a record that must fit each other: second label maps, counts, digests."""

import json
from collections.abc import Callable

import pytest

from fcnbench.records import json as record_json
from fcnbench.records.consistency import check_consistent
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import from_json, to_json
from fcnbench.records.upgrade import upgraded, upgraded_arrays
from tests.records.format_1 import Content, format_1

OTHER = "sha256:" + "0" * 64

SECOND: dict[str, Callable[[Content], object]] = {
    "the predictions of geo are not those of the images": lambda c: c["predictions"]["maps"].update(
        geo={"b": OTHER, "c": OTHER}
    ),
    "have no matrices": lambda c: (
        c["counts"].pop("geo_confusion"),
        c["predictions"]["maps"].update(geo=c["predictions"]["maps"]["labels"]),
    ),
    "the count geo_confusion is not of the label space 'geo2'": lambda c: c["geo_classes"].append("more"),
    "the second label space and its classes do not fit": lambda c: c["geo_classes"].clear(),
}


@pytest.mark.parametrize("says", SECOND)
def test_second_label_maps_that_do_not_fit_are_refused(says: str) -> None:
    content = to_json(from_json(upgraded(format_1()[0]), RecordFile))
    SECOND[says](content)
    with pytest.raises(ValueError, match=says):
        check_consistent(from_json(content, RecordFile))


def test_the_order_of_the_names_in_a_record_means_nothing() -> None:
    content = to_json(from_json(upgraded(format_1()[0]), RecordFile))
    content["predictions"]["maps"]["geo"] = content["predictions"]["maps"]["labels"]
    _, arrays = format_1()
    sorted_content = json.loads(json.dumps(content, sort_keys=True))
    records = []
    for each in (content, sorted_content):
        file = from_json(each, RecordFile)
        records.append(record_json.record_of(file, upgraded_arrays(arrays, file.counts)))
    assert list(sorted_content["predictions"]["maps"]) == ["geo", "labels"]
    assert records[0].predictions == records[1].predictions
