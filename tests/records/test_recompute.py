"""`score --record`: whoever changes a number, a matrix or a digest is found out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.records.files import MATRICES_NAME, RECORD_NAME
from fcnbench.util.digests import digest_bytes
from tests.conftest import record_of

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def place(runs: Path) -> Path:
    return record_of(runs, "fcn8s-pocket")


def edited(place: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads((place / RECORD_NAME).read_text())
    change(content)
    (place / RECORD_NAME).write_text(json.dumps(content))
    return place


def test_an_honest_record_agrees(place: Path) -> None:
    found = fcnbench.score(record=place)
    assert found.mismatches == ()
    assert found.record.scores().mean_iu == pytest.approx(0.918910485139764, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda c: c["scores"]["gt"].update(mean_iu=0.95), "scores.gt.mean_iu"),
        (lambda c: c["scores"]["union"].update(fw_iu=0.95), "scores.union.fw_iu"),
        (lambda c: c["intervals"]["gt"]["mean_iu"].__setitem__(0, 0.9), "intervals.gt.mean_iu[0]"),
        (lambda c: c["intervals"].update(draws=10), "intervals.draws"),
        (lambda c: c["per_class"][3].update(iu=0.99), "per_class[3].iu"),
        (lambda c: c["per_class"][7].update(true_pixels=5), "per_class[7].true_pixels"),
        (lambda c: c["predictions"].update(digest=OTHER), "predictions.digest"),
        (lambda c: c["predictions"]["maps"]["labels"].update({"val-0003": OTHER}), "predictions.digest"),
        (lambda c: c["files"].update({MATRICES_NAME: OTHER}), f"files.{MATRICES_NAME}"),
        (lambda c: c["timing"].update(images_per_second=1e6), "timing.images_per_second"),
        (lambda c: c["timing"]["phases"]["forward"].update(median=0.1), "timing.phases.forward.median"),
        (lambda c: c["timing"]["forward_500"].update(mean=0.1), "timing.forward_500.mean"),
        (
            lambda c: c["counts"]["near_ties"]["derived"]["total"].__setitem__(0, 99999),
            "counts.near_ties.derived.total[0]",
        ),
        (lambda c: c["signature"].update(long="fcn2|nothing"), "signature.long"),
        (lambda c: c["per_class"][0].update(true_pixels=2**63 - 1), "per_class[0].true_pixels"),
        (
            lambda c: c["counts"]["near_ties"]["derived"].update(total=[10**400] * 4),
            "counts.near_ties.derived.total[0]",
        ),
        (lambda c: c["protocol"].update(split=c["protocol"]["split"][:-3] + "000"), "protocol.split"),
    ],
)
def test_a_tampered_record_is_caught(place: Path, change: Callable[[dict[str, Any]], object], where: str) -> None:
    found = fcnbench.score(record=edited(place, change))
    assert where in [mismatch.where for mismatch in found.mismatches]


def test_a_tampered_matrix_is_caught_even_with_its_digest_renewed(place: Path) -> None:
    with np.load(place / MATRICES_NAME) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["confusion"][0, 0, 0] += 1000
    np.savez_compressed(place / MATRICES_NAME, **arrays)
    found = {mismatch.where for mismatch in fcnbench.score(record=place).mismatches}
    assert {f"files.{MATRICES_NAME}", "scores.gt.pixel_acc"} <= found
    digest = digest_bytes((place / MATRICES_NAME).read_bytes())
    edited(place, lambda content: content["files"].update({MATRICES_NAME: digest}))
    found = {mismatch.where for mismatch in fcnbench.score(record=place).mismatches}
    assert f"files.{MATRICES_NAME}" not in found
    assert {"scores.gt.pixel_acc", "per_class[0].true_pixels"} <= found


def test_the_command_says_it_and_ends_with_1(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--record", str(place)]) == 0
    assert "record and matrices agree" in capsys.readouterr().out
    edited(place, lambda content: content["scores"]["gt"].update(mean_iu=0.95))
    assert main(["score", "--record", str(place / RECORD_NAME)]) == 1
    shown = capsys.readouterr().out
    assert "DIFFERS  scores.gt.mean_iu: the record says 0.95, the matrices give 0.9189" in shown
    assert "DO NOT agree" in shown
    assert main(["score", "--record", str(place), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert (content["agree"], content["mismatches"][0]["where"]) == (False, "scores.gt.mean_iu")


def test_a_record_that_is_none_ends_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--record", str(tmp_path)]) == 3
    assert "there is no record at" in capsys.readouterr().err
