"""The options of the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcnbench.errors import UsageError


@dataclass(frozen=True)
class RunOptions:
    """The arguments of `run`; see there."""

    model: str | None = None
    dataset: str | None = None
    weights: str | Path | None = None
    from_: str | Path | None = None
    allow_partial: bool = False
    accept_terms: bool = False
    limit: int | None = None
    device: str = "auto"
    dense: str | None = None
    fast: bool = True
    precision: str | None = None
    compiled: bool | None = None
    batch: int = 1
    trials: int | None = None
    signature: str | None = None
    save_predictions: str | Path | None = None
    margins: bool = False
    certify: bool = False
    board: str | Path | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: at least one image must be scored", "pass a positive number")
        if self.trials is not None and self.trials < 0:
            raise UsageError(f"--trials {self.trials} is negative", "pass 0 to leave the timing at 500x500 out")
        if self.batch < 1:
            raise UsageError(f"--batch {self.batch}: at least one picture must go through", "pass a positive number")
