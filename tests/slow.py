"""The slow tests: `tests/slow.txt` lists them, and `python -m tests.slow LOG` rewrites it from the log of a whole run.

pytest -n auto --durations=0 --durations-min=1 | tee LOG
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LIST = Path(__file__).with_name("slow.txt")
SECONDS = 4.0
"""A test is slow if all its cases together take longer. Cases of less than a second are not in the log."""

_DURATION = re.compile(r"^\s*([\d.]+)s call\s+(tests/\S+?\.py::\w+)", re.MULTILINE)


def slow_tests() -> frozenset[str]:
    """Return the ids of the slow tests, without their parameters."""
    return frozenset(LIST.read_text(encoding="utf-8").split())


def listed(log: str) -> list[str]:
    """Return the slow tests of a log, sorted."""
    taken: dict[str, float] = {}
    for seconds, test in _DURATION.findall(log):
        taken[test] = taken.get(test, 0.0) + float(seconds)
    return sorted(test for test, seconds in taken.items() if seconds > SECONDS)


if __name__ == "__main__":
    LIST.write_text("".join(f"{test}\n" for test in listed(Path(sys.argv[1]).read_text(encoding="utf-8"))), "utf-8")
