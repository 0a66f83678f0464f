"""The published VOC networks on seg11valid: downloaded, scored again, and compared with the published figures.

    python -m benchmarks.reproduce [--board DIR] [--summary FILE]

This runs `fcnbench run --model M --weights W --dataset voc2011val` for all weights with published figures on this
dataset, compares all four metrics, and writes a Markdown page: the comparison, the new board rows, and the SHA-256 of
every downloaded file. Exit code 0: all figures agree; 1: one does not; otherwise the code of the first run that failed,
for example 3 for a failed download.

A metric agrees if it is within 0.05 percentage points of the published one; mean IU must also have the two published
decimals. A smaller tolerance would fail on other processors or versions of PyTorch: their float32 kernels differ, and
pixels whose two largest logits nearly tie change their class. The project's gates allow this for one pixel in 10,000.
That changes pixel accuracy by at most 0.01 points, and a mean over classes, some of them small, by a few times as much.
A larger tolerance could hide a mistake in the protocol.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from fcnbench.datasets.archive.catalogue import known_archives
from fcnbench.errors import CheckFailed, Interrupted
from fcnbench.leaderboard.board import board_path
from fcnbench.leaderboard.claims import claims_of
from fcnbench.models.weights.published import Published, published
from fcnbench.util import files, paths
from fcnbench.util.digests import digest_file

DATASET = "voc2011val"

METRICS = {"pixel_acc": "pixel acc.", "mean_acc": "mean acc.", "mean_iu": "mean IU", "fw_iu": "f.w. IU"}
"""The metrics of the papers, by their keys in records, with the titles for the page."""

TOLERANCE = 0.05
"""Largest difference between a metric and the published one, in percentage points."""

EDGE = 0.0005
"""Percentage points around a rounding edge. A few near ties decide how a figure within them is rounded."""

COLUMNS = ("model", "mean_iu", "pixel_acc", "mean_acc", "fw_iu", "signature", "data_provenance", "record")
"""Columns of the board on the page."""


@dataclass(frozen=True)
class Comparison:
    """A published network and the result of its run.

    Attributes:
        entry: the published weights.
        metrics: the four metrics in percent; None if the run failed.
        record: path of the run's record; None if the run failed.
        provenance: provenance of the images, from the record.
        code: exit code of `fcnbench run`.
    """

    entry: Published
    metrics: tuple[float, ...] | None
    record: Path | None
    provenance: str
    code: int

    @property
    def wrong(self) -> list[str]:
        """One sentence per figure that does not agree."""
        if self.metrics is None:
            return [f"`fcnbench run` ended with exit code {self.code}"]
        sentences = []
        for title, value, figure in zip(METRICS.values(), self.metrics, figures_of(self.entry), strict=True):
            allowed = rounded(figure)
            if title == METRICS["mean_iu"] and two_decimals(value) not in allowed:
                sentences.append(f"{title} is {two_decimals(value)}, published {' or '.join(allowed)}")
            elif abs(value - figure) > TOLERANCE:
                sentences.append(f"{title} is {value:.4f}, published {figure:.4f}, {value - figure:+.4f}")
        return sentences


def two_decimals(percent: float) -> str:
    """Round to two decimals, with halves up (the built-in `round` rounds them to even)."""
    return str(Decimal(repr(percent)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def rounded(figure: float) -> list[str]:
    """Return a published figure with two decimals.

    On a rounding edge there are two such numbers: 65.5126 is 65.51, and 65.0050 is 65.01 or 65.00.
    """
    return list(dict.fromkeys(two_decimals(round(figure + shift, 6)) for shift in (0, EDGE, -EDGE)))


def figures() -> list[Published]:
    """Return the published weights that have figures on the dataset."""
    return [published()[claim.weights] for claim in claims_of(DATASET) if claim.weights]


def figures_of(entry: Published) -> tuple[float, ...]:
    """Return the four published metrics of weights, in percent, in the order of `METRICS`."""
    claim = next(claim for claim in claims_of(DATASET) if claim.weights == entry.name)
    return tuple(round(100 * claim.scores[name], 4) for name in METRICS)


def run(entry: Published, board: Path) -> Comparison:
    """Score one network by `fcnbench run`. Its progress and errors go to standard error."""
    command = ["fcnbench", "run", "--model", entry.model, "--weights", entry.name, "--dataset", DATASET]
    command += ["--accept-terms", "--board", str(board), "--json"]
    print(" ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        return Comparison(entry, None, None, "", done.returncode)
    content: dict[str, Any] = json.loads(done.stdout)
    record = Path(content["record"])
    provenance = json.loads(record.read_text(encoding="utf-8"))["data"]["provenance"]
    return Comparison(entry, tuple(100 * content["scores"][name] for name in METRICS), record, provenance, 0)


def downloads(entries: Sequence[Published]) -> Iterator[tuple[str, str]]:
    """Yield name and SHA-256 of the downloaded files: the archives on disk, and the publishers' weight files."""
    from safetensors import safe_open

    for archive in known_archives().values():
        path = paths.archives() / archive.file
        if path.is_file():
            yield archive.file, digest_file(path)
    for entry in entries:
        kept = paths.weights() / f"{entry.name}.safetensors"
        if kept.is_file():
            # The publisher's file is not kept; the header of the converted file has its name and digest.
            with safe_open(kept, "numpy") as opened:
                header = opened.metadata() or {}
            yield header.get("source", kept.name), header.get("sha256", "unknown")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def board_rows(board: Path, records: Sequence[Path]) -> list[list[str]]:
    """Return the cells of the board's rows of these records; none if there is no board."""
    path = board_path(board, DATASET)
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        runs = {record.parent.name for record in records}
        return [
            [row[name] for name in COLUMNS]
            for row in csv.DictReader(stream)
            if row["record"] and Path(row["record"]).parent.name in runs
        ]


