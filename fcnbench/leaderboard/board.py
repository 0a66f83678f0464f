"""Boards: one CSV per data set, made from the records below `submissions/`, and from what papers claim.

A board is written anew from all records each time; runs that end at the same moment lose no row.
Only whole splits enter a board, and only with models that were not trained on them; other records stay records.

pandas is imported on first use.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.datasets.leakage import Leakage
from fcnbench.errors import DataMissing, ResultsError
from fcnbench.leaderboard.claims import Claim, claims, claims_of
from fcnbench.leaderboard.columns import BOARD, VERSION, Columns, schema_page
from fcnbench.leaderboard.ranks import rank_ranges, resolution_floor
from fcnbench.leaderboard.speed_board import speed_folder, speed_texts
from fcnbench.leaderboard.verification import read_tier
from fcnbench.records.files import read_content
from fcnbench.records.location import RECORD_NAME, check_folder
from fcnbench.records.model import folder_name
from fcnbench.util import files
from fcnbench.util.console import note, track
from fcnbench.util.text import read_text

if TYPE_CHECKING:
    import pandas as pd

_ORDER = (["mean_iu", "model", "created", "record"], [False, True, True, True])
"""Rows are sorted by these columns; the last makes the order complete."""


def board_path(root: Path, dataset: str) -> Path:
    """Where a data set's board lives below the root of boards and submissions."""
    return root / "leaderboards" / VERSION / f"{folder_name(dataset)}.csv"


def build_board(root: Path, dataset: str) -> Path:
    """Write a data set's board anew from its records; returns its path.

    A record that can't be used is named on standard error and left out.

    Raises:
        OutputError: the board could not be written.
    """
    path = board_path(root, dataset)
    files.write_bytes(root / "leaderboards" / "SCHEMA.md", schema_page().encode())
    while True:
        records = record_paths(root, dataset)
        files.write_bytes(path, board_text(records, root, dataset).encode())
        # A run that ended meanwhile may have written its board before this one, which lacks its record: look again.
        # Whoever writes last finds nothing new afterwards, so no row is lost, without a lock that all would share.
        if record_paths(root, dataset) == records:
            return path


def board_text(records: list[Path], root: Path, dataset: str) -> str:
    """The CSV of a data set's board, from these records and the claims."""
    return _csv(_ranked(_whole_runs(records, root, dataset)) + [_claimed(each) for each in claims_of(dataset)])


def differing_boards(root: Path) -> list[str]:
    """List what is wrong with the boards below a root: one sentence for each file that is not what the records give.

    Raises:
        DataMissing: there is no such folder, or neither a board nor a usable record in it.
    """
    check_folder(root)
    wrong = []
    page = root / "leaderboards" / "SCHEMA.md"
    names = {board_path(root, name): name for name in recorded_datasets(root)}
    there = set((root / "leaderboards" / VERSION).glob("*.csv"))
    claimed = {board_path(root, claim.dataset): claim.dataset for claim in claims()}
    names |= {path: name for path, name in claimed.items() if path in there}
    if there and (not page.is_file() or read_text(page) != schema_page()):
        wrong.append(f"{page} is not the page of this version")
    for path in sorted({*names, *there}):
        if path not in there:
            if has_rows(root, names[path]):
                wrong.append(f"{path} is missing")
        elif path not in names:
            wrong.append(f"{path} has no record and no claim")
        elif read_text(path) != board_text(record_paths(root, names[path]), root, names[path]):
            wrong.append(f"{path} is not what the records give")
    timings = speed_texts(root)
    timed = {*timings, *speed_folder(root).glob("*.csv")}
    if not (names or there or timed):
        raise _empty(root)
    for path in sorted(timed):
        if not path.is_file() or read_text(path) != timings.get(path, ""):
            wrong.append(f"{path} is not what the timings give")
    return wrong


def has_rows(root: Path, dataset: str) -> bool:
    """Whether a dataset has a record that enters its board: not a part of a split, and no leaking one."""
    return bool(_whole_runs(record_paths(root, dataset), root, dataset))


def _empty(root: Path) -> DataMissing:
    return DataMissing(
        f"{root} holds neither a board below leaderboards/ nor a usable record below submissions/",
        f"run `fcnbench run --board {root}` first, or name another folder with --board DIR",
    )


def floor_of(frame: pd.DataFrame) -> float | None:
    """The smallest gap in mean IU that a board's images separate; None without a measured row."""
    measured = frame[frame["tier"] != "claimed"]
    return resolution_floor(measured["mean_iu_low"].to_numpy(), measured["mean_iu_high"].to_numpy())


def read_board(path: Path) -> pd.DataFrame:
    """Read a board as a pandas frame with the columns and dtypes of `columns.BOARD`.

    Raises:
        DataMissing: there is no such file.
        ResultsError: the file is no board.
    """
    return read_table(path, BOARD)


