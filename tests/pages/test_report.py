"""The report of a run: everything in the record is in it, and a browser shows it without errors."""

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import PredictionError, UsageError
from fcnbench.pages.report import build, image_scores
from fcnbench.records.files import load
from tests.conftest import record_of


@pytest.fixture
def page(runs: Path, tmp_path: Path) -> Path:
    return fcnbench.report(
        record_of(runs, "fcn8s-pocket"), predictions=runs / "predictions/fcn8s-pocket", output=tmp_path / "report.html"
    )


def test_the_file_is_self_contained_and_has_the_values_of_the_record(page: Path, runs: Path) -> None:
    text, record = page.read_text(), load(record_of(runs, "fcn8s-pocket"))
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"<(script|link)[^>]+(src|href)=", text)
    for said in (
        record.protocol.signature(), "91.89", "89.1 to 94.1", record.model.weights_digest, record.predictions,
        record.environment.decoder, record.run, "forward at 500x500", "star",
    ):  # fmt: skip
        assert said in text
    assert text.count("data:image/jpeg;base64,") == 2 * 6 * 4


def test_a_browser_shows_it(page: Path, browse: Any) -> None:
    shown = browse(page)
    assert shown.locator("h1").inner_text() == "fcn8s-pocket on pocket"
    cells = shown.locator("table.heat td[title]")
    assert cells.count() == 64
    assert "disk as disk:" in cells.nth(9).get_attribute("title")
    assert shown.locator(".examples img").count() == 48
    assert shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert shown.locator("polyline").count() == 2
    backgrounds = [
        browse(page, dark=dark).evaluate("getComputedStyle(document.body).backgroundColor") for dark in (0, 1)
    ]
    assert backgrounds[0] != backgrounds[1]


def test_second_label_maps_have_a_chart_of_their_own(runs: Path, tmp_path: Path) -> None:
    record = fcnbench.score(runs / "predictions/fcn8s-pocket", "pocket", trimap=True, board=tmp_path).record
    first = record.evaluation.counts["trimap"]
    second = replace(first, spec=replace(first.spec, name="geo_trimap", label_maps="geo"), values=first.values * 2)
    counts = {**record.evaluation.counts, "geo_trimap": second}
    page = build(replace(record, evaluation=replace(record.evaluation, counts=counts)))
    assert re.findall("<h2>(Near .*)</h2>", page) == [
        "Near outlines", "Near outlines of the second label maps (geo)",
    ]  # fmt: skip
    assert "not run: the label maps were given as files" in page
    assert page.count("<polyline") == build(record).count("<polyline") + 2 == 4


def test_it_fits_a_phone(page: Path, browse: Any) -> None:
    assert browse(page, width=360).evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_screen_reader_can_use_it(page: Path, browse: Any) -> None:
    shown = browse(page)
    assert shown.evaluate("document.documentElement.lang") == "en"
    assert shown.evaluate("[...document.images].every(image => image.alt)")
    assert shown.evaluate("[...document.querySelectorAll('svg')].every(svg => svg.getAttribute('aria-label'))")
    levels = shown.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(head => Number(head.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_it_prints(page: Path, browse: Any, tmp_path: Path) -> None:
    browse(page).pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_without_predictions_it_says_how_to_show_images(runs: Path, tmp_path: Path) -> None:
    path = fcnbench.report(record_of(runs, "fcn8s-pocket"), output=tmp_path / "r.html")
    assert "--predictions DIR" in path.read_text()
    assert "data:image" not in path.read_text()


def test_names_are_escaped(runs: Path) -> None:
    record = load(record_of(runs, "fcn8s-pocket"))
    odd = replace(record, model=replace(record.model, name="<script>alert(1)</script>"))
    assert "<script>alert" not in build(odd)
    assert "&lt;script&gt;alert" in build(odd)


def test_images_are_ordered_by_their_own_mean_iu(runs: Path) -> None:
    record = load(record_of(runs, "fcn8s-pocket"))
    found = image_scores(record)
    matrix = record.evaluation.matrices[5]
    hits, true, predicted = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    present = true > 0
    assert found[5] == pytest.approx((hits / np.maximum(true + predicted - hits, 1))[present].mean())
    text = build(record, examples=2)
    order = [record.evaluation.ids[index] for index in np.argsort(found, kind="stable")]
    assert re.findall(r"<b>(val-\d+)</b>", text) == [order[0], order[1], order[-1], order[-2]]


def test_other_predictions_are_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="not those that the record names"):
        fcnbench.report(
            record_of(runs, "fcn8s-pocket"), predictions=runs / "predictions/fcn32s-pocket", output=tmp_path / "r.html"
        )
    assert not (tmp_path / "r.html").exists()


def test_zero_examples_are_allowed_and_negative_ones_are_refused(runs: Path, tmp_path: Path) -> None:
    path = fcnbench.report(record_of(runs, "fcn8s-pocket"), examples=0, output=tmp_path / "r.html")
    assert "<b>val-" not in path.read_text()
    with pytest.raises(UsageError, match="--examples -1 is negative"):
        fcnbench.report(record_of(runs, "fcn8s-pocket"), examples=-1)


def test_a_part_of_a_split_is_marked(tmp_path: Path) -> None:
    run = fcnbench.run(board=tmp_path, limit=3)
    assert "A part: 3/64 images" in fcnbench.report(run.path, output=tmp_path / "r.html").read_text()


def test_the_command_names_the_file(
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(record_of(runs, "fcn8s-pocket"))]) == 0
    assert capsys.readouterr().out.strip() == "report-fcn8s-pocket-pocket.html"
    assert (tmp_path / "report-fcn8s-pocket-pocket.html").is_file()
    shutil.rmtree(runs)
    assert main(["report", str(runs)]) == 3


def test_a_notebook_shows_a_run_as_a_table(tmp_path: Path) -> None:
    shown = fcnbench.run(board=tmp_path, limit=2)._repr_html_()
    assert shown.startswith("<table>")
    assert "2/64 images" in shown
    assert "Mean IU" in shown


def test_training_images_and_unlisted_splits_are_marked(runs: Path) -> None:
    record = load(record_of(runs, "fcn8s-pocket"))
    leaking = replace(record, leakage=replace(record.leakage, ids=("val-0000", "val-0001")))
    assert "Leakage: the model declares that it was trained on 2 of these images" in build(leaking)
    unlisted = replace(record, leakage=replace(record.leakage, unlisted=("sbdtrain",)))
    assert "Leakage not ruled out: trained on sbdtrain" in build(unlisted)
    assert "Leakage" not in build(record)
