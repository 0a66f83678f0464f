"""The one exception tree of fcnbench; each class carries the exit code of the command line.

    FcnbenchError                5  the run broke
    ├── CheckFailed              1  a check said no (drift, verification, doctor)
    ├── UsageError               2  wrong usage                                  (also a ValueError)
    │   └── UnknownName          2  no such model or data set, with suggestions
    ├── DataError                3  data missing or corrupt
    │   ├── DataMissing          3  an archive, image, label map, record or board is not there
    │   ├── DataCorrupt          3  a file is there and is not what it should be (also a ValueError)
    │   └── DatasetPluginError   3  a registered data set could not be imported
    ├── ModelError               4  model or weights unusable
    │   ├── WeightsError         4  weights missing, unreadable or of another network
    │   ├── ModelPluginError     4  a registered model could not be imported
    │   └── PredictionError      4  a prediction has a wrong shape, dtype or value (also a ValueError)
    ├── OutputError              5  a result could not be written
    ├── ResultsError             3  a stored record, board or journal is not there or can't be read
    ├── RankLost                 5  another process of a run on several failed or is gone
    └── Interrupted            130  stopped by the user; the same command goes on from there

Every error is a sentence that says what was expected, what was found and where, and a `hint`: what to do next.
"""

from __future__ import annotations


class FcnbenchError(Exception):
    """Base of everything that fcnbench raises on purpose.

    Args:
        message: one sentence: what was expected, what was found, where.
        hint: the next step for the user, as an imperative sentence; empty if there is none.
    """

    exit_code = 5

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class CheckFailed(FcnbenchError):
    """A check said no: the software worked, the checked thing did not pass."""

    exit_code = 1


class UsageError(FcnbenchError, ValueError):
    """The call itself is wrong: an option, an argument, a value."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that no registry knows."""


class DataError(FcnbenchError):
    """Data missing or corrupt."""

    exit_code = 3


class DataMissing(DataError):
    """An archive, an image, a label map, a record or a board is not where it was looked for."""


class DataCorrupt(DataError, ValueError):
    """A file is there, and is not what it should be."""


class DatasetPluginError(DataError):
    """A data set that another package registered could not be imported."""


class ModelError(FcnbenchError):
    """Model or weights unusable."""

    exit_code = 4


class WeightsError(ModelError):
    """Weights missing, unreadable, or made for another network."""


class ModelPluginError(ModelError):
    """A model that another package registered could not be imported."""


class PredictionError(ModelError, ValueError):
    """A prediction with a wrong shape, dtype or value."""


class OutputError(FcnbenchError):
    """A result could not be written; nothing half-written was left."""


class ResultsError(FcnbenchError):
    """A stored record or matrix is not there, can't be read, or contradicts itself."""

    exit_code = 3


class RankLost(FcnbenchError):
    """Another process of a run on several failed, or gives no sign of life."""


class Interrupted(FcnbenchError):
    """Stopped by the user; what was done is kept."""

    exit_code = 130
