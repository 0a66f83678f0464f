"""The exception tree of fcnbench. Each class carries the exit code of the command line.

    FcnbenchError                5  the run failed
    ├── CheckFailed              1  a check failed (drift, verification, doctor)
    ├── UsageError               2  wrong usage                                  (also a ValueError)
    │   └── UnknownName          2  an unknown model or dataset, with suggestions
    ├── DataError                3  data missing or corrupt
    │   ├── DataMissing          3  an archive, image, label map, record or board is missing
    │   ├── DataCorrupt          3  a file is not what it should be              (also a ValueError)
    │   └── DatasetPluginError   3  a registered dataset could not be imported
    ├── ModelError               4  model or weights unusable
    │   ├── WeightsError         4  weights missing, unreadable or of another network
    │   ├── ModelPluginError     4  a registered model could not be imported
    │   └── PredictionError      4  a prediction has a wrong shape, dtype or value (also a ValueError)
    │       └── PredictionsError 4  a folder of predictions with all of its faults
    ├── OutputError              5  a result could not be written
    ├── ResultsError             3  a stored record, board or journal is missing or unreadable
    ├── RankLost                 5  another process of a distributed run failed or disappeared
    └── Interrupted            130  stopped by the user; the same command continues

Every error has a message, one sentence that says what was expected, what was found and where, and a `hint` that says
what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class FcnbenchError(Exception):
    """Base class of all errors that fcnbench raises on purpose.

    Args:
        message: one sentence: what was expected, what was found, where.
        hint: the next step for the user, in the imperative; empty if there is none.

    Attributes:
        message: the sentence.
        hint: the next step.
        exit_code: exit code of the command line, a class attribute.

    >>> try:
    ...     raise UsageError("3 classes expected, 4 found", "use another label space")
    ... except FcnbenchError as error:
    ...     print(error.exit_code, error.hint)
    2 use another label space
    """

    exit_code = 5

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class CheckFailed(FcnbenchError):
    """A check failed: fcnbench worked, and what it checked did not pass."""

    exit_code = 1


class UsageError(FcnbenchError, ValueError):
    """An option, an argument or a value of the call is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """No registry knows the name."""


class DataError(FcnbenchError):
    """Data are missing or corrupt."""

    exit_code = 3


class DataMissing(DataError):
    """An archive, an image, a label map, a record or a board is missing."""


class DataCorrupt(DataError, ValueError):
    """A file exists and is not what it should be."""


class DatasetPluginError(DataError):
    """A dataset that another package registers could not be imported."""


class ModelError(FcnbenchError):
    """A model or its weights are unusable."""

    exit_code = 4


class WeightsError(ModelError):
    """Weights are missing, unreadable, or made for another network."""


class ModelPluginError(ModelError):
    """A model that another package registers could not be imported."""


class PredictionError(ModelError, ValueError):
    """A prediction has a wrong shape, dtype or value."""


class PredictionsError(PredictionError):
    """A folder of predictions can't be scored as it is; all of its faults are listed.

    Args:
        message: one sentence, followed by one line per kind of fault.
        hint: the next step for the user.
        problems: each kind of fault, with the files or ids that have it.

    Attributes:
        problems: each kind of fault, with the files or ids that have it.
    """

    def __init__(self, message: str, hint: str = "", problems: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message, hint)
        self.problems = dict(problems or {})

    @classmethod
    def of_folder(cls, folder: Path, problems: Mapping[str, list[str]]) -> PredictionsError:
        """Return the error for a folder with these faults."""
        lines = [f"{problem}: {', '.join(names)}" for problem, names in problems.items()]
        return cls(
            f"the predictions in {folder} can't be scored as they are\n  " + "\n  ".join(lines),
            "correct what is listed; --allow-partial scores the ids that have both label and prediction",
            problems,
        )


class OutputError(FcnbenchError):
    """A result could not be written; no half-written file is left."""


class ResultsError(FcnbenchError):
    """A stored record, board, matrix or journal is missing, unreadable, or contradicts itself."""

    exit_code = 3


class RankLost(FcnbenchError):
    """Another process of a distributed run failed or disappeared."""


class Interrupted(FcnbenchError):
    """The user stopped the run; finished work is kept."""

    exit_code = 130
