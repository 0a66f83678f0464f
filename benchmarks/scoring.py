"""Confusion matrix and argmax, against the reference implementation.

    python -m benchmarks.scoring [--voc FOLDER/VOCdevkit/VOC2012]

The peer is the definition in the papers' `score.py`: `numpy.argmax` over the class axis, then `numpy.bincount` over
classes * truth + prediction where the ground truth is a class. With `--voc`, the smooth label maps are real ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.sidebyside import Row, compare, table
from fcnbench.datasets.families.pocket.generator import draw
from fcnbench.metrics.argmax import argmax_map
from fcnbench.metrics.confusion import confusion_matrix

CLASSES = 21
HEIGHT, WIDTH = 375, 500
"""The most common image size in PASCAL VOC."""

MAPS = 20
"""Number of label maps."""

Labels = NDArray[np.uint8]
Count = Callable[[Labels, Labels, int], NDArray[np.int64]]


def fast_hist(truth: NDArray[np.integer], prediction: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix by the reference definition."""
    valid = (truth >= 0) & (truth < classes)
    codes = classes * truth[valid].astype(int) + prediction[valid]
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)


def smooth_truths(voc: Path | None) -> list[Labels]:
    """Return realistic label maps: real ones from a VOC folder, or mosaics of pocket's."""
    if voc is not None:
        from PIL import Image

        paths = sorted((voc / "SegmentationClass").glob("*.png"))[:MAPS]
        return [np.asarray(Image.open(path)) for path in paths]
    return [mosaic(index) for index in range(MAPS)]


def mosaic(index: int) -> Labels:
    """Return a label map of pocket, repeated to the size of a VOC image."""
    return np.tile(draw("train", index)[1], (4, 5))[:HEIGHT, :WIDTH].copy()


def shifted(truth: Labels) -> Labels:
    """Return a prediction that is wrong along the outlines: the label map shifted by five columns, void set to 0."""
    labels = np.roll(truth, 5, 1)
    return np.where(labels == 255, 0, labels).astype(np.uint8)


def upsampled_logits(random: np.random.Generator) -> NDArray[np.float32]:
    """Return logits [C, H, W] like those of an FCN-8s: random scores at stride 8, up-sampled bilinearly."""
    import torch

    coarse = torch.from_numpy(random.standard_normal((1, CLASSES, 48, 64), dtype=np.float32))
    fine = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return fine[0, :, :HEIGHT, :WIDTH].contiguous().numpy()


def _count(count: Count, pairs: list[tuple[Labels, Labels]]) -> None:
    for truth, prediction in pairs:
        count(truth, prediction, CLASSES)


def _count_argmax(
    count: Count, truth: Labels, argmax: Callable[[NDArray[np.float32]], Labels], planes: list[NDArray[np.float32]]
) -> None:
    for logits in planes:
        count(truth, argmax(logits), CLASSES)


def _numpy_argmax(logits: NDArray[np.float32]) -> Any:
    return logits.argmax(0)


def measure(voc: Path | None) -> list[Row]:
    """Make all comparisons; results are checked for equality first."""
    import torch

    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    truths = smooth_truths(voc)
    kinds = {
        "smooth predictions": [shifted(truth) for truth in truths],
        "noise": [random.integers(0, CLASSES, truth.shape, np.uint8) for truth in truths],
    }
    rows = []
    for (kind, predictions), goal in zip(kinds.items(), (4.0, 1.5), strict=True):
        pairs = list(zip(truths, predictions, strict=True))
        for pair in pairs:
            np.testing.assert_array_equal(confusion_matrix(*pair, CLASSES), fast_hist(*pair, CLASSES))
        rows.append(
            compare(
                f"confusion matrix, {kind}",
                partial(_count, confusion_matrix, pairs),
                partial(_count, fast_hist, pairs),
                "`fast_hist`",
                len(pairs),
                goal,
            )
        )
    truth = mosaic(0)
    for kind, make in (
        ("FCN-8s-like logits", upsampled_logits),
        ("noise logits", lambda random: random.standard_normal((CLASSES, HEIGHT, WIDTH), dtype=np.float32)),
    ):
        planes = [make(random) for _ in range(4)]
        for logits in planes:
            np.testing.assert_array_equal(argmax_map(logits), logits.argmax(0))
        rows.append(
            compare(
                f"argmax + confusion matrix, {kind}",
                partial(_count_argmax, confusion_matrix, truth, argmax_map, planes),
                partial(_count_argmax, fast_hist, truth, _numpy_argmax, planes),
                "`numpy.argmax` + `fast_hist`",
                len(planes),
                2.5,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="time confusion matrix and argmax against the reference")
    parser.add_argument("--voc", type=Path, help="a VOC folder with SegmentationClass/")
    print(table(measure(parser.parse_args().voc)))


if __name__ == "__main__":
    main()
