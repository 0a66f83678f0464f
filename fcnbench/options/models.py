"""The options of the commands that run a model, or run it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcnbench.options.groups import (
    DEFAULT_DATASET,
    DEFAULT_MODEL,
    FOLDER,
    POSITIVE,
    DataOptions,
    DatasetLike,
    ForwardOptions,
    ModelLike,
    RecordLike,
    RerunOptions,
    board_option,
    per_class_option,
)
from fcnbench.util.option import Bound, Options, group, option


@dataclass(frozen=True)
class RunOptions(Options):
    """The options of `run`; `fcnbench.run` explains them."""

    model: ModelLike | None = option(
        None, single=True,
        help="registered name, path/to/file.py:factory, or scheme:argument such as onnx:PATH "
        f"(default: {DEFAULT_MODEL}, where the dataset has its classes)",
    )  # fmt: skip
    dataset: DatasetLike | None = option(None, single=True, help=f"name of the dataset (default: {DEFAULT_DATASET})")
    weights: str | Path | None = option(
        None, metavar="W", single=True,
        help="a file, published weights, random:SEED, or what the model understands (default: the model's own)",
    )  # fmt: skip
    data: DataOptions = group(DataOptions)
    limit: int | None = option(
        None, metavar="N", bound=Bound(1, ": at least one image must be scored", POSITIVE),
        help="score only the first N images, marked n/N",
    )  # fmt: skip
    dense: str | None = option(
        None, metavar="HOW", help="shift-and-stitch[:F]: run a net of stride 32 densely, F times as fine (slow)"
    )
    forward: ForwardOptions = group(ForwardOptions)
    trials: int | None = option(
        None, metavar="N", bound=Bound(0, " is negative", "pass 0 to leave the timing at 500x500 out"),
        help="forward passes at 500x500 to time after the run (default: the papers' 20; 0 with --limit)",
    )  # fmt: skip
    signature: str | None = option(
        None, metavar="S", single=True,
        help="reproduce the protocol of this signature, or say which part can't be",
    )  # fmt: skip
    save_predictions: str | Path | None = option(
        None, metavar="DIR", single=True,
        help="a new folder for the predicted label maps, ready for the VOC server",
    )  # fmt: skip
    margins: bool = option(False, help="count near ties, so that `check` can tell them from drift")
    certify: bool = option(False, help="predict a few images again in other ways, and record what flips")
    sweep: str | None = option(
        None, metavar="FILE", python=False,
        help="run models x datasets x precisions of this TOML file, in place of one; goes on where it was stopped",
    )  # fmt: skip
    dry_run: bool = option(
        False, python=False, help="only print what would be downloaded: sizes, addresses, digests, terms"
    )
    classes: bool = per_class_option()
    board: str | Path | None = board_option(help=FOLDER)


SCENARIOS = ("single-stream", "throughput")
"""How `bench` times forward passes: each waited for, or with a device that never waits."""


@dataclass(frozen=True)
class BenchOptions(Options):
    """The options of `bench`; `fcnbench.bench` explains them."""

    model: ModelLike = option(help="registered name, path/to/file.py:factory, or scheme:argument")
    weights: str | Path | None = option(None, metavar="W", help="a file, random:SEED, or what the model understands")
    classes: int | None = option(None, metavar="C", help="classes of the score layer (the model's own)")
    forward: ForwardOptions = group(ForwardOptions)
    scenario: str = option(
        "single-stream", metavar="SCENARIO", choices=SCENARIOS,
        help="single-stream: each pass waited for; throughput: the device never waits (default: {default})",
    )  # fmt: skip
    trials: int = option(
        20, metavar="N", bound=Bound(1, ": at least one pass must be timed", POSITIVE),
        help="least number of timed passes (default: the papers' 20)",
    )  # fmt: skip
    seconds: float = option(
        1.0, metavar="S", bound=Bound(0, " is not a time", "pass 0 or more"),
        help="least time of them together (default: {default})",
    )  # fmt: skip
    board: str | Path | None = board_option(help=FOLDER)


@dataclass(frozen=True)
class CheckOptions(Options):
    """The options of `check`; `fcnbench.check` explains them."""

    baseline: RecordLike = option(
        metavar="PATH", help="a record.json, its folder, or a board (each model's newest run)"
    )
    rerun: RerunOptions = group(RerunOptions)
    record: RecordLike | None = option(
        None, metavar="PATH", help="the result to judge (default: run the baseline's model again)"
    )
    predictions: str | Path | None = option(
        None, metavar="DIR", help="a folder of predictions to judge, or those of --record"
    )
    baseline_predictions: str | Path | None = option(
        None, metavar="DIR", help="the baseline's, to count flipped pixels exactly"
    )
    model: ModelLike | None = option(
        None, help="run this one in place of the baseline's; of a board, judge only this one"
    )
    markdown: str | Path | None = option(None, metavar="FILE", help="write a summary there")
    junit: str | Path | None = option(None, metavar="FILE", help="write JUnit XML there")
    keep: str | Path | None = option(None, metavar="DIR", help="keep a new run's record below this folder of boards")
    data: DataOptions = group(DataOptions)


@dataclass(frozen=True)
class VerifyOptions(Options):
    """The options of `verify`; `fcnbench.verify` explains them."""

    path: RecordLike = option(
        argument=True, metavar="PATH", help="a record.json, its folder, or a folder of submissions"
    )
    rerun: bool = option(False, help="run the model again, and compare")
    again: RerunOptions = group(RerunOptions)
    write: bool = option(True, flag="--dry", inverted=True, help="write no verification.json")
    markdown: str | None = option(None, metavar="FILE", python=False, help="write the findings there, for a comment")
    data: DataOptions = group(DataOptions)
