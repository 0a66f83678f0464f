"""FCN-8s and the whole evaluation loop on an accelerator, against `torchfcn`'s module. It runs on every device.

    python -m benchmarks.device [--device cuda] [--side 500] [--rounds 20] [--images 300]

All forward passes are timed alternately on one random image, by CUDA events or, on a CPU, by wall time; medians are
reported. Before that, their logits in fp32 must agree. In every precision, the pixels whose class differs from that of
the peer in fp32 are counted. Then the evaluation loop scores generated JPEGs of 375x500, and its images/s are compared
with those of its forward passes alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.forward import assert_close, same_networks
from benchmarks.loop import generate_voc
from fcnbench.datasets.load import load_dataset
from fcnbench.evaluation.device import choose_device, peak_memory
from fcnbench.evaluation.device_measurements import ForwardPass, measure_forward, measure_loop, supported_precisions
from fcnbench.evaluation.environment import describe
from fcnbench.evaluation.loop import scorable
from fcnbench.evaluation.pipeline import ImagePipeline
from fcnbench.evaluation.power import PowerCounters
from fcnbench.evaluation.precision import FP32
from fcnbench.evaluation.roofline import work_of
from fcnbench.models.fcn.fast import FastForward, FastSegmenter
from fcnbench.models.fcn.fcn import FCN
from fcnbench.models.preprocess import caffe_bgr
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.records.device_report import ForwardMeasurement, LoopMeasurement

NAME = "fcn8s"

Forward = Callable[[Tensor], Tensor]


def forward_passes(ours: FCN, peer: nn.Module, compiled: bool) -> dict[str, Forward]:
    """Return the forward passes to compare by name, the peer's first."""
    fast = FastForward(ours)
    passes: dict[str, Forward] = {
        "`torchfcn`": peer,
        "fcnbench, plain": ours,
        "fcnbench, constant band": lambda batch: fast(batch)["out"],
    }
    if compiled:
        passes["`torchfcn`, compiled"] = torch.compile(peer)
        passes["fcnbench, plain, compiled"] = torch.compile(ours)
    return passes


def forwards(device: torch.device, side: int, rounds: int, compiled: bool) -> list[ForwardMeasurement]:
    """Measure every forward pass in every precision that the device supports."""
    ours, peer = same_networks(NAME)
    ours.to(device)
    peer.to(device)
    image = 50 * torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(0)).to(device)
    passes = forward_passes(ours, peer, compiled)
    with FP32.applied(device):
        logits = peer(image)
        for forward in passes.values():
            assert_close(forward(image), logits)
        reference = logits.argmax(1)
    flops = {
        "plain": work_of(ModuleSegmenter(ours), image).flops,
        "band": work_of(FastSegmenter(ModuleSegmenter(ours)), image).flops,
    }
    counted = {
        name: ForwardPass(forward, flops["band" if "band" in name else "plain"]) for name, forward in passes.items()
    }
    return measure_forward(counted, image, reference, rounds)


def loop(device: torch.device, images: int) -> list[LoopMeasurement]:
    """Measure the loop over generated JPEGs in every precision; on a CPU, where the others are slow, only in fp32."""
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        data = load_dataset("voc2011val", generate_voc(Path(scratch) / "VOC2012", images), allow_partial=True)
        ours, _ = same_networks(NAME)
        pipeline = ImagePipeline(FastSegmenter(ModuleSegmenter(ours, caffe_bgr, 21)), data, device)
        precisions = supported_precisions(device) if device.type == "cuda" else ("fp32",)
        return [measure_loop(pipeline, scorable(data), NAME, precision)[0] for precision in precisions]


def report(device: torch.device, side: int, rounds: int, images: int, compiled: bool) -> str:
    """Measure the forward passes and the loop, and return the results as Markdown."""
    environment = describe(device)
    versions = f"PyTorch {torch.__version__}" + (f", CUDA {environment.cuda}" if environment.cuda else "")
    clocks = ", ".join(f"{name} {value}" for name, value in PowerCounters(device).clocks().items())
    results = forwards(device, side, rounds, compiled)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {environment.device_name}, {versions}{f'; {clocks}' if clocks else ''}; {NAME} "
        f"at {side}x{side}, medians of {rounds}.",
        "",
        "| precision | forward pass | ms | times as fast as `torchfcn` | of ceiling | flipped pixels |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        peer = next(other for other in results if other.precision == result.precision)
        lines.append(
            f"| {result.precision} | {result.network} | {result.median:.2f} | "
            f"{peer.median / result.median:.2f}x | {100 * result.of_ceiling:.0f}% | {result.flips:,} of "
            f"{result.pixels:,} |"
        )
    lines += [
        "",
        f"The loop over {images} images of 375x500; peak memory {peak_memory(device) / 2**20:,.0f} MiB.",
        "",
        "| precision | images/s of the loop | images/s of its forward passes alone | ratio | goal |",
        "| --- | --- | --- | --- | --- |",
    ]
    for run in loop(device, images):
        whole, alone = run.images / run.seconds, run.images / run.forward_seconds
        lines.append(f"| {run.precision} | {whole:.1f} | {alone:.1f} | {100 / run.ratio:.1f}% | 95% |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="time FCN-8s and the evaluation loop on a device")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--side", type=int, default=500, help="image size of the forward passes (default: 500)")
    parser.add_argument("--rounds", type=int, default=20, help="timed passes of each network (default: %(default)s)")
    parser.add_argument("--images", type=int, default=300, help="images that the loop scores (default: %(default)s)")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="compiled networks too (default: on CUDA)"
    )
    options = parser.parse_args()
    device = choose_device(options.device)
    compiled = device.type == "cuda" if options.compile is None else options.compile
    print(report(device, options.side, options.rounds, options.images, compiled))


if __name__ == "__main__":
    main()
