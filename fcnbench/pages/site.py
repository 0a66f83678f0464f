"""The board pages: a static site of self-contained files, made from the boards and the records behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.board import board_path, floor_of, read_board
from fcnbench.leaderboard.speed_board import read_speed_board, speed_folder
from fcnbench.pages.charts import Axis
from fcnbench.pages.render import render
from fcnbench.protocol import precision_among
from fcnbench.records.files import read_content
from fcnbench.records.model import folder_name
from fcnbench.util import files
from fcnbench.util.console import note, track

if TYPE_CHECKING:
    import pandas as pd

PAPER_POINTS = (("FCN-AlexNet", 50.0, 0.398), ("FCN-VGG16", 210.0, 0.560), ("FCN-GoogLeNet", 59.0, 0.425))
"""Forward time at 500x500 in ms on a Tesla K40c, and mean IU on VOC2011 val (CVPR 2015, Table 1)."""

_WIDTH, _HEIGHT = 720, 360
_LETTER, _LINE = 7, 14
"""Width of a letter and height of a line in a chart, in pixels."""

_CROWD = 40
"""More points than this leave no room for labels."""

_METRICS = ("pixel_acc", "mean_acc", "mean_iu", "fw_iu")


@dataclass(frozen=True)
class Board:
    """A board as its page shows it.

    Attributes:
        dataset: name of the task.
        page: file name of its page.
        rows: rows as plain values, best first.
        floor: the smallest gap that its images separate; None without a measured row.
        precisions: arithmetics that occur, for the filter.
        families: families of models that occur.
    """

    dataset: str
    page: str
    rows: list[dict[str, Any]]
    floor: float | None
    precisions: list[str]
    families: list[str]

    @property
    def measured(self) -> list[dict[str, Any]]:
        """The rows that have a record."""
        return [row for row in self.rows if row["tier"] != "claimed"]

    @property
    def claimed(self) -> list[dict[str, Any]]:
        """The rows that have a source instead."""
        return [row for row in self.rows if row["tier"] == "claimed"]


def write_site(root: Path, datasets: list[str], output: Path) -> Path:
    """Write all pages into a new folder; returns the index.

    Args:
        root: folder that holds `submissions/` and `leaderboards/`.
        datasets: tasks whose boards are there.
        output: a folder that does not exist yet, or is empty, or holds an older site.

    Raises:
        ResultsError: a board can't be read.
        OutputError: a page could not be written.
    """
    boards = [_board(name, read_board(board_path(root, name))) for name in datasets]
    records = _records(root, boards)
    models = sorted({row["model"] for board in boards for row in board.measured})
    pages = {
        "index.html": render("index.html.j2", boards=boards, models=[(name, model_page(name)) for name in models]),
        "speed.html": render(
            "speed.html.j2", boards=boards, charts=_speed(boards), machines=_machines(root), paper=PAPER_POINTS
        ),
        "compare.html": render("compare.html.j2", boards=boards, runs=records, metrics=_METRICS),
        **{board.page: render("board.html.j2", boards=boards, board=board) for board in boards},
    }
    for name in track(models, "write pages", "page"):
        rows = [(board, row) for board in boards for row in board.measured if row["model"] == name]
        pages[model_page(name)] = render("model.html.j2", boards=boards, name=name, rows=rows)
    for page, content in pages.items():
        files.write_bytes(output / page, content.encode())
    return output / "index.html"


def model_page(name: str) -> str:
    """File name of a model's page."""
    return f"model-{folder_name(name)}.html"


def _board(dataset: str, frame: pd.DataFrame) -> Board:
    rows = [_row(values) for values in frame.astype(object).to_dict("records")]
    return Board(
        dataset=dataset,
        page=f"board-{folder_name(dataset)}.html",
        rows=rows,
        floor=floor_of(frame),
        precisions=sorted({row["precision"] for row in rows if row["precision"]}),
        families=sorted({row["family"] for row in rows}),
    )


