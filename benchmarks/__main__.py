"""Runs every benchmark and rewrites the tables in docs/performance.md.

python -m benchmarks [--voc FOLDER/VOCdevkit/VOC2012]
"""

from __future__ import annotations

import argparse
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks import boards, forward, loop, predictions, processes, resampling, scoring, startup, stores
from benchmarks.sidebyside import ROUNDS, table
from fcnbench.evaluation.environment import describe

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(description="all benchmarks, into docs/performance.md")
    parser.add_argument("--voc", type=Path, help="a VOC folder with SegmentationClass/, for real label maps as well")
    voc = parser.parse_args().voc
    machine = describe(torch.device("cpu"))
    sections = {
        "machine": f"{datetime.now(UTC):%Y-%m-%d}, {machine.cpu}, {machine.cores} cores, Python "
        f"{platform.python_version()}, numpy {np.__version__}, PyTorch {torch.__version__}; {ROUNDS} rounds.",
        "startup": startup.table(),
        "scoring": table(scoring.measure(None)),
        "forward": table(forward.measure()),
        "loop": "\n".join(_loop(None)),
        "processes": processes.table(),
        "resampling": table([resampling.against_scipy()]),
        "resampling-whole": resampling.whole(),
        "boards": boards.boards() + ("" if voc is None else f"\n{boards.report(voc)}"),
    }
    if voc is not None:
        sections["scoring-voc"] = table(scoring.measure(voc)[:2])
        sections["loop-voc"] = "\n".join(_loop(voc))
        sections["predictions"] = table(predictions.measure(voc))
        sections["reading"] = table(stores.reading(voc))
        sections["canonicalising"] = stores.canonicalising(voc)
    page = PAGE.read_text()
    for name, text in sections.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page, count = re.subn(pattern, lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE} has no place for the section {name}")
    PAGE.write_text(page)
    print(page)


def _loop(voc: Path | None) -> list[str]:
    rows, ratios = loop.measure(voc)
    return [table(rows), "", loop.report(ratios)]


if __name__ == "__main__":
    main()
