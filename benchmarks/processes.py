"""A run on one, two and three processes of this machine, with one thread per process.

    python -m benchmarks.processes

The integers in all records must be equal. Images/s are those of the evaluation loop; they exclude the start of the
processes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fcnbench.records.files import load
from fcnbench.records.model import Record

ROUNDS = 5
MODEL = "fcn8s-pocket"


def run(processes: int, home: Path, board: Path) -> Record:
    """Run the model by torchrun, and return the record."""
    options = ["--standalone", f"--nproc-per-node={processes}", "-m", "fcnbench", "run", "--model", MODEL]
    command = [sys.executable, "-m", "torch.distributed.run", *options, "--trials", "0", "--board", str(board)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "FCNBENCH_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (path,) = board.rglob("record.json")
    return load(path)


def measure() -> dict[int, list[float]]:
    """Return the images/s of every round, by number of processes."""
    rates: dict[int, list[float]] = {}
    first: Record | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(ROUNDS):
            for processes in (1, 2, 3):
                record = run(processes, Path(scratch) / "home", Path(scratch) / f"{number}-{processes}")
                first = first or record
                np.testing.assert_array_equal(record.evaluation.matrices, first.evaluation.matrices)
                assert record.predictions == first.predictions
                rates.setdefault(processes, []).append(record.evaluation.timing.images_per_second)
    return rates


def table() -> str:
    """Measure, and return the medians as a Markdown table."""
    rates = {processes: statistics.median(samples) for processes, samples in measure().items()}
    lines = [f"| {processes} | {rate:.1f} | {rate / rates[1]:.2f}x |" for processes, rate in rates.items()]
    return "\n".join(["| processes | images/s | relative to one process |", "| --- | --- | --- |", *lines])


if __name__ == "__main__":
    print(table())