def _row(values: dict[Any, Any]) -> dict[str, Any]:
    """A board row for a template: missing numbers are None, and what the filters need is worked out."""
    row: dict[str, Any] = {name: None if _missing(value) else value for name, value in values.items()}
    parts = str(row["signature"] or "").split("|")
    row["precision"] = precision_among(parts)
    row["family"] = _family(row["model"])
    row["first"] = int(str(row["rank"]).partition("-")[0]) if row["rank"] else None
    row["page"] = model_page(row["model"]) if row["tier"] != "claimed" else ""
    row["report"] = row["record"] or ""
    return row


def _family(model: str) -> str:
    """What a model is one of: the part of its name before the first of `-`, `:`, blank or digits."""
    letters = ""
    for letter in model:
        if not letter.isalpha():
            break
        letters += letter
    return letters.lower() or "other"


def _missing(value: Any) -> bool:
    """pandas marks missing cells in several ways; all of them differ from themselves, or can't be compared."""
    import pandas as pd

    return not isinstance(value, str) and bool(pd.isna(value))


def _records(root: Path, boards: list[Board]) -> list[dict[str, Any]]:
    """What the page that compares two runs needs of each: scores, intervals, classes."""
    found = []
    rows = [(board, row) for board in boards for row in board.measured]
    for board, row in track(rows, "read records", "record"):
        try:
            content = read_content(root / row["record"])
        except ResultsError as error:
            note(f"left out of the comparison: {error}")
            continue
        policy = content["protocol"]["absent"]
        found.append(
            {
                "dataset": board.dataset,
                "name": f"{row['model']} ({content['run']})",
                "signature": row["signature"],
                "scores": {name: content["scores"][policy][name] for name in _METRICS},
                "intervals": {name: content["intervals"][policy][name] for name in _METRICS},
                "classes": [[each["name"], each["iu"]] for each in content["per_class"]],
            }
        )
    return found


def _speed(boards: list[Board]) -> list[dict[str, Any]]:
    """One chart a machine: mean IU over forward time, the paper's points beside it; machines are never mixed."""
    points: dict[str, list[dict[str, Any]]] = {}
    for board in boards:
        for row in board.measured:
            if row["forward_500_ms"]:
                point = {name: row[name] for name in ("model", "mean_iu")} | {"dataset": board.dataset}
                machine = f"{row['device']}, {row['threads']} threads"
                points.setdefault(machine, []).append(point | {"ms": row["forward_500_ms"]})
    return [_chart(machine, several) for machine, several in sorted(points.items())]


def _machines(root: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """Every machine's speed board: its name, and its rows as plain values."""
    found = []
    for path in sorted(speed_folder(root).glob("*.csv")):
        rows = read_speed_board(path).astype(object).to_dict("records")
        found.append(
            (path.stem, [{str(name): None if _missing(each) else each for name, each in row.items()} for row in rows])
        )
    return found


def _chart(machine: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    paper = [{"model": name, "ms": ms, "mean_iu": iu} for name, ms, iu in PAPER_POINTS]
    times = [point["ms"] for point in [*points, *paper]]
    x = Axis(min(times) / 1.5, max(times) * 2, 52, _WIDTH - 12, logarithmic=True)
    y = Axis(0.0, 1.0, _HEIGHT - 34, 10)
    for point in [*points, *paper]:
        point |= {"x": x.place(point["ms"]), "y": y.place(point["mean_iu"])}
    _place_labels([*points, *paper])
    return {
        "machine": machine,
        "width": _WIDTH,
        "height": _HEIGHT,
        "points": points,
        "paper": paper,
        "xs": [(x.place(value), f"{value:g}") for value in x.ticks()],
        "ys": [(y.place(value), f"{100 * value:.0f}") for value in y.ticks()],
    }


def _place_labels(points: list[dict[str, Any]]) -> None:
    """Give every point a height for its label where no other label is, as near as there is room.

    A crowd gets no labels: the table has the names, and so has every point on hover.
    """
    for point in points:
        point["label"] = None
    if len(points) > _CROWD:
        return
    placed: list[tuple[float, float, float]] = []
    for point in sorted(points, key=lambda each: (each["y"], each["x"])):
        start, end = point["x"] + 9, point["x"] + 9 + _LETTER * len(point["model"])
        height = point["y"] + 4
        while any(abs(height - other) < _LINE and start < right and left < end for left, right, other in placed):
            height += 2
        placed.append((start, end, height))
        point["label"] = round(height, 2)
