"""Reading a store against opening the plain files with Pillow, and the speed and memory of canonicalising.

    python -m benchmarks.stores --voc FOLDER/VOCdevkit/VOC2012

Every picture of the folder with its label map is read, from a store made of just these, and from the files; all pixels
are compared first. Then the folder's label maps are canonicalised in processes of their own, a few of them and all.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.sidebyside import Row, compare, table
from fcnbench.datasets.codec import images as pictures
from fcnbench.datasets.codec.jpeg import fast_jpeg_decoder
from fcnbench.datasets.load import load_dataset

_CANONICALISE = """
import sys, time
from pathlib import Path
from fcnbench.datasets.load import load_dataset
started, cpu = time.perf_counter(), time.process_time()
data = load_dataset("voc2012val", Path(sys.argv[1]), allow_partial=True)
took, cpu = time.perf_counter() - started, time.process_time() - cpu
# Not getrusage's figure, which begins with what the parent process had.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(len(data), took, cpu, int(peak.split()[1]) / 1024)
"""


def reading(voc: Path) -> list[Row]:
    """Picture and label map of every sample, from the store and from plain files."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        small = subset(voc, Path(scratch) / "VOC2012", None)
        data = load_dataset("voc2011val", small, allow_partial=True)

        def plain_files() -> list[tuple[np.ndarray, np.ndarray]]:
            found = []
            for sample_id in data.ids:
                with Image.open(small / "JPEGImages" / f"{sample_id}.jpg") as picture:
                    image = np.array(picture.convert("RGB"))
                with Image.open(small / "SegmentationClass" / f"{sample_id}.png") as label:
                    found.append((image, np.array(label)))
            return found

        def store() -> list[object]:
            return [data[place] for place in range(len(data))]

        def store_by_pillow() -> list[object]:
            with mock.patch.object(pictures, "fast_decode_jpeg", return_value=None):
                return store()

        ways: list[tuple[str, Callable[[], list[object]], float]] = [("Pillow", store_by_pillow, 1 / 1.05)]
        if fast_jpeg_decoder() is not None:
            ways.append(("simplejpeg", store, 1.25))
        rows = []
        for name, ours, goal in ways:
            for sample, (image, label) in zip(ours(), plain_files(), strict=True):
                np.testing.assert_array_equal(sample.image, image)
                np.testing.assert_array_equal(sample.label, label)
            what = f"image and label map from the store, by {name}"
            rows.append(compare(what, ours, plain_files, "Pillow on plain files", len(data), goal))
        return rows


def canonicalising(voc: Path) -> str:
    """Label maps per second, and memory, for a part of the folder and for all of it."""
    lines = [
        "| label maps | seconds | per second | per second and core | memory, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for count in (145, None):
        with tempfile.TemporaryDirectory() as scratch:
            folder = subset(voc, Path(scratch) / "VOC2012", count, images=False)
            environment = os.environ | {"FCNBENCH_HOME": f"{scratch}/home"}
            command = [sys.executable, "-c", _CANONICALISE, str(folder)]
            shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            done, seconds, cpu, memory = (float(word) for word in shown.split())
        lines.append(f"| {done:,.0f} | {seconds:.2f} | {done / seconds:,.0f} | {done / cpu:,.0f} | {memory:.0f} |")
    return "\n".join(lines)


def subset(voc: Path, target: Path, count: int | None, images: bool = True) -> Path:
    """Copy the samples that have a picture, or so many label maps alone, into a folder of their own."""
    kinds = (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")) if images else (("SegmentationClass", ".png"),)
    leading = voc / kinds[0][0]
    for path in sorted(leading.iterdir())[:count]:
        for folder, ending in kinds:
            (target / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(voc / folder / f"{path.stem}{ending}", target / folder)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="stores: reading and canonicalising")
    parser.add_argument("--voc", type=Path, required=True, help="a VOC folder with JPEGImages/ and SegmentationClass/")
    voc = parser.parse_args().voc
    print(table(reading(voc)))
    print(canonicalising(voc))


if __name__ == "__main__":
    main()
