"""The evaluation loop around the forward pass: its overhead, and its time against a sequential loop.

    python -m benchmarks.loop [--voc FOLDER/VOCdevkit/VOC2012]

Two stand-ins replace the network, so that only the rest is measured:

- One sleeps 10 ms per image and releases the interpreter's lock, like a network on another device. The wall time of the
  loop is divided by the sum of the forward times; the excess over 1 is the overhead of the loop.
- The other returns at once. Decoding, preprocessing, argmax, counting and the journal remain. Their time is compared
  with that of a loop like `torchfcn`'s (Pillow, mean subtracted in float64, argmax by PyTorch, `fast_hist`).

The images are generated JPEGs of 375x500, or real ones with `--voc`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.scoring import CLASSES, HEIGHT, WIDTH, fast_hist, mosaic
from benchmarks.sidebyside import Row, compare, table
from benchmarks.stores import subset
from fcnbench.datasets.load import load_dataset
from fcnbench.datasets.splits import published_split
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.evaluation.host_argmax import KnownLabelMap
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.labelspace import voc_palette
from fcnbench.models.preprocess import VOC_MEAN_BGR, caffe_bgr
from fcnbench.records.evaluation import Evaluation

IMAGES = 64
"""Number of generated images."""

SLEEP = 0.01
"""Seconds that the slow stand-in takes per image."""

ROUNDS = 7


class StandIn:
    """A segmenter that takes a given time per image and returns logits from a stock.

    Every forward pass returns other memory, as a real network does. `fill` makes the stock of one round.

    Args:
        seconds: duration of a forward pass.
        sizes: heights and widths of the images of one round.
    """

    num_classes = CLASSES

    def __init__(self, seconds: float, sizes: Sequence[tuple[int, int]]) -> None:
        self.seconds, self.sizes = seconds, sizes
        self.templates: dict[tuple[int, int], Tensor] = {}
        self.stock: dict[tuple[int, int], list[Tensor]] = {}
        for size in sizes:
            coarse = torch.randn((1, CLASSES, size[0] // 8 + 1, size[1] // 8 + 1), generator=torch.manual_seed(0))
            self.templates[size] = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").contiguous()

    def fill(self) -> None:
        """Make the logits of one round."""
        self.stock = {size: [] for size in self.templates}
        for size in self.sizes:
            self.stock[size].append(self.templates[size].clone())

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """Preprocess an image as for the networks of the papers."""
        return caffe_bgr(image)

    def logits(self, batch: Tensor) -> Tensor:
        """Wait, and take the next logits of this size from the stock."""
        time.sleep(self.seconds)
        height, width = batch.shape[-2:]
        return self.stock[height, width].pop()


def generate_voc(folder: Path, count: int = IMAGES) -> Path:
    """Write a VOC folder of generated images, whose sizes in pixels and in bytes are like those of real ones."""
    for name in ("JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    for index, sample_id in enumerate(published_split("seg11valid").ids[:count]):
        random = np.random.default_rng(index)
        rough = random.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
        image = Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        image.save(folder / "JPEGImages" / f"{sample_id}.jpg", quality=90)
        label = Image.fromarray(mosaic(index))
        label.putpalette([value for colour in voc_palette(256) for value in colour])
        label.save(folder / "SegmentationClass" / f"{sample_id}.png")
    return folder


def sequential(folder: Path, ids: tuple[str, ...], model: StandIn) -> NDArray[np.int64]:
    """Evaluate one image after the other, as `torchfcn` does, and return the summed confusion matrix."""
    total = np.zeros((CLASSES, CLASSES), np.int64)
    mean = np.array(VOC_MEAN_BGR)
    for sample_id in ids:
        with Image.open(folder / "JPEGImages" / f"{sample_id}.jpg") as opened:
            image = np.array(opened, dtype=np.uint8)
        with Image.open(folder / "SegmentationClass" / f"{sample_id}.png") as opened:
            label = np.array(opened, dtype=np.int32)
        label[label == 255] = -1
        pixels = image[:, :, ::-1].astype(np.float64)
        pixels -= mean
        batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float()[None]
        scores = model.logits(batch)
        prediction = scores.max(1)[1].numpy()[0]
        total += fast_hist(label, prediction, CLASSES)
    return total


def pipelined(data: Dataset, model: StandIn) -> Evaluation:
    """Evaluate the same images by fcnbench's loop, with a journal."""
    pipeline = ImagePipeline(model, data, torch.device("cpu"))
    with Journal({"benchmark": "loop"}, pipeline.specs) as journal:
        evaluation = evaluate(pipeline, scorable(data), journal, 0)
        journal.forget()
    return evaluation


