"""Comparisons: the right sign, the right images, the right reason first."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
import tests.counts
from fcnbench.cli.main import main
from fcnbench.comparison.attribution import first_difference, layers
from fcnbench.comparison.compare import compare
from fcnbench.errors import PredictionError, UsageError
from fcnbench.metrics.scores import scores
from fcnbench.records.device_check import DeviceCheck
from fcnbench.records.files import load
from fcnbench.records.model import CodeFacts, Record
from tests.conftest import record_of


@pytest.fixture
def coarse(runs: Path) -> Record:
    return load(record_of(runs, "fcn32s-pocket"))


@pytest.fixture
def fine(runs: Path) -> Record:
    return load(record_of(runs, "fcn8s-pocket"))


def with_matrices(record: Record, matrices: Any, ids: tuple[str, ...] | None = None) -> Record:
    """The same run with other confusion matrices, of the same images or of some."""
    kept = record.evaluation
    if ids is not None:
        digests = [kept.predictions[kept.ids.index(name)] for name in ids]
        return replace(record, evaluation=tests.counts.evaluation(ids, matrices, digests))
    return replace(record, evaluation=tests.counts.changed(kept, matrices))


def test_the_finer_net_is_better_beyond_doubt(coarse: Record, fine: Record) -> None:
    found = compare(coarse, fine)
    assert found.images == 64
    for name, difference in found.differences.items():
        assert difference.value == pytest.approx(fine.all_scores()[name] - coarse.all_scores()[name], abs=1e-14)
        assert 0 < difference.low < difference.value < difference.high
        assert difference.p < 0.001
    assert found.classes[0].name == max(found.classes, key=lambda each: abs(each.moved)).name
    assert not found.exact


def test_moved_images_are_those_with_most_changes(coarse: Record, fine: Record) -> None:
    found = compare(coarse, fine)
    flips = [image.flips for image in found.moved]
    assert flips == sorted(flips, reverse=True)
    assert found.flips == sum(flips)
    place = fine.evaluation.ids.index(found.moved[0].id)
    one, two = coarse.evaluation.matrices[place], fine.evaluation.matrices[place]
    assert found.moved[0].flips == np.clip(one - two, 0, None).sum()
    assert (found.moved[0].before, found.moved[0].after) == (one.trace(), two.trace())


def test_flips_on_the_predictions_are_exact_and_no_fewer(runs: Path) -> None:
    names = ("fcn32s-pocket", "fcn8s-pocket")
    folders = tuple(runs / "predictions" / name for name in names)
    paths = [record_of(runs, name) for name in names]
    bound, exact = fcnbench.compare(*paths), fcnbench.compare(*paths, predictions=folders)
    assert exact.exact
    assert exact.flips >= bound.flips
    from fcnbench.datasets.codec.images import decode_label

    for image in exact.moved[:3]:
        one, two = (decode_label((folder / f"{image.id}.png").read_bytes(), image.id) for folder in folders)
        assert image.flips == np.count_nonzero(one != two)
    with pytest.raises(PredictionError, match="64 predictions are not those"):
        fcnbench.compare(*paths, predictions=folders[::-1])
    (folders[0] / "val-0000.png").unlink()
    with pytest.raises(PredictionError, match="no prediction of labels for val-0000"):
        fcnbench.compare(*paths, predictions=folders)


def test_a_run_against_itself(fine: Record) -> None:
    found = compare(fine, fine)
    assert (found.flips, found.moved) == (0, ())
    assert {difference.p for difference in found.differences.values()} == {1.0}
    assert first_difference(list(found.layers)) is None


def test_only_common_images_are_compared(fine: Record) -> None:
    def part(places: slice) -> Record:
        ids = fine.evaluation.ids[places]
        return with_matrices(fine, fine.evaluation.matrices[places], ids)

    found = compare(part(slice(0, 40)), part(slice(30, 64)))
    assert found.images == 10
    assert found.only_first == fine.evaluation.ids[:30]
    assert found.only_second == fine.evaluation.ids[40:]
    assert found.before == found.after == scores(fine.evaluation.matrices[30:40].sum(axis=0)).as_dict()
    with pytest.raises(UsageError, match="no image in common"):
        compare(part(slice(0, 10)), part(slice(10, 20)))


def test_another_task_or_policy_is_refused(fine: Record) -> None:
    for change in ({"dataset": "other"}, {"mean": "union"}, {"ignore": 254}):
        with pytest.raises(UsageError, match="other rules"):
            compare(fine, replace(fine, protocol=replace(fine.protocol, **change)))


def test_another_truth_has_no_p(fine: Record) -> None:
    matrices = fine.evaluation.matrices.copy()
    matrices[0, 0, 0] += 5
    assert compare(fine, with_matrices(fine, matrices)).differences == {}


def test_a_changed_digest_is_a_flip_that_the_matrix_does_not_show(fine: Record) -> None:
    digests = ("sha256:" + "0" * 64, *fine.evaluation.predictions[1:])
    found = compare(fine, replace(fine, evaluation=replace(fine.evaluation, digests={"labels": digests})))
    assert [(image.id, image.flips) for image in found.moved] == [("val-0000", 1)]


CAUSES: dict[str, list[dict[str, Any]]] = {
    "code": [{"model": {"version": "9"}}, {"model": {"name": "other"}}],
    "data": [{"data": {"labels": "sha256:1"}}, {"protocol": {"variant": "VOC2011"}}],
    "decoder": [{"environment": {"decoder": "sha256:1"}}, {"packages": {"deflate": "0"}}],
    "preprocessing": [{"model": {"preprocessing": "other"}}, {"protocol": {"modality": "hha"}}],
    "weights": [{"model": {"weights_digest": "sha256:1"}}, {"model": {"weights_digest": None}}],
    "versions": [
        {"packages": {"torch": "1.0"}}, {"environment": {"python": "3.99"}}, {"packages": {"tqdm": "1"}},
        {"environment": {"revision": "abc"}}, {"top": {"fcnbench": "9"}},
    ],
    "device": [
        {"environment": {"threads": 64}}, {"environment": {"cuda": "13"}}, {"protocol": {"precision": "tf32"}},
        {"environment": {"device": "mps"}}, {"environment": {"device_name": "another"}},
    ],
}  # fmt: skip


def changed(record: Record, change: dict[str, Any]) -> Record:
    (part, values), = change.items()  # fmt: skip
    if part == "top":
        return replace(record, **values)
    if part == "packages":
        environment = record.environment
        return replace(record, environment=replace(environment, packages=environment.packages | values))
    return replace(record, **{part: replace(getattr(record, part), **values)})


@pytest.mark.parametrize(("name", "change"), [(name, each) for name, several in CAUSES.items() for each in several])
def test_the_first_layer_that_differs_is_found(fine: Record, name: str, change: dict[str, Any]) -> None:
    found = layers(fine, changed(fine, change))
    assert [layer.name for layer in found] == list(CAUSES)
    assert [layer.name for layer in found if layer.state == "differs"] == [name]
    assert " -> " in first_difference(found).text
    # Whatever else differs further down, this one comes first.
    last = changed(changed(fine, change), {"environment": {"threads": 64}})
    assert first_difference(layers(fine, last)).name == name


def test_a_package_that_one_run_alone_imported_explains_nothing(fine: Record) -> None:
    assert first_difference(layers(fine, changed(fine, {"packages": {"imported-by-one-run": "3.12"}}))) is None


def test_source_files_are_compared_where_both_records_name_them(fine: Record) -> None:
    one = CodeFacts("sha256:1", {"net.py": "sha256:1", "helper.py": "sha256:2"}, "abc", dirty=False)
    two = CodeFacts(
        "sha256:2", {"net.py": "sha256:1", "helper.py": "sha256:3", "new.py": "sha256:4"}, "abc", dirty=True
    )
    before, after = replace(fine, code=one), replace(fine, code=two)
    assert first_difference(layers(fine, after)) is None
    found = first_difference(layers(before, after))
    assert found.name == "code"
    assert found.text.startswith("helper.py ")
    assert "new.py none -> " in found.text
    assert "repository abc -> abc with changes" in found.text
    assert "net.py" not in found.text


def test_every_fact_that_the_environment_holds_is_in_some_layer_or_left_out_on_purpose(fine: Record) -> None:
    left_out = {"cpu", "cores", "clocks", "packages", "device_check"}
    for field in dataclasses.fields(fine.environment):
        if field.name not in left_out:
            found = layers(fine, changed(fine, {"environment": {field.name: "another"}}))
            assert first_difference(found), field.name


def test_a_check_of_the_device_is_told_and_is_no_difference(fine: Record) -> None:
    check = DeviceCheck("2026-11-25T10:00:00+00:00", 264, 265, 3)
    found = {layer.name: layer for layer in layers(fine, changed(fine, {"environment": {"device_check": check}}))}
    assert found["device"].state == "same"
    assert found["device"].text.endswith(
        "; A not checked; B 264 of 265 argmax cases right, 3 pixels from the expected integers (2026-11-25)"
    )


def test_the_command_prints_all_of_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(record_of(runs, name)) for name in ("fcn32s-pocket", "fcn8s-pocket")]
    assert main(["compare", *paths]) == 0
    shown = capsys.readouterr().out
    for text in ("64 images in common", "B - A", "95% interval", "at least", "weights", "differs", "stick"):
        assert text in shown
    assert main(["compare", *paths, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["differences"]["mean_iu"]["p"] < 0.001
    assert {layer["name"] for layer in content["layers"]} == set(CAUSES)
    assert main(["compare", paths[0]]) == 2
    assert main(["compare", *paths, "--lens", paths[0]]) == 2
    assert main(["compare", paths[0], str(runs)]) == 3


def test_the_lens_names_the_rule_of_each_gap(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_of(runs, "fcn8s-pocket")
    found = {reading.convention: reading for reading in fcnbench.lens(path)}
    record = load(path)
    assert found["FCN paper"].scores == pytest.approx(record.scores().as_dict(), rel=1e-14)
    assert found["FCN paper"].why == "the same"
    assert found["FCN reference"].scores["mean_iu"] == pytest.approx(record.scores("union").mean_iu, rel=1e-14)
    assert "counts 0 for star" in found["FCN reference"].why
    assert "(-11.49)" in found["FCN reference"].why
    assert "rounded" in found["mmsegmentation"].why
    assert "pairs of image and class" in found["per image"].why
    assert main(["compare", "--lens", str(path)]) == 0
    assert "counts 0 for star" in capsys.readouterr().out
    assert main(["compare", "--lens", str(path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["readings"]) == len(found)


def test_the_lens_says_where_a_plain_mean_is_nan(fine: Record) -> None:
    from fcnbench.comparison.conventions import score_conventions

    matrices = fine.evaluation.matrices.copy()
    matrices[:, :, 0] += matrices[:, :, 7]
    matrices[:, :, 7] = 0
    found = {reading.convention: reading for reading in score_conventions(with_matrices(fine, matrices))}
    assert np.isnan(found["torchvision"].scores["mean_iu"])
    assert "is NaN, since star is neither true nor predicted" in found["VOC devkit"].why
    assert found["FCN reference"].why == "the same"
