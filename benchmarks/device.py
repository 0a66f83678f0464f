"""FCN-8s and the whole loop on an accelerator, against `torchfcn`'s module; made for a CUDA device, runs on any.

    python -m benchmarks.device [--device cuda] [--side 500] [--rounds 20] [--images 300]

The contestants take turns on one random picture; times are CUDA events (wall time on a CPU), medians. In fp32 the
logits must be alike first; in every other arithmetic the pixels that change their class are counted. Then the loop
scores drawn JPEGs of 375x500, and its images/s stand beside those that the forward passes alone would allow.
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

from benchmarks.forward import assert_alike, same_networks
from benchmarks.loop import drawn
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


def contestants(ours: FCN, theirs: nn.Module, compiled: bool) -> dict[str, Forward]:
    """From a name to a forward pass, the peer first."""
    fast = FastForward(ours)
    found: dict[str, Forward] = {
        "`torchfcn`": theirs,
        "fcnbench, plain": ours,
        "fcnbench, constant band": lambda batch: fast(batch)["out"],
    }
    if compiled:
        found["`torchfcn`, compiled"] = torch.compile(theirs)
        found["fcnbench, plain, compiled"] = torch.compile(ours)
    return found


def forwards(device: torch.device, side: int, rounds: int, compiled: bool) -> list[ForwardMeasurement]:
    """Every contestant in every precision that the device has."""
    ours, theirs = (net.to(device) for net in same_networks(NAME))
    image = 50 * torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(0)).to(device)
    rivals = contestants(ours, theirs, compiled)
    with FP32.applied(device):
        exact = theirs(image)
        for forward in rivals.values():
            assert_alike(forward(image), exact)
        reference = exact.argmax(1)
    flops = {
        "plain": work_of(ModuleSegmenter(ours), image).flops,
        "band": work_of(FastSegmenter(ModuleSegmenter(ours)), image).flops,
    }
    named = {who: ForwardPass(each, flops["band" if "band" in who else "plain"]) for who, each in rivals.items()}
    return measure_forward(named, image, reference, rounds)


def loop(device: torch.device, images: int) -> list[LoopMeasurement]:
    """The loop over drawn JPEGs in every precision; on a CPU in fp32 alone, where the others are slow."""
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ, FCNBENCH_HOME=f"{scratch}/home"):
        data = load_dataset("voc2011val", drawn(Path(scratch) / "VOC2012", images), allow_partial=True)
        ours, _ = same_networks(NAME)
        pipeline = ImagePipeline(FastSegmenter(ModuleSegmenter(ours, caffe_bgr, 21)), data, device)
        precisions = supported_precisions(device) if device.type == "cuda" else ("fp32",)
        return [measure_loop(pipeline, scorable(data), NAME, precision)[0] for precision in precisions]


def report(device: torch.device, side: int, rounds: int, images: int, compiled: bool) -> str:
    """Everything as Markdown."""
    environment = describe(device)
    versions = f"PyTorch {torch.__version__}" + (f", CUDA {environment.cuda}" if environment.cuda else "")
    clocks = ", ".join(f"{name} {value}" for name, value in PowerCounters(device).clocks().items())
    results = forwards(device, side, rounds, compiled)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {environment.device_name}, {versions}{f'; {clocks}' if clocks else ''}; {NAME} "
        f"at {side}x{side}, medians of {rounds}.",
        "",
        "| arithmetic | forward | ms | `torchfcn` over it | of ceiling | flipped pixels |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in results:
        peer = next(other for other in results if other.precision == each.precision)
        lines.append(
            f"| {each.precision} | {each.network} | {each.median:.2f} | "
            f"{peer.median / each.median:.2f}x | {100 * each.of_ceiling:.0f}% | {each.flips:,} of "
            f"{each.pixels:,} |"
        )
    lines += [
        "",
        f"The loop over {images} pictures of 375x500; peak memory {peak_memory(device) / 2**20:,.0f} MiB.",
        "",
        "| arithmetic | images/s | forward passes alone | share | goal |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in loop(device, images):
        whole, alone = each.images / each.seconds, each.images / each.forward_seconds
        lines.append(f"| {each.precision} | {whole:.1f} | {alone:.1f} | {100 / each.ratio:.1f}% | 95% |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="FCN-8s and the loop on an accelerator")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument("--side", type=int, default=500, help="side of the picture (default: the papers' 500)")
    parser.add_argument("--rounds", type=int, default=20, help="timed passes of each (default: %(default)s)")
    parser.add_argument("--images", type=int, default=300, help="pictures of the loop (default: %(default)s)")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None, help="compiled ones as well")
    options = parser.parse_args()
    device = choose_device(options.device)
    compiled = device.type == "cuda" if options.compile is None else options.compile
    print(report(device, options.side, options.rounds, options.images, compiled))


if __name__ == "__main__":
    main()
