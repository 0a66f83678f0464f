"""`fcnbench bench`: forward times of a model on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fcnbench.cli.command import arguments
from fcnbench.cli.output import print_json

if TYPE_CHECKING:
    from fcnbench.records.speed import SpeedRecord


def execute(options: argparse.Namespace) -> int:
    """Time, and print the result beside the paper's."""
    from fcnbench.api.bench import bench

    timing = bench(**arguments(options))
    if options.json:
        print_json(timing.summary())
    else:
        print(f"{_text(timing.record)}\n\nrecord  {timing.path}\nboard   {timing.board}")
    return 0


def _text(record: SpeedRecord) -> str:
    """Return a timing as text."""
    from fcnbench.records.evaluation import Summary

    summary, environment = record.summary, record.environment
    images = "one 500x500 image" if record.batch == 1 else f"{record.batch} images of 500x500 together"
    parts = ", ".join(f"{part} {Summary.of(taken).median:.2f}" for part, taken in record.parts.items())
    lines = [
        f"{record.model.name}, {images}, {record.scenario}, {record.precision}, forward by {record.forward}, "
        f"{environment.device_name}, {environment.threads} threads",
        f"median {summary.median:.1f} ms, p90 {summary.p90:.1f}, p99 {summary.p99:.1f}, mean {summary.mean:.1f} over "
        f"{len(record.samples)} passes; {record.images_per_second:.1f} images/s",
        f"per-stage times (ms): {parts}",
    ]
    if record.of_ceiling is not None:
        best = f"{record.ceiling_flops / 1e9:,.0f} GFLOP/s) and a copy ({record.ceiling_bytes / 1e9:,.0f} GB/s"
        share = f"{100 * record.of_ceiling:.0f}% of what a matrix product ({best}) reach here"
        lines.append(f"{record.flops / 1e9:,.0f} GFLOP per pass: {share}")
    if record.joules is not None:
        lines.append(f"{record.joules:.3g} J per image")
    if record.slowed:
        lines.append(f"SLOWED: heat or power may have slowed down {len(record.slowed)} passes")
    lines.append("the paper, Tesla K40c, one image: FCN-AlexNet 50 ms, FCN-VGG16 210 ms, FCN-GoogLeNet 59 ms")
    return "\n".join(lines)
