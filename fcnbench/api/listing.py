"""`list`: the registered models and datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fcnbench.models.fcn.architecture import Architecture


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
    """Return the registered models, and the schemes that take an argument, such as `onnx:PATH`; no model is imported.

    >>> import fcnbench
    >>> "fcn8s-pocket" in [listed.name for listed in fcnbench.list_models()]
    True
    """
    from fcnbench.models.registry import ABOUT, MODELS
    from fcnbench.models.schemes import SCHEMES

    named = [
        Listed("model", entry.name, ABOUT.get(entry.name, entry.target), entry.provider)
        for entry in MODELS.entries().values()
    ]
    schemes = [
        Listed("model", f"{name}:{scheme.argument}" if scheme.argument else name, scheme.about, "fcnbench")
        for name, scheme in SCHEMES.items()
    ]
    return named + schemes


def model_facts() -> list[Architecture]:
    """Return layers, parameters, receptive field and stride of the built-in models, computed from their modules."""
    from fcnbench.models.fcn.architecture import architecture_of
    from fcnbench.models.fcn.zoo import DEFINITIONS

    return [architecture_of(name) for name in DEFINITIONS]


def list_datasets() -> list[Listed]:
    """Return the registered datasets; datasets of other packages are listed without importing them.

    >>> import fcnbench
    >>> fcnbench.list_datasets()[0].name
    'pocket'
    """
    from fcnbench.datasets.registry import DATASETS, find_dataset

    return [
        Listed(
            "dataset",
            entry.name,
            find_dataset(entry.name).title if entry.provider == "fcnbench" else entry.target,
            entry.provider,
        )
        for entry in DATASETS.entries().values()
    ]
