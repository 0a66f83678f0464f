"""How long it takes to be told: help, and mistakes; wall time of whole processes, against an empty Python process.

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
"""Seconds that `--help` may take, and the report of a mistake."""

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
"""Command lines with one mistake each: a mistyped word, a missing file, a missing model."""


def seconds(arguments: list[str], folder: Path, codes: frozenset[int]) -> float:
    """Wall time of one process, which must end with one of these codes."""
    started = time.perf_counter()
    code = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "FCNBENCH_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    ).returncode  # fmt: skip
    taken = time.perf_counter() - started
    if code not in codes:
        raise AssertionError(f"{' '.join(arguments)} ended with {code}")
    return taken


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the wall times in seconds by command, all commands in turn in every round."""
    fine, wrong = frozenset({0}), frozenset({2, 3, 4})
    commands = {"python -c pass": (["-c", "pass"], fine), "fcnbench --help": (["-m", "fcnbench", "--help"], fine)}
    commands |= {f"fcnbench {line}": (["-m", "fcnbench", *line.split()], wrong) for line in MISTAKES}
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, (arguments, codes) in commands.items():
                times[name].append(seconds(arguments, Path(folder), codes))
    return times


def table() -> str:
    """The measured times as a Markdown table."""
    lines = ["| process | median, s | fastest, s | goal, s |", "| --- | --- | --- | --- |"]
    for name, found in measure().items():
        goal = "" if name.startswith("python") else f"{HELP_GOAL if '--help' in name else MISTAKE_GOAL:.1f}"
        lines.append(f"| `{name}` | {statistics.median(found):.3f} | {min(found):.3f} | {goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
