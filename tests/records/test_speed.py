"""Timings: written whole, read back sceptically, one board a machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fcnbench
from fcnbench.cli.main import main
from fcnbench.errors import DataMissing, ResultsError, UsageError, WeightsError
from fcnbench.leaderboard.speed_board import read_speed_board, speed_folder
from fcnbench.models.registry import MODELS
from fcnbench.records.speed import read_speed
from tests.committed import committed


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speed")
    for name in ("fcn8s-pocket", "fcn32s-pocket"):
        fcnbench.bench(name, trials=3, seconds=0, board=root)
    return root


def only(root: Path) -> Path:
    return sorted(root.glob("submissions/*/speed/*/speed.json"))[0]


def test_a_timing_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    found = fcnbench.bench("fcn8s-pocket", trials=3, seconds=0, board=tmp_path)
    assert read_speed(found.path) == found.record
    assert len(found.record.samples) == 3
    assert found.record.parameters == sum(p.numel() for p in fcnbench.load_model("fcn8s-pocket").module.parameters())
    assert found.record.machine.endswith("-threads")
    board = read_speed_board(found.board)
    assert list(board["model"]) == ["fcn8s-pocket"]
    assert board["median_ms"][0] == pytest.approx(found.record.summary.median, abs=1e-4)
    assert fcnbench.verify_boards(tmp_path) == []


def test_a_machines_board_has_its_timings_fastest_first(timed: Path) -> None:
    (path,) = speed_folder(timed).glob("*.csv")
    board = read_speed_board(path)
    assert list(board["median_ms"]) == sorted(board["median_ms"])
    assert "rank" not in board.columns


def test_machines_are_never_mixed(timed: Path, tmp_path: Path) -> None:
    content = json.loads(only(timed).read_text())
    for device, threads in (("cuda", 2), ("cpu", 64), ("cpu", 2)):  # and then one that is called like the CPU
        content["environment"] |= {"device": device, "device_name": f"a {device}", "threads": threads}
        content["run"] = f"{device}-{threads}"
        path = tmp_path / f"submissions/m/speed/{content['run']}/speed.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    fcnbench.board(tmp_path)
    names = {path.name for path in speed_folder(tmp_path).iterdir()}
    assert names == {"cuda-a-cuda.csv", "a-cpu-64-threads.csv", "a-cpu-2-threads.csv"}
    assert fcnbench.verify_boards(tmp_path) == []
    (speed_folder(tmp_path) / "cuda-a-cuda.csv").write_text("x")
    (wrong,) = fcnbench.verify_boards(tmp_path)
    assert "is not what the timings give" in wrong


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["samples"].__setitem__(0, 0.001),
        lambda content: content["passes"].update(median=1.0),
        lambda content: content.update(of_ceiling=0.5),
        lambda content: content.update(flops=1),
        lambda content: content.update(batch=0),
        lambda content: content.update(joules=-1.0),
        lambda content: content.update(slowed=[99]),
        lambda content: content["parts"].update(copy=[]),
        lambda content: content.update(ceiling_bytes=float("inf")),
        lambda content: content.update(samples=[]),
        lambda content: content["samples"].__setitem__(0, -1),
        lambda content: content["samples"].__setitem__(0, "fast"),
        lambda content: content.update(height=224),
        lambda content: content.update(format="fcnbench.speed/9"),
        lambda content: content["model"].pop("name"),
        lambda content: content["environment"].update(extra=1),
        lambda content: content["environment"].update(device_name=None),
        lambda content: content["environment"].update(device=None),
        lambda content: content["environment"].update(device_check={"created": "2026", "right": 2, "total": 1}),
    ],
)
def test_a_tampered_timing_is_refused_and_left_out(
    timed: Path, tmp_path: Path, change: Callable[[Any], object], capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(only(timed).read_text())
    change(content)
    path = tmp_path / "submissions/m/speed/run/speed.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="is unusable"):
        read_speed(path)
    with pytest.raises(DataMissing, match="holds no usable record"):
        fcnbench.board(tmp_path)
    assert "left out of the speed board" in capsys.readouterr().err


def test_what_can_not_be_timed_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no forward pass"):
        fcnbench.bench("oracle-perfect", board=tmp_path)
    with pytest.raises(UsageError, match="at least one pass"):
        fcnbench.bench("fcn8s-pocket", trials=0, board=tmp_path)
    with pytest.raises(WeightsError, match="no weights file"):
        fcnbench.bench("fcn8s", weights="nowhere.pth", board=tmp_path)
    assert not (tmp_path / "submissions").exists()


def test_the_command_tells_the_papers_times_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "--model", "fcn32s-pocket", "--trials", "2", "--seconds", "0", "--board", str(tmp_path)]
    assert main(arguments) == 0
    assert "FCN-VGG16 210 ms" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 2
    assert main(["board", "show", "--board", str(tmp_path)]) == 0
    assert "median_ms" in capsys.readouterr().out


def test_the_project_has_a_row_of_every_built_in_network() -> None:
    (path,) = speed_folder(committed()).glob("*.csv")
    board = read_speed_board(path)
    networks = {name for name, entry in MODELS.entries().items() if entry.provider == "fcnbench"}
    networks = {name for name in networks if not name.startswith("oracle")}
    assert set(board["model"]) == networks
    assert min(board["trials"]) >= 20
