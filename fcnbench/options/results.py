"""The options of the commands that handle datasets and results, and need no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fcnbench.options.groups import (
    DEFAULT_DATASET,
    FOLDER,
    FOLDER_READ,
    DataOptions,
    DatasetLike,
    RecordLike,
    accept_terms_option,
    board_option,
    per_class_option,
)
from fcnbench.util.option import Bound, Options, group, option


@dataclass(frozen=True)
class ScoreOptions(Options):
    """The options of `score`; `fcnbench.score` explains them."""

    predictions: str | Path | None = option(
        None, metavar="DIR", exclusive="what",
        help="folder of PNG files of class indices: <id>.png, or <comp>_<set>_cls/<id>.png as in the VOC devkit",
    )  # fmt: skip
    record: RecordLike | None = option(
        None,
        metavar="PATH",
        exclusive="what",
        help="recompute this record (a record.json or its folder) from its confusion matrices",
    )
    dataset: DatasetLike = option(DEFAULT_DATASET, help="name of the dataset (default: {default})")
    model: str | None = option(None, help="name of the model that made the predictions (default: the folder's name)")
    train_splits: Sequence[str] = option(
        (), flag="--train-split", metavar="NAME", help="a split that the model was trained on; can be repeated"
    )
    data: DataOptions = group(DataOptions)
    trimap: bool = option(False, help="also score the pixels within 1 to 40 pixels of object boundaries")
    classes: bool = per_class_option()
    board: str | Path | None = board_option(help=FOLDER)


@dataclass(frozen=True)
class CompareOptions(Options):
    """The options of `compare`, which is `fcnbench.compare` and `fcnbench.lens`."""

    runs: Sequence[str] = option(
        (), argument=True, metavar="RUN", nargs="*", python=False,
        help="the two records A and B, each a record.json or its folder",
    )  # fmt: skip
    lens: str | None = option(
        None,
        metavar="RUN",
        once=True,
        python=False,
        help="show this record under the rules of other harnesses, instead of comparing two",
    )
    predictions: Sequence[str] | None = option(
        None,
        metavar=("DIR_A", "DIR_B"),
        nargs=2,
        help="the saved predictions of A and B, to count changed pixels exactly",
    )


@dataclass(frozen=True)
class ReportOptions(Options):
    """The options of `report`; `fcnbench.report` explains them."""

    run: RecordLike = option(argument=True, metavar="RUN", help="a record.json, or its folder")
    predictions: str | Path | None = option(
        None, metavar="DIR", help="the run's saved predictions, to show images and scores near outlines"
    )
    examples: int = option(
        6, metavar="N", bound=Bound(0, " is negative", "pass 0 to leave single images out"),
        help="number of best images, and of worst images, to show (default: {default})",
    )  # fmt: skip
    output: str | Path | None = option(
        None, metavar="FILE", help="file to write (default: report-<model>-<dataset>.html in the working directory)"
    )
    source: str | Path | None = option(
        None, keyword="from_", flag="--from", metavar="PATH", help="your own copy of the dataset, for its images"
    )
    accept_terms: bool = accept_terms_option(help="agree to the terms of the files to be downloaded (remembered)")


@dataclass(frozen=True)
class FetchOptions(Options):
    """The options of `fetch`; `fcnbench.fetch` explains them."""

    dataset: DatasetLike | None = option(None, argument=True, metavar="DATASET", nargs="?", help="name of the dataset")
    data: DataOptions = group(DataOptions)
    check_urls: bool = option(False, python=False, help="only check whether the mirrors have the archives")


@dataclass(frozen=True)
class ExportOptions(Options):
    """The options of `export`; `fcnbench.export` explains them."""

    dataset: DatasetLike = option(argument=True, metavar="DATASET", help="name of the dataset")
    to: str = option(
        choices=("hf", "voc", "croissant"), help="format: for Hugging Face datasets, for VOC readers, or Croissant"
    )
    output: str | Path | None = option(
        None, metavar="DIR", help="new folder to write (default: DATASET-FORMAT in the working directory)"
    )
    data: DataOptions = group(DataOptions)


@dataclass(frozen=True)
class ListOptions(Options):
    """The options of `list`, which is `fcnbench.list_models` and `fcnbench.list_datasets`."""

    what: str | None = option(
        None, argument=True, metavar="{models,datasets}", nargs="?", choices=("models", "datasets"), python=False,
        help="list only these (default: both)",
    )  # fmt: skip
    verbose: bool = option(
        False, python=False, help="also show layers, parameters, receptive field and stride of the built-in models"
    )


@dataclass(frozen=True)
class BoardOptions(Options):
    """The options of `board`, which is `fcnbench.board`, `fcnbench.verify_boards` and `fcnbench.board_pages`."""

    action: str = option(
        "build", argument=True, metavar="{build,show,verify,html}", nargs="?", python=False,
        choices=("build", "show", "verify", "html"),
        help="build: generate the boards from the records and show them (default); show: show them as they are; "
        "verify: check that they agree with the records; html: write them as a static website",
    )  # fmt: skip
    dataset: str | None = option(None, help="only the board of this dataset (default: all datasets that have a record)")
    claims: bool = option(False, help="also build boards that have only scores claimed by papers")
    output: str = option("site", metavar="DIR", python=False, help="folder of the website (default: {default})")
    board: str | Path | None = board_option(help=FOLDER_READ)


@dataclass(frozen=True)
class SubmitOptions(Options):
    """The options of `submit`; `fcnbench.submit` explains them."""

    run: RecordLike = option(argument=True, metavar="RUN", help="a record.json, or its folder")
    contact: str = option(help="contact for questions: a name with an e-mail address or a web page")
    licence: str = option(help="licence of the weights: an SPDX identifier, or none if they are not available")
    url: str = option("", help="address of the model or its weights")
    note: str = option("", help="a short note for readers of the board")
    board: str | Path | None = board_option(help=FOLDER_READ)


@dataclass(frozen=True)
class DoctorOptions(Options):
    """The options of `doctor`, which is `fcnbench.doctor`, `examine`, `examine_model` and `examine_device`."""

    dataset: str | None = option(
        None, argument=True, metavar="DATASET", nargs="?", python=False,
        help="a dataset whose store to check completely",
    )  # fmt: skip
    model: str | None = option(
        None, python=False, help="a model to test on random images instead; DATASET then gives its classes"
    )
    weights: str | None = option(None, metavar="W", python=False, help="the model's weights")
    device: str | None = option(
        None, metavar="D", python=False,
        help="the device to check, or with --model the device to use: auto, cpu, cuda, cuda:1, mps, xpu, ... "
        "(default: auto)",
    )  # fmt: skip
    accept_terms: bool = option(
        False, consent=True, python=False, help="agree to the terms of the model's published weights (remembered)"
    )
    report: str | None = option(
        None, metavar="FILE", python=False,
        help="also time the device, which takes about a minute, and write the results to this JSON file",
    )  # fmt: skip