def summary(comparisons: Sequence[Comparison], board: Path) -> str:
    """Return the page as Markdown."""
    rows = []
    for comparison in comparisons:
        metrics = comparison.metrics or (None,) * len(METRICS)
        cells = [
            f"{'-' if value is None else f'{value:.4f}'} ({figure:.4f})"
            for value, figure in zip(metrics, figures_of(comparison.entry), strict=True)
        ]
        rows.append([comparison.entry.model, comparison.entry.name, *cells, "; ".join(comparison.wrong) or "agrees"])
    wrong, total = sum(bool(comparison.wrong) for comparison in comparisons), len(comparisons)
    verdict = f"{wrong} of {total} networks do not agree" if wrong else f"All {total} networks agree"
    provenances = sorted({comparison.provenance for comparison in comparisons if comparison.provenance})
    records = [comparison.record for comparison in comparisons if comparison.record]
    entries = [comparison.entry for comparison in comparisons]
    digests = [[name, f"`{digest}`"] for name, digest in downloads(entries)]
    return "\n".join(
        [
            f"# Published networks on {DATASET}",
            "",
            f"{verdict} with the published figures, which are in parentheses; all values are in percent.",
            f"Every metric must be within {TOLERANCE} percentage points of the published one, and mean IU must have",
            "the two published decimals.",
            "",
            *table(["model", "weights", *METRICS.values(), "verdict"], rows),
            "",
            "## Board rows",
            "",
            *table(COLUMNS, board_rows(board, records)),
            "",
            "## Downloaded files",
            "",
            f"Images: {'; '.join(provenances) or 'no run succeeded'}.",
            "",
            *table(["file", "SHA-256"], digests),
            "",
        ]
    )


def reproduce(board: Path, target: Path | None) -> int:
    """Run all networks, write and print the page, and return the exit code."""
    comparisons = []
    for entry in figures():
        comparisons.append(run(entry, board))
        if comparisons[-1].code == Interrupted.exit_code:
            break
    page = summary(comparisons, board)
    if target is not None:
        files.write_bytes(target, page.encode())
    print(page)
    codes = [comparison.code for comparison in comparisons if comparison.code]
    return codes[0] if codes else CheckFailed.exit_code * any(comparison.wrong for comparison in comparisons)


def main() -> None:
    """Parse the options, run, and exit with the code."""
    parser = argparse.ArgumentParser(description="compare the published VOC networks with their figures")
    parser.add_argument("--board", type=Path, default=Path(), metavar="DIR", help="folder of the board (default: .)")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="also write the page to this file, in Markdown")
    options = parser.parse_args()
    sys.exit(reproduce(options.board, options.summary))


if __name__ == "__main__":
    main()
