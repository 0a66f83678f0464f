"""CSV tables with declared columns, and the `Board`: such a table made from what lies below `submissions/`.

pandas is imported on first use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fcnbench.errors import DataMissing, ResultsError
from fcnbench.leaderboard.columns import Columns
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["scores", "speed"]
"""What a board ranks: scores on one dataset, or forward times on one machine."""

Row = dict[str, Any]
"""The values of a row by column; None where a value is not known."""


@dataclass(frozen=True)
class Table:
    """The format of a CSV file.

    Attributes:
        columns: its columns in order.
        ascending: the columns that rows are sorted by, each with whether its values ascend. The last ones must make
            the order complete, so that equal rows give equal bytes.
        float_format: how numbers are rounded, as for `%`.
    """

    columns: Columns
    ascending: Mapping[str, bool]
    float_format: str

    def read(self, path: Path) -> pd.DataFrame:
        """Read a file as a pandas frame with the declared columns and dtypes.

        Raises:
            DataMissing: there is no such file.
            ResultsError: the file is not such a table.
        """
        import pandas as pd

        if not path.is_file():
            raise DataMissing(f"there is no board at {path}", "write it with `fcnbench board build`")
        try:
            frame = pd.read_csv(StringIO(read_text(path)), dtype=self._dtypes())
            if list(frame.columns) != list(self.columns):
                raise ValueError(f"its columns are {', '.join(map(str, frame.columns))}")
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} is not a board: {error}", "rewrite it with `fcnbench board build`") from error
        text = [name for name, column in self.columns.items() if column.dtype == "string"]
        frame[text] = frame[text].fillna("")
        return frame

    def format(self, rows: Iterable[Row]) -> str:
        """Return rows as CSV text, sorted and rounded."""
        import pandas as pd

        frame = pd.DataFrame(list(rows), columns=list(self.columns)).astype(self._dtypes())
        frame = frame.sort_values(list(self.ascending), ascending=list(self.ascending.values()), kind="stable")
        return frame.to_csv(index=False, float_format=self.float_format, lineterminator="\n")

    def _dtypes(self) -> dict[str, Any]:
        return {name: column.dtype for name, column in self.columns.items()}


@dataclass(frozen=True)
class Board(ABC):
    """A board: one CSV file that follows from the records or timings below `submissions/`.

    Attributes:
        path: path of the file.
        name: name of the dataset or the machine.
        kind: `scores` of a dataset, or `speed` of a machine.
        table: the file's format.
    """

    path: Path
    name: str
    kind: ClassVar[Kind]
    table: ClassVar[Table]

    @property
    def title(self) -> str:
        """The board's title, such as `scores of pocket`."""
        return f"{self.kind} of {self.name}"

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder that holds `submissions/` and `leaderboards/`."""

    def read(self) -> pd.DataFrame:
        """Read the file as a pandas frame with the columns and dtypes of its kind.

        Raises:
            DataMissing: there is no such file.
            ResultsError: the file is not a board of this kind.
        """
        return self.table.read(self.path)

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return the rows that the records or timings give; unusable ones are named on standard error."""

    def text(self) -> str:
        """Return the content that the file should have."""
        return self.table.format(self.rows())

    @abstractmethod
    def build(self) -> Path:
        """Write the file from its records or timings; return its path.

        Raises:
            OutputError: it could not be written.
        """

    @abstractmethod
    def difference(self) -> str:
        """Return in what the file differs from what the records or timings give; empty if it does not."""