def read_table(path: Path, columns: Columns) -> pd.DataFrame:
    """Read a CSV with just these columns, and their dtypes.

    Raises:
        DataMissing: there is no such file.
        ResultsError: it is something else.
    """
    import pandas as pd

    if not path.is_file():
        raise DataMissing(f"there is no board at {path}", "write it with `fcnbench board build`")
    dtypes: dict[str, Any] = {name: dtype for name, (dtype, _) in columns.items()}
    text = [name for name, dtype in dtypes.items() if dtype == "string"]
    try:
        frame = pd.read_csv(StringIO(read_text(path)), dtype=dtypes)
        if list(frame.columns) != list(columns):
            raise ValueError(f"its columns are {', '.join(map(str, frame.columns))}")
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} is no board: {error}", "write it anew with `fcnbench board build`") from error
    frame[text] = frame[text].fillna("")
    return frame


def boards_of(root: Path) -> list[Path]:
    """List the boards that are there below a root.

    Raises:
        DataMissing: there is none, or no such folder.
    """
    check_folder(root)
    found = sorted((root / "leaderboards" / VERSION).glob("*.csv")) + sorted(speed_folder(root).glob("*.csv"))
    if not found and not record_paths(root) and not speed_texts(root):
        raise _empty(root)
    if not found:
        raise DataMissing(f"there is no board below {root}", "write them with `fcnbench board build`")
    return found


def recorded_datasets(root: Path) -> list[str]:
    """Names of the data sets that have a usable record below `submissions/`."""
    names = set()
    for path in track(record_paths(root), "read records", "record"):
        try:
            names.add(str(read_content(path)["protocol"]["dataset"]))
        except ResultsError as error:
            note(f"left out: {error}")
    return sorted(names)


def record_paths(root: Path, dataset: str = "*") -> list[Path]:
    """Paths of the records of one data set, or of all."""
    folder = "*" if dataset == "*" else folder_name(dataset)
    return sorted((root / "submissions").glob(f"*/{folder}/[!.]*/{RECORD_NAME}"))


def _whole_runs(records: list[Path], root: Path, dataset: str) -> list[dict[str, Any]]:
    """Board rows of the usable records of whole splits without leakage; unusable ones are named on standard error."""
    rows = []
    for path in track(records, f"board of {dataset}", "record"):
        try:
            content = read_content(path)
            protocol = content["protocol"]
            clear = Leakage(**content["training"]).clear
            if protocol["dataset"] == dataset and protocol["images"] == protocol["total"] and clear:
                rows.append(_row(content, path, path.relative_to(root).as_posix()))
        except ResultsError as error:
            note(f"left out of the board: {error}")
    return rows


def _row(record: dict[str, Any], place: Path, path: str) -> dict[str, Any]:
    """A board row of a record's checked JSON, its columns in order."""
    protocol, model, environment = record["protocol"], record["model"], record["environment"]
    paper, scores = record["timing"]["forward_500"], record["scores"][protocol["absent"]]
    tier = read_tier(place, record)
    low, high = record["intervals"][protocol["absent"]]["mean_iu"]
    values = {
        **dict.fromkeys(("mean_iu_nobg", "geo_pixel_acc")),
        **scores,
        "model": model["name"],
        "mean_iu_low": low,
        "mean_iu_high": high,
        "images": protocol["images"],
        "rank": "",
        "tier": tier.name,
        "tier_date": tier.date,
        "tier_version": tier.version,
        "source": "",
        "signature": record["signature"]["short"],
        "forward_500_ms": paper["median"] if paper else None,
        "images_per_second": record["timing"]["images_per_second"] or None,
        "device": environment["device_name"],
        "threads": environment["threads"],
        "weights": model["weights"] or "",
        "weights_digest": model["weights_digest"] or "",
        "data_fingerprint": record["data"]["fingerprint"],
        "labels_digest": record["data"]["labels"],
        "data_provenance": record["data"]["provenance"],
        "predictions_digest": record["predictions"]["digest"],
        "provider": model["provider"],
        "provider_version": model["version"],
        "torch": environment["packages"].get("torch", ""),
        "fcnbench": record["fcnbench"],
        "created": record["created"],
        "record": path,
    }
    return {name: values[name] for name in BOARD}


def _ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the ranks that the images allow, among rows of one signature."""
    import numpy as np

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["signature"], []).append(row)
    for group in groups.values():
        low, high = (np.array([row[name] for row in group]) for name in ("mean_iu_low", "mean_iu_high"))
        for row, (first, last) in zip(group, rank_ranges(low, high), strict=True):
            row["rank"] = str(first) if first == last else f"{first}-{last}"
    return rows


def _claimed(claim: Claim) -> dict[str, Any]:
    """A board row of a claim: nothing but what its source says."""
    text = {name: "" for name, (dtype, _) in BOARD.items() if dtype == "string"}
    said = {"model": claim.model, "images": claim.images, "tier": "claimed", "source": claim.source, **claim.scores}
    return dict.fromkeys(BOARD) | text | said


def _csv(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(BOARD)).astype({name: dtype for name, (dtype, _) in BOARD.items()})
    by, ascending = _ORDER
    frame = frame.sort_values(by, ascending=ascending, kind="stable")
    # The one place that rounds: scores to 6 decimals, times to microseconds and the like.
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")
