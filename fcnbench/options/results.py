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
        help="folder of index PNGs: <id>.png, or the VOC devkit's <comp>_<set>_cls/<id>.png",
    )  # fmt: skip
    record: RecordLike | None = option(
        None, metavar="PATH", exclusive="what", help="a record.json or its folder: recompute it from its matrices"
    )
    dataset: DatasetLike = option(DEFAULT_DATASET, help="name of the dataset (default: {default})")
    model: str | None = option(None, help="what to call the maker of the predictions (default: the folder's name)")
    train_splits: Sequence[str] = option(
        (), flag="--train-split", metavar="NAME", help="a split that it was trained on; repeatable"
    )
    data: DataOptions = group(DataOptions)
    trimap: bool = option(False, help="also score the pixels within 1..40 px of outlines")
    classes: bool = per_class_option()
    board: str | Path | None = board_option(help=FOLDER)


@dataclass(frozen=True)
class CompareOptions(Options):
    """The options of `compare`, which is `fcnbench.compare` and `fcnbench.lens`."""

    runs: Sequence[str] = option(
        (), argument=True, metavar="RUN", nargs="*", python=False,
        help="A and B: two records, each a record.json or its folder",
    )  # fmt: skip
    lens: str | None = option(
        None, metavar="RUN", python=False, help="one record instead, under the rules of other harnesses"
    )
    predictions: Sequence[str] | None = option(
        None, metavar=("DIR_A", "DIR_B"), nargs=2, help="the saved predictions, to count flipped pixels"
    )


@dataclass(frozen=True)
class ReportOptions(Options):
    """The options of `report`; `fcnbench.report` explains them."""

    run: RecordLike = option(argument=True, metavar="RUN", help="a record.json, or its folder")
    predictions: str | Path | None = option(
        None, metavar="DIR", help="the run's saved predictions: shows images, and outlines"
    )
    examples: int = option(
        6, metavar="N", bound=Bound(0, " is negative", "pass 0 to leave single images out"),
        help="best and worst images shown ({default})",
    )  # fmt: skip
    output: str | Path | None = option(
        None, metavar="FILE", help="the page (default: report-<model>-<dataset>.html here)"
    )
    source: str | Path | None = option(
        None, keyword="from_", flag="--from", metavar="PATH", help="your own copy of the dataset, for its images"
    )
    accept_terms: bool = accept_terms_option(help="agree to the terms of an archive to be downloaded (remembered)")


@dataclass(frozen=True)
class FetchOptions(Options):
    """The options of `fetch`; `fcnbench.fetch` explains them."""

    dataset: DatasetLike | None = option(None, argument=True, metavar="DATASET", nargs="?", help="name of the dataset")
    data: DataOptions = group(DataOptions)
    check_urls: bool = option(False, python=False, help="only ask every mirror whether it has the archive")


@dataclass(frozen=True)
class ExportOptions(Options):
    """The options of `export`; `fcnbench.export` explains them."""

    dataset: DatasetLike = option(argument=True, metavar="DATASET", help="name of the dataset")
    to: str = option(choices=("hf", "voc", "croissant"), help="Hugging Face datasets, VOC layout, Croissant")
    output: str | Path | None = option(None, metavar="DIR", help="a new folder (default: DATASET-FORMAT, here)")
    data: DataOptions = group(DataOptions)


@dataclass(frozen=True)
class ListOptions(Options):
    """The options of `list`, which is `fcnbench.list_models` and `fcnbench.list_datasets`."""

    what: str | None = option(
        None, argument=True, metavar="{models,datasets}", nargs="?", choices=("models", "datasets"), python=False,
        help="only these (default: both)",
    )  # fmt: skip
    verbose: bool = option(
        False, python=False, help="layers, parameters, receptive field and stride of the built-in models"
    )


@dataclass(frozen=True)
class BoardOptions(Options):
    """The options of `board`, which is `fcnbench.board`, `fcnbench.verify_boards` and `fcnbench.board_pages`."""

    action: str = option(
        "build", argument=True, metavar="{build,show,verify,html}", nargs="?", python=False,
        choices=("build", "show", "verify", "html"),
        help="build: rewrite the boards and show them (default); show: as they are; verify: are they what the "
        "records give? html: write them as a static site",
    )  # fmt: skip
    dataset: str | None = option(None, help="only this dataset's board (default: all that have a record)")
    claims: bool = option(False, help="also build boards that have nothing but claims")
    output: str = option("site", metavar="DIR", python=False, help="folder of the site (default: {default})")
    board: str | Path | None = board_option(help=FOLDER_READ)


@dataclass(frozen=True)
class SubmitOptions(Options):
    """The options of `submit`; `fcnbench.submit` explains them."""

    run: RecordLike = option(argument=True, metavar="RUN", help="a record.json, or its folder")
    contact: str = option(help="somebody who answers: a name with a mail address or a page")
    licence: str = option(help="of the weights: an SPDX identifier, or none")
    url: str = option("", help="where model or weights are")
    note: str = option("", help="a sentence for readers")
    board: str | Path | None = board_option(help=FOLDER_READ)


@dataclass(frozen=True)
class DoctorOptions(Options):
    """The options of `doctor`, which is `fcnbench.doctor`, `examine`, `examine_model` and `examine_device`."""

    dataset: str | None = option(
        None, argument=True, metavar="DATASET", nargs="?", python=False,
        help="a dataset to read and recount from end to end",
    )  # fmt: skip
    model: str | None = option(
        None, python=False, help="a model to try instead, on random images; DATASET names its classes then"
    )
    weights: str | None = option(None, metavar="W", python=False, help="the model's weights")
    device: str | None = option(
        None, metavar="D", python=False,
        help="the device to check: auto, cpu, cuda, cuda:1, mps, xpu, ...; with --model, where it runs (default: auto)",
    )  # fmt: skip
    accept_terms: bool = option(
        False, consent=True, python=False, help="agree to the terms of the model's published weights (remembered)"
    )
    report: str | None = option(
        None, metavar="FILE", python=False,
        help="check and time the device instead, about a minute, and write what was found into this JSON file",
    )  # fmt: skip
