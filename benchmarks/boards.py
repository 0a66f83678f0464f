"""Time and memory of building a board of 10,000 records, and time of writing a report of 736 images.

python -m benchmarks.boards [--voc FOLDER/VOCdevkit/VOC2012]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

import fcnbench
from fcnbench.datasets.codec.images import decode_label, encode_label

RECORDS = 10_000

_BUILD = """
import sys, time
from pathlib import Path
import fcnbench
started = time.perf_counter()
(path,) = fcnbench.board(sys.argv[1])
seconds = time.perf_counter() - started
status = Path("/proc/self/status").read_text()
print(seconds, next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


def boards() -> str:
    """Return a Markdown table: time and peak memory of a process that builds a board of `RECORDS` runs on `pocket`."""
    with tempfile.TemporaryDirectory() as scratch:
        run = fcnbench.run(board=Path(scratch) / "one", trials=1)
        content = json.loads(run.path.read_text())
        for number in range(RECORDS):
            content["run"], content["model"]["name"] = f"run-{number:05d}", f"model-{number % 100}"
            folder = Path(scratch) / f"many/submissions/model-{number % 100}/pocket/run-{number:05d}"
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(json.dumps(content))
        command = [sys.executable, "-c", _BUILD, f"{scratch}/many"]
        seconds, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return _table("board of 10,000 records", float(seconds), 10, int(memory) / 1024, 500)


def report(voc: Path) -> str:
    """Return a table row: the time of writing a report of seg11valid, with trimap curves and example images.

    The predictions are the label maps, shifted by five columns.
    """
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        maps = Path(scratch) / "maps"
        maps.mkdir()
        data = fcnbench.load_dataset("voc2011val", voc, allow_partial=True)
        for sample_id in data.ids:
            label = decode_label((voc / "SegmentationClass" / f"{sample_id}.png").read_bytes(), sample_id)
            shifted = np.roll(label, 5, axis=1)
            prediction = np.where(shifted == 255, 0, shifted).astype(np.uint8)
            (maps / f"{sample_id}.png").write_bytes(encode_label(prediction))
        run = fcnbench.score(maps, "voc2011val", board=scratch)
        started = time.perf_counter()
        path = fcnbench.report(run.path, predictions=maps, output=Path(scratch) / "report.html")
        seconds = time.perf_counter() - started
        size = path.stat().st_size / 2**20
    return f"| report of {len(data)} images, {size:.1f} MiB | {seconds:.1f} | 30 |  |  |"


def _table(name: str, seconds: float, goal: float, memory: float, memory_goal: float) -> str:
    head = "| measurement | seconds | goal, s | peak memory, MiB | goal, MiB |\n| --- | --- | --- | --- | --- |"
    return f"{head}\n| {name} | {seconds:.1f} | {goal:g} | {memory:.0f} | {memory_goal:g} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="time building a board and writing a report")
    parser.add_argument(
        "--voc", type=Path, help="a VOC folder with JPEGImages/ and SegmentationClass/, for a report as well"
    )
    voc = parser.parse_args().voc
    print(boards())
    if voc is not None:
        print(report(voc))


if __name__ == "__main__":
    main()
