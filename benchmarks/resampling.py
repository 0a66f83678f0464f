"""Time and memory of the bootstrap over a split's confusion matrices, against scipy's on the same statistic.

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
    """Return random confusion matrices [images, classes, classes], with about as many pixels as those of seg11valid."""
    random = np.random.default_rng(0)
    matrices = random.integers(0, 40, (IMAGES, CLASSES, CLASSES))
    matrices[:, np.arange(CLASSES), np.arange(CLASSES)] *= random.integers(0, 400, (IMAGES, CLASSES))
    return matrices


def against_scipy() -> Row:
    """Compare the interval of mean IU with scipy's, in CPU time per draw."""
    from scipy.stats import bootstrap

    matrices = stack()

    def peer() -> tuple[float, float]:
        result = bootstrap(
            (np.arange(IMAGES),), lambda indices: scores(matrices[indices].sum(axis=0)).mean_iu, vectorized=False,
            method="percentile", n_resamples=_SCIPY_DRAWS, rng=np.random.default_rng(1),
        )  # fmt: skip
        return float(result.confidence_interval.low), float(result.confidence_interval.high)

    def ours() -> tuple[float, float]:
        return intervals(matrices, draws=_SCIPY_DRAWS)["mean_iu"]

    low, high = ours()
    np.testing.assert_allclose(peer(), (low, high), atol=0.4 * (high - low))
    return compare("one draw of 736 x 21 x 21", ours, peer, "`scipy.stats.bootstrap`", _SCIPY_DRAWS, 1.0)


def whole() -> str:
    """Return a Markdown table: time of all draws of a record, and peak memory of processes with few and many draws."""
    matrices, samples = stack(), []
    for _ in range(9):
        started = time.perf_counter()
        intervals(matrices, draws=DRAWS)
        samples.append(time.perf_counter() - started)
    lines = ["| draws | seconds | goal, s | peak memory of the process, MiB |", "| --- | --- | --- | --- |"]
    for draws, seconds in ((100, None), (DRAWS, statistics.median(samples)), (10 * DRAWS, None)):
        command = [sys.executable, "-c", _PROCESS, str(draws)]
        peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024
        text, goal = ("", "") if seconds is None else (f"{seconds:.2f}", "2.00")
        lines.append(f"| {draws:,} | {text} | {goal} | {peak:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table([against_scipy()]))
    print(whole())
