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
        f"(default: {DEFAULT_MODEL}, if the dataset has its classes)",
    )  # fmt: skip
    dataset: DatasetLike | None = option(None, single=True, help=f"name of the dataset (default: {DEFAULT_DATASET})")
    weights: str | Path | None = option(
        None, metavar="W", single=True,
        help="a file, published weights by name, random:SEED, or any value that the model accepts "
        "(default: the model's own)",
    )  # fmt: skip
    data: DataOptions = group(DataOptions)
    limit: int | None = option(
        None, metavar="N", bound=Bound(1, ": at least one image must be scored", POSITIVE),
        help="score only the first N images; the result is marked n/N",
    )  # fmt: skip
    dense: str | None = option(
        None,
        metavar="HOW",
        help="shift-and-stitch[:F]: run a net of stride 32 on shifted images, for scores F times as dense (slow)",
    )
    forward: ForwardOptions = group(ForwardOptions)
    trials: int | None = option(
        None, metavar="N", bound=Bound(0, " is negative", "pass 0 to leave the timing at 500x500 out"),
        help="forward passes at 500x500 to time after the run (default: 20, as in the papers; 0 with --limit)",
    )  # fmt: skip
    signature: str | None = option(
        None, metavar="S", single=True,
        help="use the protocol of this signature; the command fails if any part would differ",
    )  # fmt: skip
    save_predictions: str | Path | None = option(
        None, metavar="DIR", single=True,
        help="save the predicted label maps in this new folder, in the format of the VOC evaluation server",
    )  # fmt: skip
    margins: bool = option(
        False, help="count pixels whose two largest logits nearly tie, so that `check` can tell them from drift"
    )
    certify: bool = option(
        False, help="predict a few images again in other ways, and record how many pixels change class"
    )
    sweep: str | None = option(
        None, metavar="FILE", once=True, python=False,
        help="run all models on all datasets in all precisions of this TOML file; continues an interrupted sweep",
    )  # fmt: skip
    dry_run: bool = option(
        False, once=True, python=False, help="only print what would be downloaded: sizes, addresses, digests, terms"
    )
    classes: bool = per_class_option()
    board: str | Path | None = board_option(help=FOLDER)


SCENARIOS = ("single-stream", "throughput")
"""How `bench` times forward passes: each waited for, or with a device that never waits."""


@dataclass(frozen=True)
class BenchOptions(Options):
    """The options of `bench`; `fcnbench.bench` explains them."""

    model: ModelLike = option(help="registered name, path/to/file.py:factory, or scheme:argument")
    weights: str | Path | None = option(
        None, metavar="W", help="a file, random:SEED, or any value that the model accepts"
    )
    classes: int | None = option(
        None, metavar="C", help="number of classes of the score layer (default: the model's own)"
    )
    forward: ForwardOptions = group(ForwardOptions)
    scenario: str = option(
        "single-stream", metavar="SCENARIO", choices=SCENARIOS,
        help="single-stream: wait for each pass; throughput: submit passes without waiting (default: {default})",
    )  # fmt: skip
    trials: int = option(
        20, metavar="N", bound=Bound(1, ": at least one pass must be timed", POSITIVE),
        help="minimum number of timed passes (default: 20, as in the papers)",
    )  # fmt: skip
    seconds: float = option(
        1.0, metavar="S", bound=Bound(0, " is not a time", "pass 0 or more"),
        help="minimum total time of the timed passes, in seconds (default: {default})",
    )  # fmt: skip
    board: str | Path | None = board_option(help=FOLDER)


@dataclass(frozen=True)
class CheckOptions(Options):
    """The options of `check`; `fcnbench.check` explains them."""

    baseline: RecordLike = option(
        metavar="PATH", help="a record.json, its folder, or a board (the newest run of each model)"
    )
    rerun: RerunOptions = group(RerunOptions)
    record: RecordLike | None = option(
        None, metavar="PATH", once=True, help="an existing result to check (default: run the baseline's model again)"
    )
    predictions: str | Path | None = option(
        None,
        metavar="DIR",
        once=True,
        help="folder of predictions to check; with --record, the predictions of that run",
    )
    baseline_predictions: str | Path | None = option(
        None, metavar="DIR", once=True, help="the baseline's predictions, to count changed pixels exactly"
    )
    model: ModelLike | None = option(
        None, help="run this model instead of the baseline's; if the baseline is a board, check only this model"
    )
    markdown: str | Path | None = option(None, metavar="FILE", help="write a summary to this file")
    junit: str | Path | None = option(None, metavar="FILE", help="write JUnit XML to this file")
    keep: str | Path | None = option(
        None, metavar="DIR", help="keep the record of the new run in this folder with submissions/ and leaderboards/"
    )
    data: DataOptions = group(DataOptions)


@dataclass(frozen=True)
class VerifyOptions(Options):
    """The options of `verify`; `fcnbench.verify` explains them."""

    path: RecordLike = option(
        argument=True, metavar="PATH", help="a record.json, its folder, or a folder of submissions"
    )
    rerun: bool = option(False, help="also run the model again, and compare the results")
    again: RerunOptions = group(RerunOptions)
    write: bool = option(True, flag="--dry", inverted=True, help="do not write verification.json")
    markdown: str | None = option(None, metavar="FILE", python=False, help="write the findings to this file")
    data: DataOptions = group(DataOptions)
