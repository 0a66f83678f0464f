"""Options that several commands have, and those that travel together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from fcnbench.errors import UsageError
from fcnbench.protocol import PRECISIONS
from fcnbench.util.option import Bound, Options, group, option

ModelLike: TypeAlias = Any
DatasetLike: TypeAlias = Any
RecordLike: TypeAlias = Any
"""Names, paths or objects: `api/inputs.py` says which, and what becomes of them."""

DEFAULT_MODEL = "fcn8s-pocket"
"""The model that `run` evaluates when none is named."""

DEFAULT_DATASET = "pocket"
"""The dataset that `run` and `score` take when none is named."""

device_option = partial(option, "auto", help="auto, cpu, cuda, cuda:1, mps, ... (default: {default})", shared=True)
board_option = partial(option, None, metavar="DIR", single=True, shared=True, variable="FCNBENCH_BOARD")
FOLDER = "folder with submissions/ and leaderboards/ (default: $FCNBENCH_BOARD, else fcnbench-results)"
FOLDER_READ = FOLDER.replace("else ", "else the working directory if it has them, else ")
accept_terms_option = partial(option, False, shared=True, consent=True)
per_class_option = partial(option, False, help="print accuracy and IU of every class", python=False)
POSITIVE = "pass a positive number"


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
        help="your own copy of the dataset: its archive, or a folder with the extracted content",
    )  # fmt: skip
    allow_partial: bool = option(False, shared=True, help="use an incomplete dataset; the result is marked n/N")
    accept_terms: bool = accept_terms_option(help="agree to the terms of the files to be downloaded (remembered)")


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

    device: str = device_option()
    precision: str | None = option(
        None, choices=PRECISIONS, single=True, shared=True,
        help="precision of the forward pass, part of the signature (default: fp32, or that of run --signature)",
    )  # fmt: skip
    compiled: bool | None = option(
        None, flag="--compile", shared=True,
        help="compile the network with torch.compile, part of the signature (default: no)",
    )  # fmt: skip
    fast: bool = option(
        True, shared=True,
        help="use the fast path of the papers' VGG nets: the same function, summed in another order (default: yes)",
    )  # fmt: skip
    batch: int = option(
        1, metavar="N", bound=Bound(1, ": at least one image must go through", POSITIVE),
        help="images of one size that go through the network together (default: {default})",
    )  # fmt: skip


@dataclass(frozen=True)
class Allowance(Options):
    """What still counts as numerical noise.

    Attributes:
        budget: pixels that may change class; None where only the metrics matter.
        tolerance: how far each of the four metrics may move, as a fraction; None where only pixels matter.
    """

    budget: int | None = option(
        None,
        metavar="N",
        help="pixels that may change class (default: 0, or no limit if only --tolerance is given)",
    )
    tolerance: float | None = option(
        None,
        metavar="X",
        help="how much each metric may change, as a fraction (default: 0, or no limit if only --budget is given)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.budget or 0) < 0 or not 0 <= (self.tolerance or 0.0) <= 1:
            raise UsageError(
                f"budget {self.budget} and tolerance {self.tolerance} are not an allowance",
                "pass a number of pixels, and a fraction such as 0.001",
            )

    @property
    def given(self) -> bool:
        """Whether anything is allowed but identical predictions."""
        return self.budget is not None or self.tolerance is not None

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
    weights: str | Path | None = option(None, metavar="W", help="the model's weights, if they were a file")
    device: str = device_option()
