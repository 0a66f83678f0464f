"""The drift gate: identical, noise, drift; and what it leaves for people and for CI servers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import junitparser
import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.comparison.drift import Allowance, judge
from fcnbench.comparison.drift_report import github_lines, junit, markdown, text
from fcnbench.errors import DataMissing, ResultsError, UsageError
from fcnbench.metrics.counts import CountSpec
from fcnbench.records.evaluation import Counted
from fcnbench.records.files import load
from fcnbench.records.model import Record
from tests import counts
from tests.conftest import record_of


@pytest.fixture
def fine(runs: Path) -> Record:
    return load(record_of(runs, "fcn8s-pocket"))


def flipped(record: Record, pixels: int) -> Record:
    """The same run with so many right background pixels of the first image taken for class 1."""
    matrices = record.evaluation.matrices.copy()
    matrices[0, 0, 0] -= pixels
    matrices[0, 0, 1] += pixels
    digests = ("sha256:" + "0" * 64, *record.evaluation.predictions[1:])
    return replace(record, evaluation=counts.changed(record.evaluation, matrices, digests))


def test_the_same_run_is_identical(fine: Record) -> None:
    found = judge(fine, fine, Allowance())
    assert (found.kind, found.reasons, found.passed) == ("identical", (), True)


@pytest.mark.parametrize(
    ("pixels", "allowance", "kind"),
    [
        (1, Allowance(), "drift"),
        (1, Allowance(budget=0), "drift"),
        (5, Allowance(budget=5), "numerical"),
        (6, Allowance(budget=5), "drift"),
        (6, Allowance(tolerance=1e-4), "numerical"),
        (2000, Allowance(tolerance=1e-4), "drift"),
        (2000, Allowance(tolerance=0.1), "numerical"),
        (6, Allowance(budget=5, tolerance=0.1), "drift"),
        (2000, Allowance(budget=10**6, tolerance=1e-5), "drift"),
        (1, Allowance(tolerance=0.0), "drift"),
    ],
)
def test_verdicts(fine: Record, pixels: int, allowance: Allowance, kind: str) -> None:
    found = judge(fine, flipped(fine, pixels), allowance)
    assert found.kind == kind
    assert bool(found.reasons) == (kind == "drift")
    assert found.passed == (kind != "drift")


def test_drift_names_pixels_metrics_classes_and_images(fine: Record) -> None:
    found = judge(fine, flipped(fine, 2000), Allowance(budget=10, tolerance=1e-5))
    assert any("2,000 at least changed class, 10 are allowed" in reason for reason in found.reasons)
    assert any(reason.startswith("mean_iu moved by -") for reason in found.reasons)
    shown = text(found)
    for name in ("class disk", "class background", "image val-0000: 2,000 pixels"):
        assert name in shown


def test_another_protocol_or_truth_is_drift_and_says_which(fine: Record) -> None:
    other = replace(fine, protocol=replace(fine.protocol, precision="tf32"))
    found = judge(fine, other, Allowance(budget=10**9))
    assert found.kind == "drift"
    assert found.reasons == ("protocol: prec is tf32 here, fp32 in the signature",)
    other = replace(fine, data=replace(fine.data, labels="sha256:" + "0" * 64))
    assert "label maps are not the baseline's" in judge(fine, other, Allowance(budget=10**9)).reasons[0]
    assert "protocol" in junit([found]).decode()
    assert "protocol" in markdown([found])


def test_near_ties_are_told_where_they_were_counted(fine: Record) -> None:
    some = int(fine.evaluation.counts["near_ties"].values[0, -1])
    few = judge(fine, flipped(fine, min(some, 3)), Allowance(budget=10))
    assert "no image has more flips than near ties" in few.ties
    many = judge(fine, flipped(fine, some + 1), Allowance(budget=10**6))
    assert "more pixels flipped than nearly tied on val-0000" in many.ties
    uncounted = replace(
        fine, evaluation=replace(fine.evaluation, counts={"confusion": fine.evaluation.counts["confusion"]})
    )
    assert judge(uncounted, flipped(fine, 3), Allowance(budget=10)).ties == ""


@pytest.mark.parametrize(
    "options", [{"budget": -1}, {"tolerance": -0.1}, {"tolerance": 2.0}, {"tolerance": float("nan")}]
)
def test_an_allowance_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not an allowance"):
        Allowance(**options)


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_board_is_checked_by_running_every_model_again(runs: Path, tmp_path: Path) -> None:
    board = runs / "leaderboards/v1/pocket.csv"
    found = fcnbench.check(board, junit=tmp_path / "j.xml", markdown=tmp_path / "m.md")
    assert [(verdict.model, verdict.kind) for verdict in found.verdicts] == [
        ("fcn32s-pocket", "identical"), ("fcn8s-pocket", "identical"),
    ]  # fmt: skip
    assert not list(tmp_path.glob("submissions"))
    assert len(fcnbench.read_board(board)) == 2  # nothing was added
    (one,) = fcnbench.check(board, model="fcn8s-pocket").verdicts
    assert one.model == "fcn8s-pocket"
    with pytest.raises(UsageError, match="has no row of nobody"):
        fcnbench.check(board, model="nobody")


def test_a_new_run_is_kept_where_that_is_wanted(runs: Path, tmp_path: Path) -> None:
    fcnbench.check(record_of(runs, "fcn8s-pocket"), keep=tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("submissions/fcn8s-pocket/pocket/2*/record.json"))) == 1


def test_a_result_is_judged_without_running(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcnbench.api.run.run_unless", lambda *a, **k: pytest.fail("a model ran"))
    baseline, other = record_of(runs, "fcn8s-pocket"), record_of(runs, "fcn32s-pocket")
    assert fcnbench.check(baseline, record=baseline).passed
    assert not fcnbench.check(baseline, record=other, budget=100).passed
    maps = {name: runs / "predictions" / f"{name}-pocket" for name in ("fcn8s", "fcn32s")}
    same = fcnbench.check(baseline, predictions=maps["fcn8s"], baseline_predictions=maps["fcn8s"])
    assert same.verdicts[0].kind == "identical"
    (drift,) = fcnbench.check(
        baseline, record=other, predictions=maps["fcn32s"], baseline_predictions=maps["fcn8s"]
    ).verdicts
    assert drift.comparison.exact
    with pytest.raises(UsageError, match="holds 2 baselines"):
        fcnbench.check(runs / "leaderboards/v1/pocket.csv", record=other)


def test_a_part_is_checked_as_a_part(tmp_path: Path) -> None:
    part = fcnbench.run(board=tmp_path, limit=3)
    assert fcnbench.check(part.path).verdicts[0].kind == "identical"


def test_flips_of_a_new_run_are_counted_on_predictions(runs: Path) -> None:
    baseline = record_of(runs, "fcn8s-pocket")
    (found,) = fcnbench.check(
        baseline, model="fcn32s-pocket", baseline_predictions=runs / "predictions/fcn8s-pocket"
    ).verdicts
    assert found.kind == "drift"
    assert found.comparison.exact


def test_the_command_leaves_a_summary_junit_and_annotations(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline, other = str(record_of(runs, "fcn8s-pocket")), str(record_of(runs, "fcn32s-pocket"))
    summary = tmp_path / "summary.md"
    summary.write_text("what was there\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = ["--markdown", str(tmp_path / "m.md"), "--junit", str(tmp_path / "j.xml")]
    assert main(["check", "--baseline", baseline, "--record", other, "--tolerance", "0.001", *files]) == 1
    captured = capsys.readouterr()
    assert "drift" in captured.out
    (line,) = [line for line in captured.err.splitlines() if line.startswith("::error title=fcnbench%3A ")]
    assert "%0A" in line
    assert summary.read_text() == "what was there\n" + (tmp_path / "m.md").read_text()
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "j.xml"))
    cases = {case.name: case for case in suite}
    assert (suite.tests, len(cases)) == (13, 13)
    assert suite.failures == sum(bool(case.result) for case in cases.values()) > 3
    assert cases["verdict"].result[0].message.startswith("mean") or "pixel" in cases["verdict"].result[0].message
    assert "->" in cases["mean_iu"].result[0].message
    assert not cases["IU of star"].result
    assert main(["check", "--baseline", baseline, "--record", baseline, "--json", *files]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdicts"][0]["kind"] == "identical"
    assert "::" not in captured.err
    assert junitparser.JUnitXml.fromfile(str(tmp_path / "j.xml")).failures == 0


def test_what_xml_and_github_can_not_hold_is_escaped(fine: Record) -> None:
    odd = replace(fine, model=replace(fine.model, name="a<b>&\x00\n|c,:%"))
    found = judge(odd, flipped(odd, 5), Allowance())
    assert junitparser.JUnitXml.fromstring(junit([found])).failures > 0
    (line,) = github_lines([found])
    assert "\n" not in line
    title = line.partition("title=")[2].partition("::")[0]
    assert not set(title) & {",", ":"}


def test_baselines_that_are_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="there is no record"):
        fcnbench.check(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(ResultsError, match="is not a board"):
        fcnbench.check(tmp_path / "x.csv")


def test_a_board_without_its_records_says_what_is_missing(runs: Path, damage: Callable[[Path], None]) -> None:
    damage(runs)
    with pytest.raises(DataMissing, match="there is no record at"):
        fcnbench.check(runs / "leaderboards/v1/pocket.csv")


@pytest.fixture
def damage() -> Callable[[Path], None]:
    def remove(runs: Path) -> None:
        (record_of(runs, "fcn8s-pocket") / "record.json").unlink()

    return remove


def test_near_ties_are_counted_right() -> None:
    import torch

    from fcnbench.evaluation.near_ties import near_ties

    logits = torch.tensor([[[1.0, 1.0, 1.0, 5.0]], [[1.00005, 1.005, 0.0, 5.0]], [[0.0, 0.0, 0.0, 0.0]]])
    truth = np.array([[0, 1, 2, 255]], np.uint8)
    assert near_ties(logits, truth, 255).tolist() == [1, 1, 2, 2]
    assert near_ties(logits[:1], truth, 255).tolist() == [0, 0, 0, 0]


# --- second label maps -----------------------------------------------------------------------------------------------


def with_second(record: Record, pixels: int = 0) -> Record:
    """The same run with made-up second label maps, of which so many pixels of the first image are wrong."""
    images = len(record.evaluation.ids)
    matrices = np.tile(np.array([[50, 0], [0, 50]]), (images, 1, 1))
    matrices[0, 0] += [-pixels, pixels]
    spec = CountSpec("geo_confusion", (2, 2), label_maps="geo", label_space="geo2")
    digests = (f"sha256:{pixels:064x}", *["sha256:" + "9" * 64] * (images - 1))
    evaluation = replace(
        record.evaluation,
        counts={**record.evaluation.counts, "geo_confusion": Counted(spec, matrices)},
        digests={**record.evaluation.digests, "geo": digests},
    )
    return replace(record, geo_classes=("low", "high"), evaluation=evaluation)


def test_changes_of_the_second_label_maps_are_drift(fine: Record) -> None:
    before, after = with_second(fine), with_second(fine, 7)
    assert before.predictions != after.predictions != fine.predictions
    assert judge(before, before, Allowance()).kind == "identical"
    found = judge(before, after, Allowance())
    assert found.kind == "drift"
    assert found.comparison is not None
    assert found.comparison.flips_by == {"labels": 0, "geo": 7}
    assert "7 of them in the second label maps (geo)" in found.headline()
    assert judge(before, after, Allowance(budget=7)).kind == "numerical"
    assert judge(before, after, Allowance(budget=6)).kind == "drift"
    moved = 7 / (100 * len(fine.evaluation.ids))
    assert judge(before, after, Allowance(tolerance=moved * 1.01)).kind == "numerical"
    assert judge(before, after, Allowance(tolerance=moved * 0.99)).kind == "drift"


def test_second_label_maps_that_are_gone_or_new_are_drift(fine: Record) -> None:
    for before, after in ((with_second(fine), fine), (fine, with_second(fine))):
        found = judge(before, after, Allowance(budget=10**9, tolerance=1.0))
        assert found.kind == "drift"
        assert found.reasons == ("predictions: only one of the two predicts the second label maps (geo)",)


def test_other_classes_of_the_second_label_maps_are_other_rules(fine: Record) -> None:
    before = with_second(fine)
    with pytest.raises(UsageError, match="other rules"):
        judge(before, replace(before, geo_classes=("high", "low")), Allowance())


def test_without_digests_of_second_label_maps_nothing_is_identical(fine: Record) -> None:
    before = with_second(fine)
    labels = {"labels": before.evaluation.digests["labels"]}
    after = replace(before, evaluation=replace(before.evaluation, digests=labels))
    for one, two in ((before, after), (after, before)):
        found = judge(one, two, Allowance())
        assert found.kind == "drift"
        assert "no digests of the label maps (geo)" in found.reasons[0]
        assert judge(one, two, Allowance(budget=0)).kind == "numerical"


def test_runs_on_other_images_are_drift_and_say_which(fine: Record) -> None:
    def part(first: int) -> Record:
        chosen = slice(first, first + 5)
        spec, values = (getattr(fine.evaluation.counts["confusion"], name) for name in ("spec", "values"))
        evaluation = replace(
            fine.evaluation,
            ids=fine.evaluation.ids[chosen],
            counts={"confusion": Counted(spec, values[chosen])},
            digests={"labels": fine.evaluation.predictions[chosen]},
        )
        return replace(fine, protocol=replace(fine.protocol, images=5), evaluation=evaluation)

    assert judge(part(0), part(0), Allowance()).kind == "identical"
    found = judge(part(0), part(2), Allowance(budget=10**9, tolerance=1.0))
    assert found.kind == "drift"
    assert found.reasons[0] == (
        "images: 2 of the baseline's were not scored (val-0000, val-0001), "
        "2 were scored that the baseline does not have (val-0005, val-0006)"
    )


@pytest.mark.parametrize("more", [1, -1])
@pytest.mark.parametrize("name", ["confusion", "geo_confusion"])
def test_matrices_of_other_ground_truth_are_drift_in_both_directions(fine: Record, name: str, more: int) -> None:
    before = with_second(fine)
    counted = before.evaluation.counts[name]
    values = counted.values.copy()
    values[0, 0, 0] += more
    others = {**before.evaluation.counts, name: Counted(counted.spec, values)}
    found = judge(before, replace(before, evaluation=replace(before.evaluation, counts=others)), Allowance())
    assert found.kind == "drift"
    maps = {"confusion": "labels", "geo_confusion": "geo"}[name]
    assert found.reasons[0] == f"data: the ground truth of the label maps ({maps}) is not the baseline's"
    assert found.comparison is not None
    assert found.comparison.flips_by[maps] == 1


def test_a_digest_of_second_label_maps_alone_is_a_flip(fine: Record) -> None:
    before = with_second(fine)
    other = ("sha256:" + "7" * 64, *before.evaluation.digests["geo"][1:])
    after = replace(before, evaluation=replace(before.evaluation, digests={**before.evaluation.digests, "geo": other}))
    assert judge(before, after, Allowance()).kind == "drift"
