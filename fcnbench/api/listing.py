"""`list`: the registered models and datasets."""

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


@dataclass(frozen=True)
class ModelFacts:
    """What a built-in model is made of.

    Attributes:
        name: what `--model` takes.
        layers: learned layers from the image to the score layer.
        parameters: learned numbers.
        receptive_field: side in pixels of the receptive field of a cell of the coarsest score layer.
        stride: pixels between two of its cells.
        paper: the same in the CVPR paper's Table 1, for its three nets.
    """

    name: str
    layers: int
    parameters: int
    receptive_field: int
    stride: int
    paper: str


def list_models() -> list[Listed]:
    """Return the registered models, and the schemes that take an argument; nothing of them is imported.

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


def model_facts() -> list[ModelFacts]:
    """Return layers, parameters, receptive field and stride of the built-in models, computed from their modules."""
    from dataclasses import asdict

    from fcnbench.models.fcn.architecture import PAPER, builtin_facts
    from fcnbench.models.fcn.zoo import DEFINITIONS

    def paper(name: str) -> str:
        if name not in PAPER:
            return ""
        layers, parameters, field, stride = PAPER[name]
        return f"{layers} layers, {parameters}, {field}, {stride}"

    return [ModelFacts(name, **asdict(builtin_facts(name)), paper=paper(name)) for name in DEFINITIONS]


def list_datasets() -> list[Listed]:
    """Return the registered datasets; of other packages' only the names are read.

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
