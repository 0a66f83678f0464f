"""The columns of a board, and the page that explains them."""

from __future__ import annotations

VERSION = "v1"
"""Version of the boards: raised when a column changes its meaning."""

Columns = dict[str, tuple[str, str]]
"""Name of a column to its pandas dtype and its meaning, in order."""

BOARD: Columns = {
    "rank": ("string", "ranks that the images allow, `2-4`: rows whose intervals overlap share a range; per signature"),
    "model": ("string", "registered name of the model, or `file.py:factory`"),
    "mean_iu": ("float64", "mean IU over classes with true pixels, fraction, 6 decimals"),
    "mean_iu_low": ("float64", "lower end of its 95% bootstrap interval over images"),
    "mean_iu_high": ("float64", "upper end"),
    "pixel_acc": ("float64", "pixel accuracy, fraction, 6 decimals"),
    "mean_acc": ("float64", "mean accuracy over classes with true pixels, fraction, 6 decimals"),
    "fw_iu": ("float64", "frequency-weighted IU, fraction, 6 decimals"),
    "mean_iu_nobg": ("float64", "mean IU without the class `background`; empty where the classes have none"),
    "geo_pixel_acc": ("float64", "pixel accuracy of the second label map; empty where data set or model has none"),
    "images": ("Int64", "images scored: always the whole split"),
    "tier": (
        "string",
        "`claimed` = a source says so; `reported` = a record; `rescored` = the record follows from its matrices, and "
        "split and training were checked; `rerun` = the model was run again and agreed",
    ),
    "tier_date": ("string", "when the tier was given, UTC, ISO 8601"),
    "tier_version": ("string", "version of fcnbench that gave it"),
    "signature": ("string", "the protocol in one line; rows of different signatures are not comparable"),
    "forward_500_ms": ("float64", "median forward time at 500x500, batch 1, in ms; empty where not measured"),
    "images_per_second": ("float64", "throughput of the whole loop on that machine; empty if all were resumed"),
    "device": ("string", "processor or accelerator that ran the forward pass; empty for stored predictions"),
    "threads": ("Int64", "CPU threads of PyTorch; 0 for stored predictions"),
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
    "source": ("string", "where a claimed row stands; empty for measured ones"),
    "record": ("string", "path of the record, from the folder that holds `submissions/`; empty for claimed rows"),
}


SPEED: Columns = {
    "model": ("string", "registered name of the model, or `file.py:factory`"),
    "scenario": ("string", "`single-stream`: each pass waited for; `throughput`: the device never waits"),
    "batch": ("Int64", "500x500 pictures in a pass; 1 is the papers' protocol"),
    "median_ms": ("float64", "median time of a forward pass in ms"),
    "p90_ms": ("float64", "time that nine passes of ten stay below"),
    "p99_ms": ("float64", "time that 99 of 100 stay below"),
    "mean_ms": ("float64", "mean, which the papers print"),
    "trials": ("Int64", "timed passes, after the warm-up"),
    "images_per_s": ("float64", "pictures in a second, at the median"),
    "precision": ("string", "arithmetic of the forward pass"),
    "forward": ("string", "`plain`, or the name of the faster path of the same function"),
    "gflops": ("float64", "10^9 floating-point operations of a pass, of the path that ran"),
    "of_ceiling": ("float64", "least time that a measured matrix product and copy allow, over the median"),
    "joules": ("float64", "energy of a picture, where the device counts it"),
    "slowed": ("Int64", "passes that heat or power may have slowed down"),
    "parameters": ("Int64", "numbers in its layers, frozen ones included; empty where the model shows no module"),
    "device": ("string", "processor or accelerator"),
    "threads": ("Int64", "CPU threads of PyTorch"),
    "torch": ("string", "version of PyTorch"),
    "weights": ("string", "what `--weights` said; they do not matter for the time"),
    "weights_digest": ("string", "SHA-256 over all parameters and buffers"),
    "fcnbench": ("string", "version of fcnbench that timed it"),
    "created": ("string", "time of the run, UTC, ISO 8601"),
    "record": ("string", "path of the timing with its raw samples"),
}
"""Columns of a speed board."""


def schema_page() -> str:
    """The page `SCHEMA.md`: every column, its type and meaning."""
    return (
        "# Columns of a board\n\n"
        f"`{VERSION}/<dataset>.csv` is written from the records below `submissions/`, with the papers' claims beside\n"
        "them, and never edited by hand: `fcnbench board build` writes it, `fcnbench board verify` says whether it is\n"
        "what the records give. UTF-8, comma-separated, one header line; rows by mean IU, highest first. An empty\n"
        "cell is a value that is not known.\n\n" + _table(BOARD) + "\n# Columns of a speed board\n\n"
        f"`{VERSION}/speed/<machine>.csv` is written from the timings of `fcnbench bench` below `submissions/`:\n"
        "one file a machine, since times of different machines are not comparable; by scenario, fastest first.\n\n"
        + _table(SPEED)
    )


def _table(columns: Columns) -> str:
    lines = [f"| `{name}` | {dtype} | {meaning} |" for name, (dtype, meaning) in columns.items()]
    return "| column | type | meaning |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
