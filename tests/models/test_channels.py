"""Preprocessing of channels: each is normalised by its own values, whatever PyTorch's defaults are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fcnbench.models.adapters.resizing import ResizingSegmenter
from tests.conftest import REPOSITORY

RED = np.zeros((2, 3, 3), np.uint8)
RED[..., 0] = 255


@pytest.mark.parametrize(("bgr", "order"), [(False, [0, 1, 2]), (True, [2, 1, 0])])
def test_mean_and_std_are_those_of_red_green_and_blue_in_any_order(bgr: bool, order: list[int]) -> None:
    model = ResizingSegmenter(lambda batch: batch, mean=(0.9, 0.5, 0.1), std=(0.5, 0.25, 0.125), bgr=bgr)
    expected = np.array([(1 - 0.9) / 0.5, -0.5 / 0.25, -0.1 / 0.125], np.float32)[order]
    found = model.prepare(RED)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.broadcast_to(expected[:, None, None], (3, 2, 3)), rtol=1e-6)


SCRIPT = """
import json, sys
import torch
{before}
import fcnbench
done = fcnbench.run("fcn8s-pocket", limit=2, trials=0, board=sys.argv[1])
print(json.dumps([done.record.evaluation.matrices.tolist(), str(torch.get_default_dtype())]))
"""


def test_what_a_script_had_set_before_its_first_import_changes_no_number(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FCNBENCH_HOME": str(tmp_path / "home")}
    found = {}
    for before in (
        "",
        "torch.set_default_dtype(torch.bfloat16)",
        "torch.set_default_dtype(torch.float64)",
        "torch.set_default_device('meta')",
    ):
        line = [sys.executable, "-c", SCRIPT.format(before=before), str(tmp_path / "board")]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[before] = json.loads(done.stdout)
    matrices = [each[0] for each in found.values()]
    assert all(each == matrices[0] for each in matrices)
    assert [each[1] for each in found.values()] == [
        f"torch.{name}" for name in ("float32", "bfloat16", "float64", "float32")
    ]
