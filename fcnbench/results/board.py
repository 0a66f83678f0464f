"""Boards: one CSV per data set, made from the records below `submissions/` and from nothing else.

A board is written anew from all records each time; runs that end at the same moment lose no row.
Only whole splits enter a board, and only with models that were not trained on them; other records stay records.

pandas is imported on first use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnbench.datasets.guard import Leakage
from fcnbench.errors import ResultsError
from fcnbench.ground import files
from fcnbench.ground.console import note
from fcnbench.results.record import folder_name
from fcnbench.results.recordfile import RECORD_NAME, read_content

if TYPE_CHECKING:
    import pandas as pd

VERSION = "v1"
"""Version of the boards: raised when a column changes its meaning."""

COLUMNS: dict[str, tuple[str, str]] = {
    "model": ("string", "registered name of the model, or `file.py:factory`"),
    "mean_iu": ("float64", "mean IU over classes with true pixels, fraction, 6 decimals"),
    "mean_iu_low": ("float64", "lower end of its 95% bootstrap interval over images"),
    "mean_iu_high": ("float64", "upper end"),
    "pixel_acc": ("float64", "pixel accuracy, fraction, 6 decimals"),
    "mean_acc": ("float64", "mean accuracy over classes with true pixels, fraction, 6 decimals"),
    "fw_iu": ("float64", "frequency-weighted IU, fraction, 6 decimals"),
    "mean_iu_nobg": ("float64", "mean IU without the class `background`; empty where the classes have none"),
    "geo_pixel_acc": ("float64", "pixel accuracy of the second label map; empty where data set or model has none"),
    "images": ("int64", "images scored: always the whole split"),
    "tier": ("string", "how far the row was verified: `reported` = a record, nothing else"),
    "signature": ("string", "the protocol in one line; rows of different signatures are not comparable"),
    "forward_500_ms": ("float64", "median forward time at 500x500, batch 1, in ms; empty where not measured"),
    "images_per_second": (
        "float64",
        "throughput of the whole loop on that machine; empty if all were resumed",
    ),
    "device": ("string", "processor or accelerator that ran the forward pass; empty for stored predictions"),
    "threads": ("int64", "CPU threads of PyTorch; 0 for stored predictions"),
    "weights": ("string", "what `--weights` said, without folders; empty when the model brought its own"),
    "weights_digest": ("string", "SHA-256 over all parameters and buffers; empty where the model shows none"),
    "data_fingerprint": ("string", "SHA-256 over all pictures and label maps that were there"),
    "labels_digest": ("string", "SHA-256 over the label maps alone: equal digests, equal truth"),
    "data_provenance": ("string", "archives known by a published digest, `built in`, or `unverified`"),
    "predictions_digest": ("string", "SHA-256 over all predicted label maps: equal digests, equal pixels"),
    "provider": ("string", "distribution or file that the model comes from; `predictions` where only those were there"),
    "provider_version": ("string", "its version, or the start of the file's digest"),
    "torch": ("string", "version of PyTorch"),
    "fcnbench": ("string", "version of fcnbench that ran it"),
    "created": ("string", "time of the run, UTC, ISO 8601"),
    "record": ("string", "path of the record, from the folder that holds `submissions/`"),
}
"""Columns of a board in order: pandas dtype and meaning."""

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
        records = _record_paths(root, dataset)
        files.write_bytes(path, _csv(_whole_runs(records, root, dataset)).encode())
        # A run that ended meanwhile may have written its board before this one, which lacks its record: look again.
        # Whoever writes last finds nothing new afterwards, so no row is lost, without a lock that all would share.
        if _record_paths(root, dataset) == records:
            return path


def read_board(path: Path) -> pd.DataFrame:
    """Read a board as a pandas frame with the columns and dtypes of `COLUMNS`.

    Raises:
        ResultsError: the file is no board.
    """
    import pandas as pd

    dtypes: dict[str, Any] = {name: dtype for name, (dtype, _) in COLUMNS.items()}
    text = [name for name, dtype in dtypes.items() if dtype == "string"]
    try:
        frame = pd.read_csv(path, dtype=dtypes)
        if list(frame.columns) != list(COLUMNS):
            raise ValueError(f"its columns are {', '.join(map(str, frame.columns))}")
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path} is no board: {error}", "write it anew with `fcnbench board`") from error
    frame[text] = frame[text].fillna("")
    return frame


def recorded_datasets(root: Path) -> list[str]:
    """Names of the data sets that have a usable record below `submissions/`."""
    names = set()
    for path in _record_paths(root):
        try:
            names.add(str(read_content(path)["protocol"]["dataset"]))
        except ResultsError as error:
            note(f"left out: {error}")
    return sorted(names)


def schema_page() -> str:
    """The page `SCHEMA.md`: every column, its type and meaning."""
    lines = [f"| `{name}` | {dtype} | {meaning} |" for name, (dtype, meaning) in COLUMNS.items()]
    return (
        "# Columns of a board\n\n"
        f"`{VERSION}/<dataset>.csv` is written from the records below `submissions/` and never edited by hand.\n"
        "UTF-8, comma-separated, one header line; rows by mean IU, highest first.\n\n"
        "| column | type | meaning |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def _record_paths(root: Path, dataset: str = "*") -> list[Path]:
    """Paths of the records of one data set, or of all."""
    folder = "*" if dataset == "*" else folder_name(dataset)
    return sorted((root / "submissions").glob(f"*/{folder}/[!.]*/{RECORD_NAME}"))


def _whole_runs(records: list[Path], root: Path, dataset: str) -> list[dict[str, Any]]:
    """Board rows of the usable records of whole splits without leakage; unusable ones are named on standard error."""
    rows = []
    for path in records:
        try:
            content = read_content(path)
            protocol = content["protocol"]
            clear = Leakage(**content["training"]).clear
            if protocol["dataset"] == dataset and protocol["images"] == protocol["total"] and clear:
                rows.append(_row(content, path.relative_to(root).as_posix()))
        except ResultsError as error:
            note(f"left out of the board: {error}")
    return rows


def _row(record: dict[str, Any], path: str) -> dict[str, Any]:
    """A board row of a record's checked JSON, its columns in order."""
    protocol, model, environment = record["protocol"], record["model"], record["environment"]
    paper, scores = record["timing"]["forward_500"], record["scores"][protocol["absent"]]
    low, high = record["intervals"][protocol["absent"]]["mean_iu"]
    values = {
        **dict.fromkeys(("mean_iu_nobg", "geo_pixel_acc")),
        **scores,
        "model": model["name"],
        "mean_iu_low": low,
        "mean_iu_high": high,
        "images": protocol["images"],
        "tier": "reported",
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
    return {name: values[name] for name in COLUMNS}


def _csv(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({name: dtype for name, (dtype, _) in COLUMNS.items()})
    by, ascending = _ORDER
    frame = frame.sort_values(by, ascending=ascending, kind="stable")
    # The one place that rounds: scores to 6 decimals, times to microseconds and the like.
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")
