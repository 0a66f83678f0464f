"""The columns of the boards, and the page that describes them."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "v1"
"""Version of the boards, raised when a column changes its meaning."""


@dataclass(frozen=True)
class Column:
    """A column of a board.

    Attributes:
        dtype: its pandas dtype.
        description: what its cells hold.
    """

    dtype: str
    description: str


Columns = dict[str, Column]
"""Columns by name, in order."""


def _text(description: str) -> Column:
    return Column("string", description)


def _number(description: str) -> Column:
    return Column("float64", description)


def _integer(description: str) -> Column:
    return Column("Int64", description)


SCORE_COLUMNS: Columns = {
    "rank": _text(
        "rank among the measured rows of the same signature; a range such as `2-4` where the 95% intervals of rows "
        "overlap"
    ),
    "model": _text("registered name of the model, or `file.py:factory`"),
    "mean_iu": _number("mean IU over the classes with true pixels, a fraction with 6 decimals"),
    "mean_iu_low": _number("lower end of the 95% interval of the mean IU, from a bootstrap over images"),
    "mean_iu_high": _number("upper end of the same interval"),
    "pixel_acc": _number("pixel accuracy, a fraction with 6 decimals"),
    "mean_acc": _number("mean accuracy over the classes with true pixels, a fraction with 6 decimals"),
    "fw_iu": _number("frequency-weighted IU, a fraction with 6 decimals"),
    "mean_iu_nobg": _number("mean IU without the class `background`; empty where there is no such class"),
    "geo_pixel_acc": _number("pixel accuracy of the second label map; empty where the dataset or the model has none"),
    "images": _integer("number of scored images, always the whole split"),
    "tier": _text(
        "how far the row was verified: `claimed` = a source states it; `reported` = there is a record; `rescored` = "
        "the record was recomputed from its matrices, and its split and training data were checked; `rerun` = the "
        "model was run again with the same result"
    ),
    "tier_date": _text("when the tier was granted, UTC, ISO 8601"),
    "tier_version": _text("version of fcnbench that granted the tier"),
    "signature": _text("the protocol in one line; rows with different signatures are not comparable"),
    "forward_500_ms": _number("median forward time at 500x500, batch 1, in ms; empty if not measured"),
    "images_per_second": _number("throughput of the whole run on that machine; empty if all images were resumed"),
    "device": _text("processor or accelerator of the forward pass; empty for stored predictions"),
    "threads": _integer("number of CPU threads of PyTorch; 0 for stored predictions"),
    "weights": _text("value of `--weights` without folders; empty if the model has weights of its own"),
    "weights_digest": _text("SHA-256 of all parameters and buffers; empty if the model does not expose them"),
    "data_fingerprint": _text("SHA-256 of all images and label maps of the dataset's store"),
    "labels_digest": _text("SHA-256 of the label maps alone; equal digests mean equal ground truth"),
    "data_provenance": _text("source of the data: archives with a published digest, `built in`, or `unverified`"),
    "predictions_digest": _text("SHA-256 of all predicted label maps; equal digests mean equal pixels"),
    "provider": _text("package or file that the model comes from; `predictions` for stored predictions"),
    "provider_version": _text("version of the package, or the start of the file's digest"),
    "torch": _text("version of PyTorch"),
    "fcnbench": _text("version of fcnbench that made the record"),
    "created": _text("time of the run, UTC, ISO 8601"),
    "source": _text("publication of a claimed row; empty for measured rows"),
    "record": _text("path of the record, relative to the folder that holds `submissions/`; empty for claimed rows"),
}
"""Columns of a board of scores."""

SPEED_COLUMNS: Columns = {
    "model": _text("registered name of the model, or `file.py:factory`"),
    "scenario": _text("`single-stream` waits for each pass; `throughput` keeps the device busy"),
    "batch": _integer("number of 500x500 images per pass; the papers use 1"),
    "median_ms": _number("median time of a forward pass in ms"),
    "p90_ms": _number("90th percentile of the time in ms"),
    "p99_ms": _number("99th percentile of the time in ms"),
    "mean_ms": _number("mean time in ms, which the papers print"),
    "trials": _integer("number of timed passes after the warm-up"),
    "images_per_s": _number("images per second at the median"),
    "precision": _text("precision of the forward pass, with `+compile` for a compiled network"),
    "forward": _text("`plain`, or the name of the faster path with the same outputs"),
    "gflops": _number("10^9 floating-point operations per pass, for the path that ran"),
    "of_ceiling": _number(
        "least time that the measured speed of a matrix product and of a copy allows, divided by the median"
    ),
    "joules": _number("energy per image; empty if the device does not measure it"),
    "slowed": _integer("number of passes that heat or a power limit may have slowed down"),
    "parameters": _integer("number of parameters, frozen ones included; empty if the model does not expose a module"),
    "device": _text("processor or accelerator"),
    "threads": _integer("number of CPU threads of PyTorch"),
    "torch": _text("version of PyTorch"),
    "weights": _text("value of `--weights`; weights do not affect the time"),
    "weights_digest": _text("SHA-256 of all parameters and buffers"),
    "fcnbench": _text("version of fcnbench that made the timing"),
    "created": _text("time of the run, UTC, ISO 8601"),
    "record": _text("path of the timing, which holds every sample"),
}
"""Columns of a speed board."""


_SCORES_TEXT = f"""\
`fcnbench board build` writes `{VERSION}/<dataset>.csv` from the records below `submissions/` and the claims of papers;
nobody edits it by hand. `fcnbench board verify` checks that it is what the records give. The file is UTF-8 and
comma-separated with one header line, and its rows are sorted by mean IU, highest first. An empty cell means that the
value is not known.
"""

_SPEED_TEXT = f"""\
`fcnbench bench` adds timings below `submissions/`, from which `{VERSION}/speed/<machine>.csv` is written. There is one
file per machine, since times of different machines are not comparable. Its rows are sorted by scenario, fastest first.
"""


def schema_page() -> str:
    """Return the page `SCHEMA.md`, which lists every column with its type and description.

    >>> print(schema_page().splitlines()[0])
    # Columns of a board
    """
    return (
        f"# Columns of a board\n\n{_SCORES_TEXT}\n{_table(SCORE_COLUMNS)}"
        f"\n# Columns of a speed board\n\n{_SPEED_TEXT}\n{_table(SPEED_COLUMNS)}"
    )


def _table(columns: Columns) -> str:
    lines = [f"| `{name}` | {column.dtype} | {column.description} |" for name, column in columns.items()]
    return "| column | type | meaning |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
