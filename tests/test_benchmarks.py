"""The benchmark of accelerators runs on a CPU with small arguments, so that it works once there is a GPU."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from tests.conftest import REPOSITORY


def test_the_benchmark_of_accelerators_runs_on_a_cpu() -> None:
    try:
        distribution("torchfcn")
    except PackageNotFoundError:
        pytest.skip("torchfcn is not installed: pip install --no-deps -r tests/peers.txt")
    options = ["--device", "cpu", "--side", "48", "--rounds", "1", "--images", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.device", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (fp32|bf16) \| (.+?) \| [\d.]+ \| [\d.]+x \| \d+% \| (\d+) of 2,304 \|$", done.stdout, re.M)
    assert [(precision, who) for precision, who, _ in rows] == [
        (precision, who)
        for precision in ("fp32", "bf16")
        for who in ("`torchfcn`", "fcnbench, plain", "fcnbench, constant band")
    ]
    assert rows[0][2] == "0"
    assert re.search(r"^\| fp32 \| [\d.]+ \| [\d.]+ \| [\d.]+% \| 95% \|$", done.stdout, re.M)
