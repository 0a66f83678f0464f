"""Reading a store, against opening plain files with Pillow; and the speed and memory of canonicalising.

    python -m benchmarks.stores --voc FOLDER/VOCdevkit/VOC2012

Every image of the folder and its label map are read from a store built of them, and from the files. Before the timing,
all pixels are compared. Then the folder's label maps are canonicalised in a separate process: first a part, then all.
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
from fcnbench.datasets.codec import images as image_codec
from fcnbench.datasets.codec.jpeg import fast_jpeg_decoder
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.store.dataset import Sample

_CANONICALISE = """
import sys, time
from pathlib import Path
from fcnbench.datasets.load import load_dataset
started, cpu = time.perf_counter(), time.process_time()
data = load_dataset("voc2012val", Path(sys.argv[1]), allow_partial=True)
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
# VmHWM, since the peak of getrusage includes the memory of the parent process.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(len(data), seconds, cpu, int(peak.split()[1]) / 1024)
"""


def reading(voc: Path) -> list[Row]:
    """Compare reading image and label map of every sample from the store and from plain files."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        small = subset(voc, Path(scratch) / "VOC2012", None)
        data = load_dataset("voc2011val", small, allow_partial=True)

        def plain_files() -> list[tuple[np.ndarray, np.ndarray]]:
            samples = []
            for sample_id in data.ids:
                with Image.open(small / "JPEGImages" / f"{sample_id}.jpg") as opened:
                    image = np.array(opened.convert("RGB"))
                with Image.open(small / "SegmentationClass" / f"{sample_id}.png") as opened:
                    samples.append((image, np.array(opened)))
            return samples

        def store() -> list[Sample]:
            return [data[index] for index in range(len(data))]

        def store_by_pillow() -> list[Sample]:
            with mock.patch.object(image_codec, "fast_decode_jpeg", return_value=None):
                return store()

        readers: list[tuple[str, Callable[[], list[Sample]], float]] = [("Pillow", store_by_pillow, 1 / 1.05)]
        if fast_jpeg_decoder() is not None:
            readers.append(("simplejpeg", store, 1.25))
        rows = []
        for name, ours, goal in readers:
            for sample, (image, label) in zip(ours(), plain_files(), strict=True):
                np.testing.assert_array_equal(sample.image, image)
                np.testing.assert_array_equal(sample.label, label)
            title = f"image and label map from the store, by {name}"
            rows.append(compare(title, ours, plain_files, "Pillow on plain files", len(data), goal))
        return rows


def canonicalising(voc: Path) -> str:
    """Return a Markdown table: speed and peak memory for a part of the label maps and for all of them."""
    lines = [
        "| label maps | seconds | label maps/s | label maps/s per core | peak memory, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for count in (145, None):
        with tempfile.TemporaryDirectory() as scratch:
            folder = subset(voc, Path(scratch) / "VOC2012", count, images=False)
            environment = os.environ | {"FCNBENCH_HOME": f"{scratch}/home"}
            command = [sys.executable, "-c", _CANONICALISE, str(folder)]
            output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            labels, seconds, cpu, memory = (float(word) for word in output.split())
        lines.append(
            f"| {labels:,.0f} | {seconds:.2f} | {labels / seconds:,.0f} | {labels / cpu:,.0f} | {memory:.0f} |"
        )
    return "\n".join(lines)


def subset(voc: Path, target: Path, count: int | None, images: bool = True) -> Path:
    """Copy samples of a VOC folder into a new folder, and return it.

    Args:
        voc: the VOC folder.
        target: the new folder.
        count: number of samples, the first by name; None copies all.
        images: copy images with their label maps; otherwise only label maps.
    """
    kinds = (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")) if images else (("SegmentationClass", ".png"),)
    leading = voc / kinds[0][0]
    for path in sorted(leading.iterdir())[:count]:
        for folder, ending in kinds:
            (target / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(voc / folder / f"{path.stem}{ending}", target / folder)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="time reading and building stores")
    parser.add_argument("--voc", type=Path, required=True, help="a VOC folder with JPEGImages/ and SegmentationClass/")
    voc = parser.parse_args().voc
    print(table(reading(voc)))
    print(canonicalising(voc))


if __name__ == "__main__":
    main()
