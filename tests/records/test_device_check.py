"""What the doctor found about a device is kept for the records of later runs, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import UsageError
from fcnbench.evaluation import device_examination, pocket_check
from fcnbench.evaluation.argmax_cases import few_cases
from fcnbench.evaluation.distributed import Ranks
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.run import check_same_device
from fcnbench.records.device_check import DeviceCheck, store_check, stored_check
from fcnbench.records.environment import describe_machine
from fcnbench.records.files import load
from fcnbench.records.serial import to_json

CPU = torch.device("cpu")
CHECK = DeviceCheck("2026-11-25T10:00:00+00:00", 265, 265, 3)


def test_a_check_is_in_the_records_of_its_device_and_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "device_check" not in to_json(describe(CPU))
    store_check(describe(CPU).key, CHECK)
    assert describe(CPU).device_check == CHECK
    assert describe_machine().device_check is None
    assert main(["run", "--device", "cpu", "--limit", "2", "--board", str(tmp_path)]) == 0
    assert "device check: 265 of 265 argmax cases right, 3 pixels from" in capsys.readouterr().out
    (path,) = tmp_path.glob("submissions/*/pocket/*/record.json")
    assert json.loads(path.read_text())["environment"]["device_check"] == {
        "created": CHECK.created, "right": 265, "total": 265, "from_golden": 3,
    }  # fmt: skip
    assert load(path).environment.device_check == CHECK
    assert main(["score", "--record", str(path)]) == 0
    assert CHECK.describe() in fcnbench.report(path, output=tmp_path / "page.html").read_text()


@pytest.mark.parametrize("field", ["device", "device_name", "driver", "torch", "fcnbench"])
def test_another_device_driver_or_version_was_not_checked(field: str) -> None:
    key = describe(CPU).key
    store_check(key, CHECK)
    assert stored_check(key) == CHECK
    assert stored_check(replace(key, **{field: "another"})) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"format": "fcnbench.device-check/1"}', "TOO MANY RIGHT", "TEXT", "BOOL"]
)
def test_a_damaged_file_says_nothing(text: str) -> None:
    key = describe(CPU).key
    path = store_check(key, CHECK)
    content = json.loads(path.read_text())
    wrong = {"TOO MANY RIGHT": {"right": 266}, "TEXT": {"total": "265"}, "BOOL": {"from_golden": True}}
    if text in wrong:
        content["check"] |= wrong[text]
        text = json.dumps(content)
    path.write_text(text)
    assert stored_check(key) is None
    assert describe(CPU).device_check is None


def test_the_doctor_checks_the_cpu_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device_examination, "all_cases", few_cases)
    assert main(["doctor", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert f"ok      argmax: {len(few_cases())} of {len(few_cases())} cases give numpy's label map" in shown
    path = Path(shown.rpartition("stored  ")[2].strip())
    assert json.loads(path.read_text())["check"]["right"] == len(few_cases())
    golden = pocket_check.golden_confusion()
    golden[0, 0] -= 1000
    golden[0, 1] += 1000
    monkeypatch.setattr(pocket_check, "golden_confusion", lambda: golden)
    assert main(["doctor", "--device", "cpu", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert not printed["sound"]
    assert printed["environment"]["device_check"]["from_golden"] >= 999


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pocket"], "--device is about a device, and DATASET is not"),
        (["--weights", "x"], "--device is about a device, and --weights is not"),
        ([], "--device cuda:99 can't be used here"),
    ],
)
def test_wrong_usage_of_the_doctor_is_told(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments, "--device", "cuda:99"]) == 2
    assert says in capsys.readouterr().err


class OtherRanks(Ranks):
    """Stands in for a run whose other rank has another device."""

    def __init__(self, other: str) -> None:
        self.other = other

    def all_gather(self, value: str) -> list[str]:  # type: ignore[override]
        return [value, self.other]


def test_processes_on_devices_of_several_kinds_are_refused() -> None:
    here = replace(describe(CPU), device="cuda", device_name="NVIDIA A100")
    check_same_device(here, OtherRanks("cuda NVIDIA A100"))
    # Processors of a cluster may differ: their integers are the same.
    check_same_device(describe(CPU), OtherRanks("cpu"))
    for other in ("cuda NVIDIA H100", "cpu"):
        with pytest.raises(UsageError, match="devices of several kinds"):
            check_same_device(here, OtherRanks(other))
