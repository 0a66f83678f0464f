"""Timing of forward passes: enough of them, every step, and correct work and ceilings."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import fcnbench
from fcnbench.errors import ModelError, UsageError
from fcnbench.evaluation import power
from fcnbench.evaluation.power import PowerCounters
from fcnbench.evaluation.precision import FP32
from fcnbench.evaluation.roofline import ceiling, work_of
from fcnbench.evaluation.timing import PARTS, SCENARIOS, paper_batch, time_scenario
from fcnbench.leaderboard.speed_board import read_speed_board
from fcnbench.models.load import load_model
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.records.speed import read_speed

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A network whose work can be counted by hand, and which records the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, 5, 1)
        self.seen: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > 8:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.seen.append(len(batch))
        return self.score(batch)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_there_are_enough_passes_of_the_right_size(scenario: str) -> None:
    net = Tiny()
    found = time_scenario(ModuleSegmenter(net), CPU, scenario, 3, trials=6, seconds=0)
    assert len(found.passes) >= 6
    assert len(found.passes) <= 6 + 4
    assert all(seconds > 0 for seconds in found.passes)
    assert net.seen[: 3 + len(found.passes)] == [3] * (3 + len(found.passes))
    assert set(net.seen[3 + len(found.passes) :]) == {1}
    assert tuple(found.parts) == PARTS
    assert len({len(taken) for taken in found.parts.values()}) == 1


def test_passes_go_on_until_they_took_long_enough() -> None:
    found = time_scenario(ModuleSegmenter(Tiny()), CPU, "single-stream", 1, trials=1, seconds=0.3)
    assert sum(found.passes) > 0.1
    assert len(found.passes) > 5


def test_what_can_not_be_measured_is_an_error() -> None:
    with pytest.raises(UsageError, match="--scenario offline is unknown"):
        time_scenario(ModuleSegmenter(Tiny()), CPU, "offline", 1, 1, 0)
    with pytest.raises(ModelError, match="failed on a 500x500 image") as caught:
        time_scenario(ModuleSegmenter(Tiny()), CPU, "throughput", 9, 1, 0)
    assert "smaller --batch" in caught.value.hint


def test_work_is_what_can_be_counted_by_hand() -> None:
    segmenter = ModuleSegmenter(Tiny())
    found = work_of(segmenter, paper_batch(segmenter, CPU, 2))
    assert found.flops == 2 * 2 * 3 * 5 * 500 * 500
    assert found.bytes == 4 * (3 * 5 + 5) + 4 * 2 * (3 + 5) * 500 * 500


def test_the_fast_path_saves_the_work_that_the_image_does_not_reach() -> None:
    fast, plain = (load_model("fcn8s", "random:0", fast=fast) for fast in (True, False))
    works = [work_of(segmenter, paper_batch(segmenter, CPU)).flops / 2e9 for segmenter in (fast, plain)]
    # Billions of multiplications: those of the convolutions by hand, and a little up-sampling in the plain one.
    assert works == pytest.approx([132.4, 180.9], rel=0.01)


def test_ceilings_are_speeds_that_a_cpu_can_have() -> None:
    found = ceiling(CPU, FP32)
    assert 1e9 < found.flops_per_second < 1e14
    assert 1e8 < found.bytes_per_second < 1e13


def test_the_roofline_is_the_time_of_the_operations_or_of_the_bytes(tmp_path: Path) -> None:
    record = fcnbench.bench("fcn32s-pocket", trials=1, seconds=0, board=tmp_path).record
    record = replace(record, samples=(4000.0,), ceiling_flops=10**9, ceiling_bytes=10**6)
    assert replace(record, flops=2 * 10**9, bytes=10**6).of_ceiling == 2 / 4
    assert replace(record, flops=10**9, bytes=3 * 10**6).of_ceiling == 3 / 4
    assert replace(record, flops=0).of_ceiling is None


def test_a_bench_of_batches_is_written_read_and_put_on_the_board(tmp_path: Path) -> None:
    one = fcnbench.bench("fcn32s-pocket", trials=2, seconds=0, board=tmp_path)
    many = fcnbench.bench(
        "fcn32s-pocket", trials=2, seconds=0, scenario="throughput", batch=2, precision="bf16", board=tmp_path
    )
    plain = fcnbench.bench("fcn32s-pocket", trials=2, seconds=0, fast=False, board=tmp_path)
    for found in (one, many, plain):
        assert read_speed(found.path) == found.record
        assert found.record.of_ceiling is not None
        assert found.summary()["images_per_second"] == pytest.approx(
            1e3 * found.record.batch / found.record.summary.median
        )
    assert many.record.flops == 2 * one.record.flops < 2 * plain.record.flops
    board = read_speed_board(one.board)
    assert list(board["scenario"]) == ["single-stream", "single-stream", "throughput"]
    assert set(board["forward"]) == {"constant band", "plain"}
    assert list(board["precision"])[-1] == "bf16"
    assert fcnbench.verify_boards(tmp_path) == []
    for wrong in (
        {"batch": 0},
        {"trials": 0},
        {"seconds": -1},
        {"seconds": float("inf")},
        {"scenario": "x"},
        {"precision": "fp8"},
        {"precision": "tf32"},
    ):
        with pytest.raises(UsageError):
            fcnbench.bench("fcn32s-pocket", board=tmp_path, **wrong)


def test_a_cpu_has_the_energy_and_throttling_counters_of_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "_RAPL", tmp_path / "none")
    monkeypatch.setattr(power, "_CPUS", tmp_path / "none")
    nothing = PowerCounters(CPU)
    assert (nothing.energy(), nothing.slowed(), nothing.clocks()) == (None, False, {})
    for package, joules in ((0, 3), (1, 4)):
        (tmp_path / f"rapl/intel-rapl:{package}").mkdir(parents=True)
        (tmp_path / f"rapl/intel-rapl:{package}/energy_uj").write_text(f"{joules}000000\n")
    throttle = tmp_path / "cpus/cpu3/thermal_throttle/core_throttle_count"
    throttle.parent.mkdir(parents=True)
    throttle.write_text("5\n")
    monkeypatch.setattr(power, "_RAPL", tmp_path / "rapl")
    monkeypatch.setattr(power, "_CPUS", tmp_path / "cpus")
    found = PowerCounters(CPU)
    assert found.energy() == 7.0
    assert not found.slowed()
    throttle.write_text("6\n")
    assert found.slowed()
    assert not found.slowed()
    (tmp_path / "rapl/intel-rapl:1/energy_uj").write_text("?")
    assert found.energy() is None


def library() -> types.SimpleNamespace:
    """Return a stand-in for the part of NVML that is used."""

    class NVMLError(Exception):
        pass

    def unsupported(handle: str, kind: int) -> int:
        raise NVMLError("not supported")

    return types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlClocksThrottleReasonGpuIdle=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID={b"GPU-abc": "handle"}.__getitem__,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 5000,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 1,
        nvmlDeviceGetClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetMaxClockInfo=unsupported,
    )


def test_a_gpu_has_the_counters_of_nvml_that_it_supports(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = library()
    monkeypatch.setitem(sys.modules, "pynvml", asked)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="abc"))
    found = PowerCounters(torch.device("cuda:0"))
    assert found.energy() == 5.0
    assert not found.slowed()
    asked.nvmlDeviceGetCurrentClocksThrottleReasons = lambda handle: 33  # idle, and software's thermal slowdown
    assert found.slowed()
    assert found.clocks() == {"gpu, MHz": "1980"}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    blind = PowerCounters(torch.device("cuda:0"))
    assert (blind.energy(), blind.slowed(), blind.clocks()) == (None, False, {})
