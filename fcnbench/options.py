"""The options of every command, each declared once: name, type, default, help text and check.

A class below holds the options of one command, or some that travel together. From them follow the parsers of the
command line, the names of environment variables and of settings in `pyproject.toml`, the table `[options]` of a sweep,
and `docs/options.md`; tests compare the signatures of the Python functions with them. A new option is a field here and
a keyword of the function that takes it. `util/option.py` has the mechanism. Nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from fcnbench.errors import UsageError
from fcnbench.protocol import PRECISIONS
from fcnbench.util.option import Bound, Option, Options, group, option, options_of

ModelLike: TypeAlias = Any
DatasetLike: TypeAlias = Any
RecordLike: TypeAlias = Any
"""Names, paths or objects: `api/inputs.py` says which, and what becomes of them."""

DEFAULT_MODEL = "fcn8s-pocket"
"""The model that `run` evaluates when none is named."""

DEFAULT_DATASET = "pocket"
"""The dataset that `run` and `score` take when none is named."""

_device = partial(option, "auto", help="auto, cpu, cuda, cuda:1, mps, ... (default: {default})", shared=True)
_board = partial(option, None, metavar="DIR", single=True, shared=True, variable="FCNBENCH_BOARD")
_FOLDER = "folder of submissions/ and leaderboards/ (default: $FCNBENCH_BOARD, else fcnbench-results)"
_FOLDER_READ = _FOLDER.replace("else ", "else this folder if it holds them, else ")
_accept_terms = partial(option, False, shared=True, consent=True)
_classes = partial(option, False, help="print accuracy and IU of every class", python=False)
_POSITIVE = "pass a positive number"


@dataclass(frozen=True)
class DataOptions(Options):
    """Where a dataset comes from.

    Attributes:
        source: the user's own archive or extracted folder (`--from`, `from_`); None to use the store or to download.
        allow_partial: accept an incomplete dataset; the result is marked `n/N`.
        accept_terms: agree to the terms of archives that have to be downloaded; remembered.
    """

    source: str | Path | None = option(
        None, keyword="from_", flag="--from", metavar="PATH", single=True,
        help="your own archive or extracted folder of the dataset",
    )  # fmt: skip
    allow_partial: bool = option(False, shared=True, help="take what is there of an incomplete dataset, marked n/N")
    accept_terms: bool = _accept_terms(help="agree to the terms of an archive to be downloaded (remembered)")


@dataclass(frozen=True)
class ForwardOptions(Options):
    """How the forward pass runs.

    Attributes:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`, ...
        precision: `fp32`, `tf32`, `bf16` or `fp16`; None for the signature's, else fp32.
        compiled: compile the network by `torch.compile`; None for what the signature says, else not.
        fast: take the fast path of the papers' VGG nets.
        batch: images of one size that go through the network together.
    """

    device: str = _device()
    precision: str | None = option(
        None, choices=PRECISIONS, single=True, shared=True,
        help="precision of the forward pass, part of the signature (default: fp32, or that of --signature)",
    )  # fmt: skip
    compiled: bool | None = option(
        None, flag="--compile", shared=True,
        help="compile the network by torch.compile, part of the signature (default: no)",
    )  # fmt: skip
    fast: bool = option(
        True, shared=True,
        help="the fast path of the papers' VGG nets: the same function, summed in another order (default: yes)",
    )  # fmt: skip
    batch: int = option(
        1, metavar="N", bound=Bound(1, ": at least one image must go through", _POSITIVE),
        help="images of one size that go through the network together (default: {default})",
    )  # fmt: skip


@dataclass(frozen=True)
class Allowance(Options):
    """What still counts as numerical noise.

    Attributes:
        budget: pixels that may change class; None where only the metrics matter.
        tolerance: how far each of the four metrics may move, as a fraction; None where only pixels matter.
    """

    budget: int | None = option(None, metavar="N", help="pixels that may change class (default: none)")
    tolerance: float | None = option(
        None, metavar="X", help="how far each metric may move, as a fraction (default: not at all)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.budget or 0) < 0 or not 0 <= (self.tolerance or 0.0) <= 1:
            raise UsageError(
                f"budget {self.budget} and tolerance {self.tolerance} are not an allowance",
                "pass a number of pixels, and a fraction such as 0.001",
            )

    def describe(self) -> str:
        """Return the allowance as text.

        >>> Allowance(budget=10, tolerance=0.001).describe()
        '10 flipped pixels and metrics within 0.001'
        """
        parts = [] if self.budget is None else [f"{self.budget:,} flipped pixels"]
        parts += [] if self.tolerance is None else [f"metrics within {self.tolerance:g}"]
        return " and ".join(parts) or "nothing"


@dataclass(frozen=True)
class RerunOptions(Options):
    """How a record's model is run again, and compared with its record.

    Attributes:
        allowance: what still counts as numerical noise.
        weights: the model's weights, where they were a file.
        device: where the model runs.
    """

    allowance: Allowance = group(Allowance)
    weights: str | Path | None = option(None, metavar="W", help="the model's weights, where they were a file")
    device: str = _device()


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
        None, metavar="N", bound=Bound(1, ": at least one image must be scored", _POSITIVE),
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
    classes: bool = _classes()
    board: str | Path | None = _board(help=_FOLDER)


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
    classes: bool = _classes()
    board: str | Path | None = _board(help=_FOLDER)


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
    accept_terms: bool = _accept_terms(help="agree to the terms of an archive to be downloaded (remembered)")


@dataclass(frozen=True)
class BenchOptions(Options):
    """The options of `bench`; `fcnbench.bench` explains them."""

    model: ModelLike = option(help="registered name, path/to/file.py:factory, or scheme:argument")
    weights: str | Path | None = option(None, metavar="W", help="a file, random:SEED, or what the model understands")
    classes: int | None = option(None, metavar="C", help="classes of the score layer (the model's own)")
    forward: ForwardOptions = group(ForwardOptions)
    scenario: str = option(
        "single-stream",
        help="single-stream: each pass waited for; throughput: the device never waits (default: {default})",
    )
    trials: int = option(
        20, metavar="N", bound=Bound(1, ": at least one pass must be timed", _POSITIVE),
        help="least number of timed passes (default: the papers' 20)",
    )  # fmt: skip
    seconds: float = option(
        1.0, metavar="S", bound=Bound(0, " is not a time", "pass 0 or more"),
        help="least time of them together (default: {default})",
    )  # fmt: skip
    board: str | Path | None = _board(help=_FOLDER)


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
    board: str | Path | None = _board(help=_FOLDER_READ)


@dataclass(frozen=True)
class SubmitOptions(Options):
    """The options of `submit`; `fcnbench.submit` explains them."""

    run: RecordLike = option(argument=True, metavar="RUN", help="a record.json, or its folder")
    contact: str = option(help="somebody who answers: a name with a mail address or a page")
    licence: str = option(help="of the weights: an SPDX identifier, or none")
    url: str = option("", help="where model or weights are")
    note: str = option("", help="a sentence for readers")
    board: str | Path | None = _board(help=_FOLDER_READ)


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


@dataclass(frozen=True)
class Command:
    """The options of a command.

    Attributes:
        options: the class that declares them.
        project: whether a project's `pyproject.toml` may set them; not where other people's files are judged.
    """

    options: type[Options]
    project: bool = True


COMMANDS = {
    "run": Command(RunOptions),
    "score": Command(ScoreOptions),
    "compare": Command(CompareOptions),
    "check": Command(CheckOptions),
    "report": Command(ReportOptions),
    "bench": Command(BenchOptions),
    "fetch": Command(FetchOptions),
    "export": Command(ExportOptions),
    "list": Command(ListOptions),
    "board": Command(BoardOptions),
    "submit": Command(SubmitOptions, project=False),
    "verify": Command(VerifyOptions, project=False),
    "doctor": Command(DoctorOptions),
}
"""The options of every command; `cli/commands.py` says what the commands do."""

JSON = Option(
    name="json", kind=bool, default=False, required=False, flag="--json", python=False,
    help="one JSON object on standard output, human text on standard error",
)  # fmt: skip
"""The option that every command has."""


def sweep_options() -> tuple[Option, ...]:
    """Return the options of `run` that the table `[options]` of a sweep takes."""
    return tuple(each for each in options_of(RunOptions) if each.python and not each.single)
