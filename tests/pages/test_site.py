"""The board pages in a browser: sorting, filters, links, comparison, a phone, dark mode, the keyboard."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataMissing
from fcnbench.leaderboard.board import board_path
from fcnbench.records.files import RECORD_NAME
from tests.committed import committed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fcnbench.board_pages(tmp_path_factory.mktemp("site"), committed()).parent


def names(page: Any) -> list[str]:
    return list(page.locator("#board tbody tr:not([hidden]) th").all_inner_texts())


def test_every_link_leads_to_a_page_and_every_page_is_linked(site: Path, browse: Any) -> None:
    seen, waiting = set(), ["index.html"]
    page = browse(site / "index.html")
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            page.goto((site / name).as_uri())
            assert page.locator("h1").count() == 1
            links = page.evaluate("[...document.links].map(link => link.getAttribute('href'))")
            waiting += [link for link in links if not link.startswith("#")]
    assert seen == {path.name for path in site.iterdir()}


def test_columns_sort_both_ways_and_are_labelled_with_the_order(site: Path, browse: Any) -> None:
    page = browse(site / "board-pocket.html")
    assert names(page) == ["fcn8s-pocket", "fcn16s-pocket", "fcn32s-pocket"]
    head = page.locator("th", has=page.get_by_role("button", name="mean IU"))
    assert head.get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="mean IU").click()
    assert names(page) == ["fcn32s-pocket", "fcn16s-pocket", "fcn8s-pocket"]
    assert head.get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="model").click()
    assert names(page) == ["fcn16s-pocket", "fcn32s-pocket", "fcn8s-pocket"]
    assert head.get_attribute("aria-sort") == "none"
    page.get_by_role("button", name="rank").focus()
    page.keyboard.press("Enter")
    assert names(page)[0] == "fcn8s-pocket"


def test_rows_without_a_value_sort_last_either_way(site: Path, browse: Any) -> None:
    page = browse(site / "board-voc2011val.html")
    for _ in range(2):
        page.get_by_role("button", name="f.w. IU").click()
        empty = page.evaluate("[...document.querySelectorAll('#board tbody tr')].map(row => row.dataset.fw_iu === '')")
        assert empty == sorted(empty)
        assert any(empty)


def test_filters_narrow_the_rows_and_count_them(site: Path, browse: Any) -> None:
    page = browse(site / "board-voc2011val.html")
    page.get_by_label("Search").fill("scored again")
    assert len(names(page)) == 7
    assert page.get_by_role("status").inner_text() == "7 of 18 rows"
    page.get_by_label("Family").select_option("upper")
    assert names(page) == []
    page.get_by_label("Search").fill("")
    assert len(names(page)) == 6
    page.get_by_label("Family").select_option("")
    page.get_by_label("Tier").select_option("rerun")
    assert names(page) == []


def test_two_runs_are_compared(site: Path, browse: Any) -> None:
    page = browse(site / "compare.html")
    rows = dict(row.split("\t", 1) for row in page.locator("#scores tbody tr").all_inner_texts())
    assert rows["mean_iu"].endswith("-13.19")
    assert page.locator("#classes tbody tr").first.inner_text().startswith("stick")
    page.locator("#second").select_option(index=0)
    rows = dict(row.split("\t", 1) for row in page.locator("#scores tbody tr").all_inner_texts())
    assert rows["mean_iu"].endswith("0.00")


def test_speed_is_charted_per_machine_with_the_papers_points(site: Path, browse: Any) -> None:
    page = browse(site / "speed.html")
    assert page.locator("svg circle").count() == 3
    assert page.locator("svg path.paper").count() == 3
    assert "210" in page.locator("table").last.inner_text()
    labels = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(text => text.getBoundingClientRect().toJSON())"
    )
    for index, one in enumerate(labels):
        for other in labels[index + 1 :]:
            apart = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert apart or one["bottom"] <= other["top"] + 4 or other["bottom"] <= one["top"] + 4


@pytest.mark.parametrize(
    "name", ["index", "board-pocket", "board-voc2011val", "model-fcn8s-pocket", "speed", "compare"]
)
def test_pages_fit_a_phone_and_dark_mode(site: Path, browse: Any, name: str) -> None:
    path = site / f"{name}.html"
    assert browse(path, width=360, dark=True).evaluate("document.documentElement.scrollWidth <= innerWidth")
    colours = [browse(path, dark=dark).evaluate("getComputedStyle(document.body).color") for dark in (False, True)]
    assert colours[0] != colours[1]


def test_the_accessibility_tree_is_sane(site: Path, browse: Any) -> None:
    page = browse(site / "board-pocket.html")
    tree = page.locator("body").aria_snapshot()
    for text in ('navigation "Pages"', 'heading "pocket"', 'searchbox "Search"', 'columnheader "mean IU', "rowheader"):
        assert text in tree
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"


def test_a_thousand_rows_are_quick(tmp_path: Path, browse: Any) -> None:
    source = next((committed() / "submissions/fcn8s-pocket/pocket").glob("2*"))
    content = json.loads((source / RECORD_NAME).read_text())
    for number in range(1000):
        content["run"] = f"run-{number:04d}"
        content["scores"]["gt"]["mean_iu"] = 0.9 - number / 10_000
        folder = tmp_path / f"submissions/model-{number % 50}/pocket/run-{number:04d}"
        folder.mkdir(parents=True)
        content["model"]["name"] = f"model-{number % 50}"
        (folder / RECORD_NAME).write_text(json.dumps(content))
    fcnbench.board(tmp_path)
    page = browse(fcnbench.board_pages(tmp_path / "site", tmp_path).with_name("board-pocket.html"))
    started = time.monotonic()
    page.get_by_role("button", name="model").click()
    page.get_by_label("Search").fill("model-7")
    assert len(names(page)) == 20
    assert time.monotonic() - started < 5  # a hanging page, not a measurement


def test_odd_names_are_escaped(tmp_path: Path, browse: Any) -> None:
    source = next((committed() / "submissions/fcn8s-pocket/pocket").glob("2*"))
    content = json.loads((source / RECORD_NAME).read_text())
    content["model"]["name"] = "</script><script>document.title='taken'</script>\"'&"
    folder = tmp_path / "submissions/odd/pocket/run"
    folder.mkdir(parents=True)
    (folder / RECORD_NAME).write_text(json.dumps(content))
    fcnbench.board(tmp_path)
    index = fcnbench.board_pages(tmp_path / "site", tmp_path)
    for path in index.parent.iterdir():
        assert browse(path).title() != "taken"


def test_the_command_writes_the_site_and_says_when_there_is_no_board(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", "html", "--board", str(committed()), "--output", str(tmp_path / "s"), "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["index"]).is_file()
    with pytest.raises(DataMissing, match="holds neither a board"):
        fcnbench.board_pages(tmp_path / "s2", tmp_path)
    assert board_path(committed(), "pocket").is_file()
