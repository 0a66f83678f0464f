"""The board pages: a static site of self-contained files, made from boards and the records behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.ranks import resolution_floor
from fcnbench.leaderboard.table import Board, Row
from fcnbench.metrics.scores import METRICS
from fcnbench.pages.render import render
from fcnbench.pages.speed_chart import PAPER_POINTS, Chart, Point, speed_chart
from fcnbench.protocol import precision_of
from fcnbench.records.files import read_file
from fcnbench.records.model import folder_name
from fcnbench.util import files
from fcnbench.util.console import note, track

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BoardPage:
    """A board of scores as its page shows it.

    Attributes:
        dataset: name of the dataset.
        page: file name of the page.
        rows: rows as plain values, best first.
        floor: the smallest gap in mean IU that its images separate; None without a measured row.
        precisions: precisions that occur, for the filter.
        families: model families that occur, for the filter.
    """

    dataset: str
    page: str
    rows: list[Row]
    floor: float | None
    precisions: list[str]
    families: list[str]

    @property
    def measured(self) -> list[Row]:
        """The rows that have a record."""
        return [row for row in self.rows if row["tier"] != "claimed"]

    @property
    def claimed(self) -> list[Row]:
        """The rows that have a source instead of a record."""
        return [row for row in self.rows if row["tier"] == "claimed"]


@dataclass(frozen=True)
class RunFacts:
    """The values of a run on the page that compares two runs.

    Attributes:
        dataset: name of the dataset.
        name: name of the model and the run.
        signature: the protocol in one line.
        scores: fractions by metric.
        intervals: ends of the 95% interval by metric.
        classes: name and IU of each class.
    """

    dataset: str
    name: str
    signature: str
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    classes: tuple[tuple[str, float | None], ...]


def write_site(root: Path, boards: Sequence[Board], output: Path) -> Path:
    """Write the pages of boards; return the path of the index.

    Args:
        root: folder that holds `submissions/` and `leaderboards/`.
        boards: boards of scores and of speed whose files exist.
        output: folder of the site; it is made, or its pages are replaced.

    Raises:
        ResultsError: a board is unreadable.
        OutputError: a page could not be written.
    """
    tables = [_board_page(board) for board in boards if board.kind == "scores"]
    machines = [(board.name, _plain_rows(board.read())) for board in boards if board.kind == "speed"]
    models = sorted({row["model"] for board in tables for row in board.measured})
    links = [(name, model_page(name)) for name in models]
    runs = [asdict(run) for run in _runs(root, tables)]
    charts = _charts(tables)
    pages = {
        "index.html": render("index.html.j2", boards=tables, models=links),
        "speed.html": render("speed.html.j2", boards=tables, charts=charts, machines=machines, paper=PAPER_POINTS),
        "compare.html": render("compare.html.j2", boards=tables, runs=runs, metrics=METRICS),
        **{board.page: render("board.html.j2", boards=tables, board=board) for board in tables},
    }
    for name in track(models, "write pages", "page"):
        rows = [(board, row) for board in tables for row in board.measured if row["model"] == name]
        pages[model_page(name)] = render("model.html.j2", boards=tables, name=name, rows=rows)
    for page, content in pages.items():
        files.write_bytes(output / page, content.encode())
    return output / "index.html"


def model_page(name: str) -> str:
    """Return the file name of a model's page.

    >>> model_page("hf:org/name")
    'model-hf-org-name.html'
    """
    return f"model-{folder_name(name)}.html"


def _board_page(board: Board) -> BoardPage:
    frame = board.read()
    rows = [_page_row(row) for row in _plain_rows(frame)]
    return BoardPage(
        dataset=board.name,
        page=f"board-{folder_name(board.name)}.html",
        rows=rows,
        floor=resolution_floor(frame),
        precisions=sorted({row["precision"] for row in rows if row["precision"]}),
        families=sorted({row["family"] for row in rows}),
    )


def _page_row(row: Row) -> Row:
    """Return a board row with the values that the page's filters and links need."""
    return row | {
        "precision": precision_of(str(row["signature"] or "")),
        "family": _family(row["model"]),
        "first": int(str(row["rank"]).partition("-")[0]) if row["rank"] else None,
        "page": model_page(row["model"]) if row["tier"] != "claimed" else "",
    }


def _plain_rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a board as plain values; missing ones are None."""
    rows = frame.astype(object).to_dict("records")
    return [{str(name): None if _missing(value) else value for name, value in row.items()} for row in rows]


def _missing(value: Any) -> bool:
    """Return whether a cell is missing, which pandas marks in several ways."""
    import pandas as pd

    return not isinstance(value, str) and bool(pd.isna(value))


def _family(model: str) -> str:
    """Return the family of a model: the letters that its name starts with."""
    letters = ""
    for letter in model:
        if not letter.isalpha():
            break
        letters += letter
    return letters.lower() or "other"


def _runs(root: Path, boards: list[BoardPage]) -> list[RunFacts]:
    """Return the runs of all measured rows; unusable records are named on standard error."""
    runs = []
    rows = [(board, row) for board in boards for row in board.measured]
    for board, row in track(rows, "read records", "record"):
        try:
            record = read_file(root / row["record"])
        except ResultsError as error:
            note(f"left out of the comparison: {error}")
            continue
        runs.append(
            RunFacts(
                dataset=board.dataset,
                name=f"{row['model']} ({record.run})",
                signature=row["signature"],
                scores={name: getattr(record.protocol_scores, name) for name in METRICS},
                intervals={name: getattr(record.protocol_intervals, name) for name in METRICS},
                classes=tuple((each.name, each.iu) for each in record.per_class),
            )
        )
    return runs


def _charts(boards: list[BoardPage]) -> list[Chart]:
    """Return one chart per machine of the rows that were timed at 500x500."""
    machines: dict[str, list[Point]] = {}
    for board in boards:
        for row in board.measured:
            if row["forward_500_ms"]:
                point = Point(row["model"], board.dataset, row["forward_500_ms"], row["mean_iu"])
                machines.setdefault(f"{row['device']}, {row['threads']} threads", []).append(point)
    return [speed_chart(machine, points) for machine, points in sorted(machines.items())]
