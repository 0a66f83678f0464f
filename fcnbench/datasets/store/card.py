"""The data card of a store: a README.md with metadata for the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from fcnbench.datasets.spec import DatasetSpec
from fcnbench.datasets.store.manifest import Manifest
from fcnbench.util import files

CARD_NAME = "README.md"
"""File name of the card, as Hugging Face expects it."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"))
"""Hugging Face's names for ranges of the number of samples."""


def write_card(spec: DatasetSpec, manifest: Manifest, folder: Path) -> None:
    """Write the data card of a store into a folder.

    Raises:
        OutputError: the card can't be written.
    """
    files.write_bytes(folder / CARD_NAME, card(spec, manifest).encode())


def card(spec: DatasetSpec, manifest: Manifest) -> str:
    """Return the text of the card: content of the store, meaning of the columns, source and terms."""
    size = next((word for most, word in _SIZES if len(manifest.rows) < most), "10K<n<100K")
    extent = "" if manifest.complete else f" **Partial: {manifest.images} of {manifest.total} images.**"
    lines = [
        "---",
        f"pretty_name: {spec.name}",
        "license: other",
        "task_categories:",
        "- image-segmentation",
        "size_categories:",
        f"- {size}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train" if "train" in spec.name else "  - split: test",
        "    path: data.parquet",
        "---",
        "",
        f"# {spec.name}",
        "",
        f"{spec.title}.{extent}",
        "",
        f"Made by fcnbench from {manifest.variant} ({manifest.provenance}); fingerprint `{manifest.fingerprint}`.",
        f"Terms: {spec.terms or 'unknown'}. Please cite: {spec.citation or 'its authors'}.",
        "",
        "`image` holds the bytes of the original file. `label` is an 8-bit PNG whose pixel value is the class index;",
        f"255 is not scored ({manifest.ignored:.2%} of the pixels). `classes` lists the classes in the label map.",
        "",
        "| class | name | pixels |",
        "| --- | --- | --- |",
        *_table(manifest.classes, manifest.histogram),
    ]
    if manifest.geo_classes:
        lines += ["", "`label_geo` is a second label map:", "", "| class | name | pixels |", "| --- | --- | --- |"]
        lines += _table(manifest.geo_classes, manifest.geo_histogram)
    return "\n".join(lines) + "\n"


def _table(classes: tuple[str, ...], histogram: tuple[int, ...]) -> list[str]:
    rows = [f"| {index} | {name} | {histogram[index]} |" for index, name in enumerate(classes)]
    return [*rows, f"| 255 | ignored | {histogram[-1]} |"]
