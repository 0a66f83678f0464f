"""Run all benchmarks and rewrite the tables in docs/performance.md.

python -m benchmarks [--voc FOLDER/VOCdevkit/VOC2012] [--only SECTION ...]
"""

from __future__ import annotations

import argparse
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import boards, forward, loop, predictions, processes, resampling, scoring, startup, stores
from benchmarks.sidebyside import ROUNDS, table
from fcnbench.evaluation.environment import describe

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def sections(voc: Path | None) -> dict[str, Callable[[], str]]:
    """Return a function for every section of the page that returns its text.

    Args:
        voc: a VOC folder; None leaves out the sections that need real images or label maps.
    """
    makers: dict[str, Callable[[], str]] = {
        "machine": _machine,
        "startup": startup.table,
        "forward": lambda: table(forward.measure()),
        "loop": lambda: _loop(None),
        "processes": processes.table,
        "scoring": lambda: table(scoring.measure(None)),
        "resampling": lambda: table([resampling.against_scipy()]),
        "resampling-whole": resampling.whole,
        "boards": lambda: boards.boards() + ("" if voc is None else f"\n{boards.report(voc)}"),
    }
    if voc is not None:
        makers |= {
            "loop-voc": lambda: _loop(voc),
            "steps": lambda: loop.steps(voc),
            "scoring-voc": lambda: table(scoring.measure(voc)[:2]),
            "predictions": lambda: table(predictions.measure(voc)),
            "reading": lambda: table(stores.reading(voc)),
            "canonicalising": lambda: stores.canonicalising(voc),
        }
    return makers


def _machine() -> str:
    machine = describe(torch.device("cpu"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine.cpu}, {machine.cores} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}, PyTorch {torch.__version__}; {ROUNDS} rounds unless another number is given."
    )


def _loop(voc: Path | None) -> str:
    rows, ratios = loop.measure(voc)
    return "\n".join([table(rows), "", loop.report(ratios)])


def _with_text(text: str, match: re.Match[str]) -> str:
    return f"{match[1]}{text}\n{match[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="run all benchmarks and rewrite the tables in docs/performance.md")
    parser.add_argument("--voc", type=Path, help="a VOC folder: adds the sections that need real images and label maps")
    parser.add_argument("--only", nargs="+", metavar="SECTION", help="rewrite only these sections of the page")
    options = parser.parse_args()
    makers = sections(options.voc)
    for name in options.only or makers:
        if name not in makers:
            raise SystemExit(f"there is no section {name}; the sections are {', '.join(makers)}")
        text = makers[name]()
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        section = re.compile(pattern, re.DOTALL)
        page, count = section.subn(partial(_with_text, text), PAGE.read_text())
        if count != 1:
            raise SystemExit(f"{PAGE} needs exactly one pair of markers `<!-- {name} -->` and `<!-- end -->`")
        PAGE.write_text(page)
        print(f"## {name}\n{text}\n", flush=True)


if __name__ == "__main__":
    main()
