"""Wall time of processes that print help or report a mistake, against an empty Python process.

python -m benchmarks.startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 15

HELP_GOAL, MISTAKE_GOAL = 0.2, 0.3
"""Seconds that a process may take for `--help`, and for reporting a mistake."""

MISTAKES = (
    "runn",
    "run --wieghts x.pth",
    "run --model fcn8x",
    "run --model nets.py:build",
    "run --dataset voc2011vall",
    "run --dataset voc2011val",
    "run --model fcn8s",
    "run --weights nowhere.pth",
    "run --dataset voc2011val --model fcn8s --from nowhere",
    "run --device gpu",
    "run --sweep nowhere.toml",
    "score --record nowhere",
    "score --predictions nowhere",
    "compare nowhere nowhere",
    "check --baseline nowhere",
    "report nowhere",
    "submit nowhere --contact me --licence none",
    "verify nowhere",
    "board show --board nowhere",
    "board verify --board nowhere",
    "bench --model fcn8x",
    "doctor --model fcn8x",
    "doctor voc2011vall",
    "fetch voc2011vall",
    "export voc2011vall --to voc",
)
"""Command lines with one mistake per line, such as a mistyped word, a missing file or a missing model."""


def seconds(arguments: list[str], folder: Path, codes: frozenset[int]) -> float:
    """Return the wall time of one process.

    Raises:
        AssertionError: its exit code is not one of `codes`.
    """
    started = time.perf_counter()
    code = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "FCNBENCH_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    ).returncode  # fmt: skip
    elapsed = time.perf_counter() - started
    if code not in codes:
        raise AssertionError(f"`{' '.join(arguments)}` ended with exit code {code}")
    return elapsed


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the wall times in seconds by command; every round runs all commands."""
    success, failure = frozenset({0}), frozenset({2, 3, 4})
    commands = {"python -c pass": (["-c", "pass"], success), "fcnbench --help": (["-m", "fcnbench", "--help"], success)}
    commands |= {f"fcnbench {line}": (["-m", "fcnbench", *line.split()], failure) for line in MISTAKES}
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (arguments, codes) in commands.items():
                times[name].append(seconds(arguments, Path(folder), codes))
    return times


def table() -> str:
    """Measure, and return the times as a Markdown table."""
    lines = ["| process | median, s | fastest, s | goal, s |", "| --- | --- | --- | --- |"]
    for name, samples in measure().items():
        goal = "" if name.startswith("python") else f"{HELP_GOAL if '--help' in name else MISTAKE_GOAL:.1f}"
        lines.append(f"| `{name}` | {statistics.median(samples):.3f} | {min(samples):.3f} | {goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
