"""Scoring of stored predictions, against a plain script, and on two threads against one.

    python -m benchmarks.predictions --voc FOLDER/VOCdevkit/VOC2012

Every label map of the folder is scored against itself. The script opens both PNGs with Pillow and sums `fast_hist` of
the papers' `score.py`. fcnbench also checks every label map against its store's manifest and hashes every prediction.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring import CLASSES, fast_hist
from benchmarks.sidebyside import Row, compare, table
from benchmarks.stores import subset
from fcnbench.datasets.codec import png
from fcnbench.datasets.load import load_dataset
from fcnbench.records.scoring import score_predictions


def measure(voc: Path) -> list[Row]:
    """Compare with the script on one thread, with zlib and libdeflate, and then two threads with one in wall time."""
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        folder = subset(voc, Path(scratch) / "VOC2012", None, images=False)
        data = load_dataset("voc2012val", folder, allow_partial=True)
        maps = folder / "SegmentationClass"

        def script() -> NDArray[np.int64]:
            from PIL import Image

            total = np.zeros((CLASSES, CLASSES), np.int64)
            for sample_id in data.ids:
                with (
                    Image.open(maps / f"{sample_id}.png") as truth,
                    Image.open(maps / f"{sample_id}.png") as prediction,
                ):
                    total += fast_hist(np.array(truth), np.array(prediction), CLASSES)
            return total

        def ours(threads: int = 1) -> NDArray[np.int64]:
            total: NDArray[np.int64] = score_predictions(data, maps, threads=threads).matrices.sum(axis=0)
            return total

        np.testing.assert_array_equal(ours(), script())
        decompressors: list[tuple[str, Callable[[bytes, int], bytes | None]]] = [("zlib", png._unpack_by_zlib)]
        if png._unpack() is not png._unpack_by_zlib:
            decompressors.append(("libdeflate", png._unpack()))
        rows = []
        for name, unpack in decompressors:
            with mock.patch.object(png, "_unpack", return_value=unpack):
                title = f"{len(data):,} real label maps against themselves, {name}"
                rows.append(compare(title, ours, script, "Pillow + `fast_hist`", len(data), 2.0))
        title = "the same on two threads, wall time"
        rows.append(compare(title, lambda: ours(2), ours, "one thread", len(data), 1.3, clock=time.perf_counter))
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="time the scoring of stored predictions")
    parser.add_argument("--voc", type=Path, required=True, help="a VOC folder with SegmentationClass/")
    print(table(measure(parser.parse_args().voc)))


if __name__ == "__main__":
    main()