def sizes(data: Dataset) -> list[tuple[int, int]]:
    """Return the heights and widths of the images."""
    shapes = [data[index].label.shape for index in scorable(data)]
    return [(height, width) for height, width in shapes]


def steps(voc: Path) -> str:
    """Measure the CPU time of every step of the loop separately, on one thread; return a Markdown table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        data = load_dataset("voc2011val", subset(voc, Path(scratch) / "VOC2012", None), allow_partial=True)
        model, indices = StandIn(0, sizes(data)), scorable(data)
        model.fill()
        pipeline = ImagePipeline(model, data, torch.device("cpu"))
        outputs = [pipeline.forward(pipeline.read([index]))[0] for index in indices]
        # The same outputs with finished label maps: scoring them computes no argmax.
        finished = [replace(output, prediction=KnownLabelMap(output.prediction.wait())) for output in outputs]
        results = [pipeline.score(output) for output in outputs]

        def journal() -> None:
            with Journal({"benchmark": "steps"}, pipeline.specs) as opened:
                for result in results:
                    opened.add(result)
                opened.forget()

        functions: dict[str, Callable[[], object]] = {
            "read, check, decode, preprocess": lambda: [len(pipeline.read([index])) for index in indices],
            "argmax of 21 planes": lambda: [output.prediction.wait().size for output in outputs],
            "count and digest": lambda: [pipeline.score(output) for output in finished],
            "journal": journal,
        }
        lines = []
        for name, function in functions.items():
            samples = []
            for _ in range(1 + ROUNDS):
                started = time.process_time()
                function()
                samples.append((time.process_time() - started) / len(indices))
            median = statistics.median(samples[1:])
            lines.append(f"| {name} | {1e3 * median:.2f} | {1 / median:,.0f} |")
    return "\n".join(["| step | ms per image | images/s per core |", "| --- | --- | --- |", *lines])


def overhead(data: Dataset) -> list[float]:
    """Return the wall time over the summed forward times with the sleeping stand-in, per round."""
    model = StandIn(SLEEP, sizes(data))
    ratios = []
    for _ in range(1 + ROUNDS):
        model.fill()
        timing = pipelined(data, model).timing
        ratios.append(timing.seconds / (sum(timing.phases["forward"]) / 1e3))
    return ratios[1:]


def measure(voc: Path | None) -> tuple[list[Row], list[float]]:
    """Compare with the sequential loop in CPU time and wall time, and measure the overhead on a slow device."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        target = Path(scratch) / "VOC2012"
        folder = generate_voc(target) if voc is None else subset(voc, target, None)
        data = load_dataset("voc2011val", folder, allow_partial=True)
        ids = tuple(data.ids[index] for index in scorable(data))
        model = StandIn(0, sizes(data))
        model.fill()
        matrix = pipelined(data, model).matrices.sum(axis=0)
        model.fill()
        np.testing.assert_array_equal(matrix, sequential(folder, ids, model))
        rows = [
            compare(
                f"{len(ids)} images, a network that takes no time, {name}",
                lambda: pipelined(data, model),
                lambda: sequential(folder, ids, model),
                "`torchfcn`-style loop",
                len(ids),
                goal,
                clock=clock,
                rounds=ROUNDS,
                prepare=model.fill,
            )
            for name, clock, goal in (("CPU time", time.process_time, 4.0), ("wall time", time.perf_counter, 4.0))
        ]
        return rows, overhead(data)


def report(ratios: list[float]) -> str:
    """Return the overhead as a Markdown table."""
    median, largest = statistics.median(ratios), max(ratios)
    head = "| measurement | median | largest | goal |\n| --- | --- | --- | --- |\n"
    return head + f"| wall time over summed forward times, 10 ms per image | {median:.3f} | {largest:.3f} | 1.05 |"


def main() -> None:
    parser = argparse.ArgumentParser(description="time the evaluation loop around the forward pass")
    parser.add_argument("--voc", type=Path, help="a VOC folder with JPEGImages/ and SegmentationClass/")
    rows, ratios = measure(parser.parse_args().voc)
    print(table(rows))
    print(report(ratios))


if __name__ == "__main__":
    main()
