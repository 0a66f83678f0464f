"""The report of a device: its measurements and its command."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fcnbench
from fcnbench.cli.main import main
from fcnbench.evaluation import device_report, pocket_check
from fcnbench.evaluation.device_measurements import supported_precisions
from fcnbench.evaluation.pocket_check import BUDGET, golden_confusion
from fcnbench.records.device_report import read_report
from fcnbench.records.serial import to_json
from tests.conftest import REPOSITORY

COMMITTED = sorted((REPOSITORY / "benchmarks/devices").glob("*.json"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the large network, which takes seconds per pass, by a pocket one, and run few passes."""
    monkeypatch.setattr(device_report, "LARGE", "fcn16s-pocket")
    monkeypatch.setattr(device_report, "_ROUNDS", {"cpu": 2})
    monkeypatch.setattr(device_report, "_LARGE_IMAGES", {"cpu": 2})


@pytest.mark.usefixtures("small")
def test_a_report_is_complete_and_names_no_user_host_or_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "reports/mine.json"
    assert main(["doctor", "--device", "cpu", "--report", str(target), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    report, text = read_report(target), target.read_text()
    content = json.loads(text)
    assert to_json(report) == content
    assert printed["report"] == str(target)
    assert printed["sound"]
    assert {key: printed[key] for key in content} == content
    assert (report.format, report.fcnbench) == (1, fcnbench.__version__)
    check = report.check
    assert (check.images, check.from_cpu, check.sound) == (64, 0, True)
    assert check.from_golden <= check.budget == BUDGET
    assert np.array(check.confusion).sum() == golden_confusion().sum()
    assert {(each.network, each.precision) for each in report.forward} == {
        (network, precision) for network in ("fcn8s-pocket", "fcn16s-pocket") for precision in ("fp32", "bf16")
    }
    for each in report.forward:
        assert len(each.milliseconds) == 2
        assert min(each.milliseconds) <= each.median <= max(each.milliseconds)
    assert [(each.network, each.images) for each in report.loop] == [("fcn8s-pocket", 64), ("fcn16s-pocket", 2)]
    assert set(report.flips) == {"fp32", "bf16"}
    assert set(report.flips["bf16"].flips) == {"plain fp32"}
    # A short host name such as "c" occurs in every text.
    for private in {socket.gethostname(), getpass.getuser(), str(Path.home()), str(tmp_path), str(REPOSITORY)}:
        assert len(private) < 4 or private not in text


@pytest.mark.usefixtures("small")
def test_a_result_other_than_the_expected_one_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = golden_confusion()
    golden[0, 0] -= BUDGET + 1
    golden[0, 1] += BUDGET + 1
    monkeypatch.setattr(pocket_check, "golden_confusion", lambda: golden)
    target = tmp_path / "mine.json"
    assert main(["doctor", "--device", "cpu", "--report", str(target)]) == 1
    printed = capsys.readouterr().out
    assert "BROKEN  fcn8s-pocket on pocket: of 1,748,770 pixels 201 differ from the expected" in printed
    assert printed.endswith(f"report  {target}\n")
    assert not read_report(target).check.sound


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--device", "cuda:99"], "--device cuda:99 can't be used here"),
        (["--device", "nonsense"], "--device nonsense can't be used here"),
        (["--model", "fcn8s-pocket"], "--report is about a device, and --model is not"),
        (["pocket"], "--report is about a device, and DATASET is not"),
    ],
)
def test_wrong_usage_is_an_error_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["doctor", *arguments, "--report", str(tmp_path / "mine.json")]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def test_the_expected_matrix_is_the_committed_submissions() -> None:
    (stored,) = (REPOSITORY / "submissions/fcn8s-pocket/pocket").glob("2*/confusion.npz")
    with np.load(stored) as arrays:
        np.testing.assert_array_equal(golden_confusion(), arrays["confusion"].sum(axis=0))


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), ("fp32",)), ((9, 0), ("fp32", "tf32", "bf16"))])
def test_only_precisions_of_the_device_are_measured(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert supported_precisions(torch.device("cuda")) == expected
    assert supported_precisions(torch.device("cpu")) == ("fp32", "bf16")
    assert supported_precisions(torch.device("mps")) == ("fp32",)


def test_committed_reports_are_sound_and_name_no_path() -> None:
    for path in COMMITTED:
        assert read_report(path).check.sound, path.name
        assert "/home/" not in path.read_text()
