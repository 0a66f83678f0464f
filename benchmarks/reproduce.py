"""The published VOC networks on seg11valid, downloaded and scored again, against the figures that were published.

    python -m benchmarks.reproduce [--board DIR] [--summary FILE]

Runs `fcnbench run --model M --weights W --dataset voc2011val` for every entry of `models/weights/WEIGHTS.toml` that
has figures on this dataset, compares all four metrics, and writes a Markdown page: the table, the new board rows, and
the SHA-256 of every file that was downloaded. Exit code 0: every figure agrees; 1: one does not; otherwise the code of
the first run that failed, such as 3 when a download failed.

When a figure agrees: mean IU must have the published two decimals, and every metric must lie within 0.05 points of the
published one. Not closer, since float32 kernels differ between processors and versions of PyTorch, and pixels whose two
largest logits nearly tie change their class. Gates in this project allow one pixel in 10,000 for that, which moves
pixel accuracy by at most 0.01 points, and a mean over classes, some of them small, by a few times that. Not further,
since what is looked for are mistakes of a protocol, and they should not hide in the allowance.
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
"""The papers' metrics in the order in which WEIGHTS.toml has them."""

TOLERANCE = 0.05
"""Points of percent that a metric may lie from the published one."""

EDGE = 0.0005
"""Points within which a published figure is on a rounding edge, where a handful of near ties decides how it prints."""

COLUMNS = ("model", "mean_iu", "pixel_acc", "mean_acc", "fw_iu", "signature", "data_provenance", "record")
"""Columns of the board that the page shows."""


@dataclass(frozen=True)
class Comparison:
    """A published network and what came out here.

    Attributes:
        entry: the published weights with their figures.
        found: the four metrics in percent; None when the run failed.
        record: path of the run's record.
        provenance: what stands behind the images, as the record has it.
        code: exit code of `fcnbench run`.
    """

    entry: Published
    found: tuple[float, ...] | None
    record: Path | None
    provenance: str
    code: int

    @property
    def wrong(self) -> list[str]:
        """One sentence per figure that does not agree."""
        if self.found is None:
            return [f"`fcnbench run` ended with exit code {self.code}"]
        sentences = []
        for title, value, figure in zip(METRICS.values(), self.found, figures_of(self.entry), strict=True):
            allowed = printable(figure)
            if title == METRICS["mean_iu"] and two_decimals(value) not in allowed:
                sentences.append(f"{title} is {two_decimals(value)}, published {' or '.join(allowed)}")
            elif abs(value - figure) > TOLERANCE:
                sentences.append(f"{title} is {value:.4f}, published {figure:.4f}, {value - figure:+.4f}")
        return sentences


def two_decimals(percent: float) -> str:
    """Round half up to two decimals, as people do, and not half to even."""
    return str(Decimal(repr(percent)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def printable(figure: float) -> list[str]:
    """Return the two decimals that a published figure stands for: 65.5126 is 65.51; 65.0050 is 65.01 or 65.00."""
    return list(dict.fromkeys(two_decimals(round(figure + shift, 6)) for shift in (0, EDGE, -EDGE)))


def figures() -> list[Published]:
    """Return the published weights that have figures on the dataset."""
    return [published()[claim.weights] for claim in claims_of(DATASET) if claim.weights]


def figures_of(entry: Published) -> tuple[float, ...]:
    """Return the four published figures of weights, in percent."""
    claim = next(claim for claim in claims_of(DATASET) if claim.weights == entry.name)
    return tuple(round(100 * claim.scores[name], 4) for name in METRICS)


def run(entry: Published, board: Path) -> Comparison:
    """Score one network by the command line, whose progress and errors go to standard error."""
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
    """Give name and SHA-256 of every downloaded file that was used: archives, and weights as they were published."""
    from safetensors import safe_open

    for archive in known_archives().values():
        path = paths.archives() / archive.file
        if path.is_file():
            yield archive.file, digest_file(path)
    for entry in entries:
        kept = paths.weights() / f"{entry.name}.safetensors"
        if kept.is_file():
            # The publisher's file is not kept; the header says what it was.
            with safe_open(kept, "numpy") as opened:
                about = opened.metadata() or {}
            yield about.get("source", kept.name), about.get("sha256", "unknown")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def board_rows(board: Path, records: Sequence[Path]) -> list[list[str]]:
    """Return the cells of the board's rows that belong to these records."""
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
    """Return the whole page as Markdown."""
    rows = []
    for each in comparisons:
        found = each.found or (None,) * len(METRICS)
        cells = [
            f"{'-' if value is None else f'{value:.4f}'} ({figure:.4f})"
            for value, figure in zip(found, figures_of(each.entry), strict=True)
        ]
        rows.append([each.entry.model, each.entry.name, *cells, "; ".join(each.wrong) or "agrees"])
    off = sum(bool(each.wrong) for each in comparisons)
    provenances = sorted({each.provenance for each in comparisons if each.provenance})
    digests = [[name, f"`{digest}`"] for name, digest in downloads([each.entry for each in comparisons])]
    verdict = f"{off} of {len(comparisons)} networks do not agree" if off else f"All {len(comparisons)} networks agree"
    return "\n".join(
        [
            f"# Published networks on {DATASET}",
            "",
            f"{verdict} with the published figures, which stand in parentheses; all in percent. Mean IU must have the",
            f"published two decimals, and every metric must lie within {TOLERANCE} points.",
            "",
            *table(["model", "weights", *METRICS.values(), "verdict"], rows),
            "",
            "## Board rows",
            "",
            *table(COLUMNS, board_rows(board, [each.record for each in comparisons if each.record])),
            "",
            "## Downloaded files",
            "",
            f"Images: {'; '.join(provenances) or 'none were scored'}.",
            "",
            *table(["file", "SHA-256"], digests),
            "",
        ]
    )


def reproduce(board: Path, target: Path | None) -> int:
    """Run every network, write the page, and return the exit code."""
    comparisons = []
    for entry in figures():
        comparisons.append(run(entry, board))
        if comparisons[-1].code == Interrupted.exit_code:
            break
    page = summary(comparisons, board)
    if target is not None:
        files.write_bytes(target, page.encode())
    print(page)
    failed = [each.code for each in comparisons if each.code]
    return failed[0] if failed else CheckFailed.exit_code * any(each.wrong for each in comparisons)


def main() -> None:
    """Parse the options and exit with the code."""
    parser = argparse.ArgumentParser(description="score the published VOC networks again, and compare")
    parser.add_argument("--board", type=Path, default=Path(), metavar="DIR", help="folder of submissions/ (default: .)")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="where to write the page, in Markdown")
    options = parser.parse_args()
    sys.exit(reproduce(options.board, options.summary))


if __name__ == "__main__":
    main()
