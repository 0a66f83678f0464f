"""The evaluation loop around the forward pass: what it adds, and against a plain sequential loop.

    python -m benchmarks.loop [--voc FOLDER/VOCdevkit/VOC2012]

The network is a stand-in, since the rest is measured. One sleeps 10 ms a picture without the interpreter's lock, as if
it ran on another device: the wall time of the loop over the summed forward times is what everything else costs. The
other answers at once: what is left is decoding, preparing, argmax, counting and the journal, held against the way of
`torchfcn`'s evaluation (Pillow, mean subtracted in float64, argmax by PyTorch, `fast_hist`). Pictures are JPEGs of
375x500, drawn here, or real ones with `--voc`.
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
from fcnbench.datasets.registry import find_dataset
from fcnbench.datasets.store.dataset import Dataset
from fcnbench.evaluation.host_argmax import KnownLabelMap
from fcnbench.evaluation.journal import Journal
from fcnbench.evaluation.loop import evaluate, scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.labelspace import voc_palette
from fcnbench.models.preprocess import VOC_MEAN_BGR, caffe_bgr
from fcnbench.records.evaluation import Evaluation

PICTURES = 64
SLEEP = 0.01
ROUNDS = 7


class StandIn:
    """A network that takes a given time and answers with logits made before, each in memory of its own.

    Args:
        seconds: of a forward pass.
        sizes: heights and widths of the images of one round.
    """

    num_classes = CLASSES

    def __init__(self, seconds: float, sizes: Sequence[tuple[int, int]]) -> None:
        self.seconds, self.sizes = seconds, sizes
        self.made: dict[tuple[int, int], Tensor] = {}
        self.stock: dict[tuple[int, int], list[Tensor]] = {}
        for size in sizes:
            coarse = torch.randn((1, CLASSES, size[0] // 8 + 1, size[1] // 8 + 1), generator=torch.manual_seed(0))
            self.made[size] = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").contiguous()

    def fill(self) -> None:
        """Make the answers of one round."""
        self.stock = {size: [] for size in self.made}
        for size in self.sizes:
            self.stock[size].append(self.made[size].clone())

    def prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """As the papers' nets are prepared for."""
        return caffe_bgr(image)

    def logits(self, batch: Tensor) -> Tensor:
        """The next logits of this size."""
        time.sleep(self.seconds)
        height, width = batch.shape[-2:]
        return self.stock[height, width].pop()


def drawn(folder: Path, count: int = PICTURES) -> Path:
    """A VOC folder of drawn pictures with the size and the weight of real ones."""
    for name in ("JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    for index, sample_id in enumerate(find_dataset("voc2011val").split.ids[:count]):
        random = np.random.default_rng(index)
        rough = random.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
        picture = Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        picture.save(folder / "JPEGImages" / f"{sample_id}.jpg", quality=90)
        label = Image.fromarray(mosaic(index))
        label.putpalette([value for colour in voc_palette(256) for value in colour])
        label.save(folder / "SegmentationClass" / f"{sample_id}.png")
    return folder


def sequential(folder: Path, ids: tuple[str, ...], model: StandIn) -> NDArray[np.int64]:
    """One picture after the other, as `torchfcn` evaluates."""
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


def looped(data: Dataset, model: StandIn) -> Evaluation:
    """The same by fcnbench's loop, with its journal."""
    pipeline = ImagePipeline(model, data, torch.device("cpu"))
    with Journal({"benchmark": "loop"}, pipeline.specs) as journal:
        found = evaluate(pipeline, scorable(data), journal, 0)
        journal.forget()
    return found


def sizes(data: Dataset) -> list[tuple[int, int]]:
    """Heights and widths of the images."""
    found = [data[place].label.shape for place in scorable(data)]
    return [(height, width) for height, width in found]


def steps(voc: Path) -> str:
    """CPU time of the loop's steps, each by itself on one thread, as a Markdown table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        data = load_dataset("voc2011val", subset(voc, Path(scratch) / "VOC2012", None), allow_partial=True)
        model, places = StandIn(0, sizes(data)), scorable(data)
        model.fill()
        pipeline = ImagePipeline(model, data, torch.device("cpu"))
        answers = [pipeline.forward(pipeline.read([place]))[0] for place in places]
        # Without the argmax: its answer is there already.
        known = [replace(each, prediction=KnownLabelMap(each.prediction.wait())) for each in answers]
        scored = [pipeline.score(each) for each in answers]

        def journal() -> None:
            with Journal({"benchmark": "steps"}, pipeline.specs) as opened:
                for each in scored:
                    opened.add(each)
                opened.forget()

        works: dict[str, Callable[[], object]] = {
            "read, check, decode, prepare": lambda: [len(pipeline.read([place])) for place in places],
            "argmax of 21 planes": lambda: [each.prediction.wait().size for each in answers],
            "count and digest": lambda: [pipeline.score(each) for each in known],
            "journal": journal,
        }
        lines = []
        for what, work in works.items():
            taken = []
            for _ in range(1 + ROUNDS):
                started = time.process_time()
                work()
                taken.append((time.process_time() - started) / len(places))
            median = statistics.median(taken[1:])
            lines.append(f"| {what} | {1e3 * median:.2f} | {1 / median:,.0f} |")
    return "\n".join(["| step | ms per image | images/s and core |", "| --- | --- | --- |", *lines])


def overhead(data: Dataset) -> list[float]:
    """Wall time over summed forward times with the sleeping stand-in, once a round."""
    model = StandIn(SLEEP, sizes(data))
    ratios = []
    for _ in range(1 + ROUNDS):
        model.fill()
        timing = looped(data, model).timing
        ratios.append(timing.seconds / (sum(timing.phases["forward"]) / 1e3))
    return ratios[1:]


def measure(voc: Path | None) -> tuple[list[Row], list[float]]:
    """Against the sequential loop, in CPU time and in wall time; and the overhead beside a slow device."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        target = Path(scratch) / "VOC2012"
        folder = drawn(target) if voc is None else subset(voc, target, None)
        data = load_dataset("voc2011val", folder, allow_partial=True)
        ids = tuple(data.ids[place] for place in scorable(data))
        model, found = StandIn(0, sizes(data)), []
        for way in (lambda: looped(data, model).matrices.sum(axis=0), lambda: sequential(folder, ids, model)):
            model.fill()
            found.append(way())
        np.testing.assert_array_equal(*found)
        rows = [
            compare(
                f"{len(ids)} images, a network that takes no time, {name}",
                lambda: looped(data, model),
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
    """The overhead as a Markdown table."""
    median, worst = statistics.median(ratios), max(ratios)
    head = "| what | median | largest | goal |\n| --- | --- | --- | --- |\n"
    return head + f"| wall time over summed forward times, 10 ms per image | {median:.3f} | {worst:.3f} | 1.05 |"


def main() -> None:
    parser = argparse.ArgumentParser(description="the loop around the forward pass")
    parser.add_argument("--voc", type=Path, help="a VOC folder with JPEGImages/ and SegmentationClass/")
    rows, ratios = measure(parser.parse_args().voc)
    print(table(rows))
    print(report(ratios))


if __name__ == "__main__":
    main()
