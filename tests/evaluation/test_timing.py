"""Timing of forward passes: enough of them, of the right size, with every step; and the commands that use it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import fcnbench
from fcnbench.errors import ModelError, UsageError
from fcnbench.evaluation.timing import PARTS, time_scenario
from fcnbench.leaderboard.speed_board import read_speed_board
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.options import SCENARIOS
from fcnbench.records.speed import read_speed

CPU = torch.device("cpu")


class Tiny(nn.Module):
    """A network that records the sizes of its batches."""

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
