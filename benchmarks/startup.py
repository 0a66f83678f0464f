"""How long `fcnbench --help` takes: wall time of whole processes, against an empty Python process.

python -m benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
GOAL = 0.2
"""Seconds that `--help` may take."""


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def table() -> str:
    """The measured times as a Markdown table."""
    commands = {"`python -c pass`": ["-c", "pass"], "`fcnbench --help`": ["-m", "fcnbench", "--help"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, arguments in commands.items():
            times[name].append(seconds(arguments))
    lines = ["| process | median, s | fastest, s | goal, s |", "| --- | --- | --- | --- |"]
    for name, found in times.items():
        goal = f"{GOAL:.1f}" if "help" in name else ""
        lines.append(f"| {name} | {statistics.median(found):.3f} | {min(found):.3f} | {goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
