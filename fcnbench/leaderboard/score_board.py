"""Boards of scores: one CSV file per dataset, made from the records below `submissions/` and the claims of papers.

Only runs of whole splits with models that were not trained on them enter a board; other records stay records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from fcnbench.errors import ResultsError
from fcnbench.leaderboard.claims import Claim, claims_of
from fcnbench.leaderboard.columns import SCORE_COLUMNS, VERSION, schema_page
from fcnbench.leaderboard.ranks import rank_ranges
from fcnbench.leaderboard.table import Board, Kind, Row, Table
from fcnbench.leaderboard.verification import read_tier
from fcnbench.records.files import read_file
from fcnbench.records.location import RECORD_NAME, schema_path
from fcnbench.records.model import folder_name
from fcnbench.records.schema import RecordFile
from fcnbench.records.serial import to_json
from fcnbench.util import files
from fcnbench.util.console import note, track
from fcnbench.util.text import read_text


@dataclass(frozen=True)
class ScoreBoard(Board):
    """The scores of all models on one dataset, best mean IU first."""

    kind: ClassVar[Kind] = "scores"
    # Scores have 6 decimals; so do times in ms, which is far below their precision.
    table: ClassVar[Table] = Table(
        SCORE_COLUMNS, {"mean_iu": False, "model": True, "created": True, "record": True}, float_format="%.6f"
    )

    @classmethod
    def of(cls, root: Path, dataset: str) -> Self:
        """Return the board of a dataset below the root of boards and submissions.

        >>> ScoreBoard.of(Path("."), "pocket").path.as_posix()
        'leaderboards/v1/pocket.csv'
        """
        return cls(root / "leaderboards" / VERSION / f"{folder_name(dataset)}.csv", dataset)

    @property
    def root(self) -> Path:
        """The folder that holds `submissions/` and `leaderboards/`."""
        return self.path.parents[2]

    def rows(self) -> list[Row]:
        """Return the rows that records and claims give; unusable records are named on standard error."""
        return self._rows(self._records())

    def _rows(self, records: Iterable[tuple[Path, RecordFile]]) -> list[Row]:
        measured = [_row(path, record, self.root) for path, record in records if record.ranked]
        return _ranked(measured) + [_claimed_row(claim) for claim in claims_of(self.name)]

    def build(self) -> Path:
        """Write the board and the page of its columns; return the board's path.

        A record that can't be used is named on standard error and left out.

        Raises:
            OutputError: a file could not be written.
        """
        files.write_bytes(schema_path(self.path), schema_page().encode())
        while True:
            records = record_paths(self.root, self.name)
            files.write_bytes(self.path, self.text().encode())
            # A run that ended in the meantime may have written its board before this one, which lacks its record. The
            # process that writes last finds no new record afterwards, so no row is lost, and no lock is needed.
            if record_paths(self.root, self.name) == records:
                return self.path

    def difference(self) -> str:
        """Return in what the file differs from what the records give; empty if it does not."""
        records = list(self._records())
        if not self.path.is_file():
            return "is missing" if any(record.ranked for _, record in records) else ""
        if not records and not claims_of(self.name):
            return "has no record and no claim"
        same = read_text(self.path) == self.table.format(self._rows(records))
        return "" if same else "is not what the records give"

    def _records(self) -> Iterator[tuple[Path, RecordFile]]:
        """Yield path and JSON of the dataset's usable records; unusable ones are named on standard error."""
        for path in track(record_paths(self.root, self.name), f"board of {self.name}", "record"):
            try:
                record = read_file(path)
            except ResultsError as error:
                note(f"left out of the board: {error}")
                continue
            if record.protocol.dataset == self.name:
                yield path, record


def record_paths(root: Path, dataset: str = "*") -> list[Path]:
    """Return the paths of all records below a root, or of those of one dataset."""
    folder = "*" if dataset == "*" else folder_name(dataset)
    return sorted((root / "submissions").glob(f"*/{folder}/[!.]*/{RECORD_NAME}"))


def recorded_datasets(root: Path) -> list[str]:
    """Return the names of the datasets that have a usable record; unusable ones are named on standard error."""
    names = set()
    for path in track(record_paths(root), "read records", "record"):
        try:
            names.add(read_file(path).protocol.dataset)
        except ResultsError as error:
            note(f"left out: {error}")
    return sorted(names)


def _row(path: Path, record: RecordFile, root: Path) -> Row:
    """Return the row of a record, its columns in order and its rank empty."""
    model, environment = record.model, record.environment
    tier = read_tier(path, record.created, record.fcnbench)
    low, high = record.protocol_intervals.mean_iu
    forward_500 = record.timing.forward_500
    values = {
        **dict.fromkeys(("mean_iu_nobg", "geo_pixel_acc")),
        **to_json(record.protocol_scores),
        "model": model.name,
        "mean_iu_low": low,
        "mean_iu_high": high,
        "images": record.protocol.images,
        "rank": "",
        "tier": tier.name,
        "tier_date": tier.date,
        "tier_version": tier.version,
        "source": "",
        "signature": record.signature.short,
        "forward_500_ms": forward_500.median if forward_500 else None,
        "images_per_second": record.timing.images_per_second or None,
        "device": environment.device_name,
        "threads": environment.threads,
        "weights": model.weights or "",
        "weights_digest": model.weights_digest or "",
        "data_fingerprint": record.data.fingerprint,
        "labels_digest": record.data.labels,
        "data_provenance": record.data.provenance,
        "predictions_digest": record.predictions.digest,
        "provider": model.provider,
        "provider_version": model.version,
        "torch": environment.packages.get("torch", ""),
        "fcnbench": record.fcnbench,
        "created": record.created,
        "record": path.relative_to(root).as_posix(),
    }
    return {name: values[name] for name in SCORE_COLUMNS}


def _ranked(rows: list[Row]) -> list[Row]:
    """Fill in the ranks among the rows of each signature; return the rows."""
    import numpy as np

    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["signature"], []).append(row)
    for group in groups.values():
        low, high = (np.array([row[name] for row in group]) for name in ("mean_iu_low", "mean_iu_high"))
        for row, (first, last) in zip(group, rank_ranges(low, high), strict=True):
            row["rank"] = str(first) if first == last else f"{first}-{last}"
    return rows


def _claimed_row(claim: Claim) -> Row:
    """Return the row of a claim, which has only the values that its source states."""
    empty = {name: "" if column.dtype == "string" else None for name, column in SCORE_COLUMNS.items()}
    stated = {"model": claim.model, "images": claim.images, "tier": "claimed", "source": claim.source, **claim.scores}
    return empty | stated
