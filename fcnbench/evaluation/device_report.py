"""The measurements for the report of a device: its integers, its speed, and pixels that flip in other precisions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import torch

from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.device import move
from fcnbench.evaluation.device_measurements import ForwardPass, measure_forward, measure_loop, supported_precisions
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.loop import scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.pocket_check import DATASET, MODEL, check_pocket
from fcnbench.evaluation.precision import FP32, Precision
from fcnbench.evaluation.reproducibility import check_reproducibility
from fcnbench.evaluation.roofline import work_of
from fcnbench.evaluation.timing import paper_batch
from fcnbench.models.fcn.fast import without_fast_path
from fcnbench.models.load import open_model
from fcnbench.records.device_report import FORMAT, DeviceReport, ForwardMeasurement
from fcnbench.util.console import note
from fcnbench.util.version import __version__

LARGE, LARGE_WEIGHTS = "fcn8s", "random:0"
"""The second network that is timed, of the papers' size. Its weights do not matter for the time."""

_ROUNDS = {"accelerator": 20, "cpu": 3}
"""Timed forward passes: a CPU takes seconds for one of the large network."""

_LARGE_IMAGES = {"accelerator": 64, "cpu": 3}
"""Images of the loop with the large network."""


def measure_device(device: torch.device) -> DeviceReport:
    """Check and time a device, which takes about a minute on two CPU cores and less on a GPU.

    Raises:
        ModelError: a forward pass failed on it.
    """
    started, created = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    data = load_dataset(DATASET)
    classes, indices = data.label_space.num_classes, scorable(data)
    pipeline = ImagePipeline(open_model(MODEL).segmenter, data, device)
    note(f"1 of 4: {MODEL} on {DATASET}, {len(indices)} images, against the expected integers and the CPU")
    pocket_loop, evaluation = measure_loop(pipeline, indices, MODEL)
    check = check_pocket(pipeline, indices, evaluation)
    note("2 of 4: reproducibility in every precision")
    flips = {
        precision: check_reproducibility(pipeline, indices, Precision(precision), every=precision == "fp32")
        for precision in supported_precisions(device)
    }
    note(f"3 of 4: forward passes at 500x500 of {MODEL} and {LARGE} (half a minute or more on a CPU)")
    forward = tuple(_measure_networks(device))
    note(f"4 of 4: the evaluation loop with {LARGE}")
    large = ImagePipeline(open_model(LARGE, LARGE_WEIGHTS, classes).segmenter, data, device)
    few = indices[: _by_type(_LARGE_IMAGES, device)]
    loop = (pocket_loop, measure_loop(large, few, LARGE)[0])
    seconds = round(time.perf_counter() - started, 1)
    return DeviceReport(
        format=FORMAT,
        created=created,
        fcnbench=__version__,
        seconds=seconds,
        environment=describe(device),
        check=check,
        forward=forward,
        loop=loop,
        flips=flips,
    )


def _measure_networks(device: torch.device) -> Iterator[ForwardMeasurement]:
    """Time both networks on the fast path, which a run takes, too."""
    for name, weights in ((MODEL, None), (LARGE, LARGE_WEIGHTS)):
        segmenter = open_model(name, weights).segmenter
        move(segmenter, device)
        with FP32.applied(device):
            batch = paper_batch(segmenter, device)
            reference = without_fast_path(segmenter).logits(batch).cpu().argmax(1)
            flops = work_of(segmenter, batch).flops
        passes = {name: ForwardPass(segmenter.logits, flops)}
        yield from measure_forward(passes, batch, reference, _by_type(_ROUNDS, device))


def _by_type(counts: dict[str, int], device: torch.device) -> int:
    return counts["cpu" if device.type == "cpu" else "accelerator"]
