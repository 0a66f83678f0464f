"""Work of a forward pass, and the ceilings that a device reaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fcnbench
from fcnbench.evaluation.precision import FP32
from fcnbench.evaluation.roofline import ceiling, work_of
from fcnbench.evaluation.timing import paper_batch
from fcnbench.models.load import load_model
from fcnbench.models.segmenter import ModuleSegmenter

CPU = torch.device("cpu")


def test_work_is_what_can_be_counted_by_hand() -> None:
    segmenter = ModuleSegmenter(torch.nn.Conv2d(3, 5, 1))
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
