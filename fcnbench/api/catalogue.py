"""`list`: the registered models and data sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Listed:
    """One registered name.

    Attributes:
        kind: `model` or `dataset`.
        name: what `--model` or `--dataset` takes.
        about: one line about it.
        provider: the package that registered it.
    """

    kind: str
    name: str
    about: str
    provider: str


def list_models() -> list[Listed]:
    """The registered models; nothing of them is imported."""
    from fcnbench.models.registered import ABOUT, MODELS

    return [
        Listed("model", entry.name, ABOUT.get(entry.name, entry.target), entry.provider)
        for entry in MODELS.entries().values()
    ]


def list_datasets() -> list[Listed]:
    """The registered data sets; of other packages' only the names are read."""
    from fcnbench.datasets.catalogue import DATASETS, find_dataset

    return [
        Listed(
            "dataset",
            entry.name,
            find_dataset(entry.name).title if entry.provider == "fcnbench" else entry.target,
            entry.provider,
        )
        for entry in DATASETS.entries().values()
    ]
