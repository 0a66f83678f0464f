"""The result of `run` and `score`: a record that was written, with its scores, a short text and a notebook view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcnbench.leaderboard.filing import Filed
from fcnbench.records.location import MATRICES_NAME


@dataclass(frozen=True, eq=False, repr=False)
class Run(Filed):
    """A finished run.

    Attributes:
        record: the result.
        path: path of `record.json`.
        board: path of the board that has its row; None for a part of a split, and for images trained on.
        identity: everything that the result depends on; None for stored predictions.
    """

    @classmethod
    def of(cls, filed: Filed) -> Run:
        """Return the run of a record that was written."""
        return cls(filed.record, filed.path, filed.board, filed.identity)

    @property
    def scores(self) -> dict[str, float]:
        """The four metrics as fractions, `pixel_acc`, `mean_acc`, `mean_iu`, `fw_iu`, and what the dataset adds.

        `mean_iu_nobg` is the mean IU without the class `background`, where there is one; `geo_pixel_acc` the pixel
        accuracy of the second label map, where model and dataset have one.
        """
        return self.record.all_scores()

    def __repr__(self) -> str:
        record = self.record
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        return f"<Run of {record.model.name} on {record.protocol.dataset}, {record.protocol.count} images: {shown}>"

    def _repr_html_(self) -> str:
        """Return the view of a notebook."""
        from fcnbench.pages.report import card

        return card(self.record)

    def summary(self) -> dict[str, Any]:
        """Return what `fcnbench run --json` prints."""
        from fcnbench.records.json import summary

        board = str(self.board) if self.board else None
        return {
            **summary(self.record),
            "record": str(self.path),
            "matrices": str(self.path.with_name(MATRICES_NAME)),
            "board": board,
        }
