"""The bootstrap over a split's matrices: time, memory, and scipy's on the same statistic.

python -m benchmarks.resampling
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.sidebyside import Row, compare, table
from fcnbench.metrics.bootstrap import DRAWS, intervals
from fcnbench.metrics.scores import scores

IMAGES, CLASSES = 736, 21
_SCIPY_DRAWS = 200

_PROCESS = """
import sys
from pathlib import Path
from benchmarks.resampling import stack
from fcnbench.metrics.bootstrap import intervals
intervals(stack(), draws=int(sys.argv[1]))
status = Path("/proc/self/status").read_text()
print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


def stack() -> NDArray[np.int64]:
    """Matrices like those of seg11valid: as many images, classes and pixels."""
    random = np.random.default_rng(0)
    found = random.integers(0, 40, (IMAGES, CLASSES, CLASSES))
    found[:, np.arange(CLASSES), np.arange(CLASSES)] *= random.integers(0, 400, (IMAGES, CLASSES))
    return found


def against_scipy() -> Row:
    """The mean IU of so many draws, ours and scipy's, CPU milliseconds per draw."""
    from scipy.stats import bootstrap

    matrices = stack()

    def theirs() -> tuple[float, float]:
        found = bootstrap(
            (np.arange(IMAGES),), lambda places: scores(matrices[places].sum(axis=0)).mean_iu, vectorized=False,
            method="percentile", n_resamples=_SCIPY_DRAWS, rng=np.random.default_rng(1),
        )  # fmt: skip
        return float(found.confidence_interval.low), float(found.confidence_interval.high)

    def ours() -> tuple[float, float]:
        return intervals(matrices, draws=_SCIPY_DRAWS)["mean_iu"]

    low, high = ours()
    np.testing.assert_allclose(theirs(), (low, high), atol=0.4 * (high - low))
    return compare("one draw of 736 x 21 x 21", ours, theirs, "`scipy.stats.bootstrap`", _SCIPY_DRAWS, 1.0)


def whole() -> str:
    """Seconds for all draws of a record, and the memory of whole processes with few and with many draws."""
    matrices, seconds = stack(), []
    for _ in range(9):
        started = time.perf_counter()
        intervals(matrices, draws=DRAWS)
        seconds.append(time.perf_counter() - started)
    lines = ["| draws | seconds | goal, s | peak memory of the process, MiB |", "| --- | --- | --- | --- |"]
    for draws, took in ((100, None), (DRAWS, statistics.median(seconds)), (10 * DRAWS, None)):
        command = [sys.executable, "-c", _PROCESS, str(draws)]
        peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024
        shown, goal = ("", "") if took is None else (f"{took:.2f}", "2.00")
        lines.append(f"| {draws:,} | {shown} | {goal} | {peak:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([against_scipy()]))
    print(whole())
