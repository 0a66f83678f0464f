"""`plan`: what a run would use and download, and what is wrong with a call; without torch, so that it is quick."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from fcnbench.api.inputs import DatasetLike, GivenDataset, ModelLike, given_dataset
from fcnbench.datasets.registry import DATASETS
from fcnbench.errors import UsageError, WeightsError
from fcnbench.models.names import find_model
from fcnbench.models.weights.names import check_weights, own_weights
from fcnbench.models.weights.published import missing_weights, published
from fcnbench.options import DEFAULT_DATASET, DEFAULT_MODEL, DataOptions, RunOptions
from fcnbench.util import paths
from fcnbench.util.consent import Download
from fcnbench.util.console import listed

if TYPE_CHECKING:
    from fcnbench.datasets.spec import DatasetSpec

_DEVICES = ("auto", "cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "maia", "meta")
"""Device types that PyTorch knows by itself; other packages add theirs by the entry-point group below."""

_DEVICE_PLUGINS = "torch.backends"
"""Entry-point group of packages that PyTorch imports by itself, for devices of their own."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What `run` would use and download.

    Attributes:
        model: name of the model, as `--model` takes it; of an object, what records call it.
        weights: what the model's factory is given: the user's choice, else the name of its published weights; None
            where it brings its own.
        data: the dataset.
        downloads: files that are not here yet.
        fallbacks: file names of other archives that would do, should no mirror give the first ones.
        results: folder that the result is filed in.
    """

    model: str
    weights: str | None
    data: GivenDataset
    downloads: tuple[Download, ...]
    fallbacks: tuple[str, ...]
    results: Path

    def __repr__(self) -> str:
        return f"<Plan of {self.model} on {self.dataset}: {len(self.downloads)} downloads, results in {self.results}>"

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.data.spec.name


def plan(
    model: ModelLike | None = None,
    dataset: DatasetLike | None = None,
    *,
    weights: str | Path | None = None,
    from_: str | Path | None = None,
    allow_partial: bool = False,
    board: str | Path | None = None,
) -> Plan:
    """Return what `run` would use and download, without importing the model or writing anything.

    Args:
        model: as for `run`; by default `fcn8s-pocket`, if the dataset has its classes.
        dataset: as for `run`; `pocket` by default.
        weights: as for `run`.
        from_: the user's own archive or extracted folder of the dataset.
        allow_partial: accept an incomplete dataset.
        board: as for `run`.

    Raises:
        UnknownName: no model or dataset has this name.
        UsageError: the dataset needs another model than the default, or `from_` is empty.
        DataMissing: `from_` is not there.
        WeightsError: the weights do not exist, or none were published for these classes.

    >>> plan("fcn8s", "voc2011val").weights
    'fcn8s-heavy-pascal'
    """
    options = RunOptions.of(locals())
    return plan_run(options, DEFAULT_DATASET if options.dataset is None else options.dataset)


def plan_run(options: RunOptions, dataset: DatasetLike) -> Plan:
    """Return what a run would use and download.

    Args:
        options: the options of `run`.
        dataset: the dataset, where the options name none.

    Raises:
        FcnbenchError: as `plan` does.
    """
    dataset = dataset if options.dataset is None else options.dataset
    if isinstance(dataset, str):
        DATASETS.find(dataset)
    model, weights = options.model, options.weights
    if model is not None:
        check_model(model, weights)
    given = given_dataset(dataset, options.data.source)
    spec = given.spec
    chosen_model = _default_model(spec) if model is None else model
    chosen, files = plan_model(chosen_model, weights, spec.label_space.num_classes, spec.label_space.name)
    here = given.loaded is not None or options.data.source is not None
    data, fallbacks = ([], ()) if here else plan_data(spec, options.data)
    name = chosen_model if isinstance(chosen_model, str) else find_model(chosen_model).display
    return Plan(name, chosen, given, (*files, *data), fallbacks, paths.results(options.board))


def check_model(name: ModelLike, weights: str | Path | None = None) -> None:
    """Check a model's name, and its weights as far as that can be done before it is imported.

    Raises:
        UnknownName, ModelError: there is no such model.
        WeightsError: there are no such weights.
    """
    found = find_model(name)
    if weights is not None:
        check_weights(found, str(weights))


def plan_model(
    name: ModelLike, weights: str | Path | None, num_classes: int, label_space: str
) -> tuple[str | None, list[Download]]:
    """Find a model and its weights by name.

    Args:
        name: as `--model` takes it.
        weights: as `--weights` takes it; None for the model's own.
        num_classes: number of classes of the dataset.
        label_space: name of its label space.

    Returns:
        What the model's factory is given as weights, and what must be downloaded for it.

    Raises:
        UnknownName, ModelError: there is no such model.
        WeightsError: the weights do not exist, or none were published for these classes.
    """
    model = find_model(name)
    if model.scheme == "oracle-constant" and model.argument and int(model.argument) >= num_classes:
        raise UsageError(
            f"{name}: the dataset has the classes 0..{num_classes - 1}", f"write oracle-constant:{num_classes - 1}, say"
        )
    if weights is None:
        entry = own_weights(model.argument, num_classes, label_space) if model.builtin else None
        return (entry.name, missing_weights(entry)) if entry is not None else (None, [])
    found = check_weights(model, str(weights))
    entry = found.published if found is not None and not found.trunk else None
    if entry is not None and entry.label_space != label_space:
        raise WeightsError(
            f"the weights {entry.name} are for {entry.label_space}, and the dataset has {label_space}",
            "choose a dataset with these classes (`fcnbench list datasets`), or other weights",
        )
    return str(weights), missing_weights(found.published) if found is not None and found.published is not None else []


def plan_data(spec: DatasetSpec, options: DataOptions) -> tuple[list[Download], tuple[str, ...]]:
    """Find out what must be downloaded to have a dataset.

    Returns:
        The archives to download, and the file names of those that would do in their place.

    Raises:
        DataMissing: there is a part of it alone, and that will not do.
    """
    from fcnbench.datasets.archive.catalogue import known_archives
    from fcnbench.datasets.archive.fetch import missing_archives, ordered_alternatives
    from fcnbench.datasets.load import find_store

    if not spec.archives or find_store(spec, options.allow_partial) is not None:
        return [], ()
    first, *others = ordered_alternatives(spec)
    downloads = missing_archives(spec, first)
    return downloads, tuple(known_archives()[name].file for names in others for name in names) if downloads else ()


def check_device(name: str, model: str = "") -> None:
    """Refuse a device that PyTorch can't know by this name, before PyTorch is imported.

    Args:
        name: as `--device` takes it.
        model: the model's name; a Python file may bring a device of its own.

    Raises:
        UsageError: there is no such kind of device.
    """
    kind, _, index = name.partition(":")
    if "torch" in sys.modules or ".py:" in model or entry_points(group=_DEVICE_PLUGINS):
        return
    if kind not in _DEVICES or (index and not index.isdecimal()):
        raise UsageError(f"--device {name} is unknown", "use auto, cpu, cuda, cuda:1, mps or xpu")


def _default_model(spec: DatasetSpec) -> str:
    """Return the model that is run when none is named, where it has the dataset's classes."""
    from fcnbench.datasets.registry import find_dataset

    if spec.label_space == find_dataset(DEFAULT_DATASET).label_space:
        return DEFAULT_MODEL
    fitting = {entry.model for entry in published().values() if entry.label_space == spec.label_space.name}
    some = f" ({listed(sorted(fitting))} have published weights for it)" if fitting else ""
    raise UsageError(
        f"{spec.name} needs a model: the default, {DEFAULT_MODEL}, knows the classes of {DEFAULT_DATASET} alone",
        f"name one with --model{some}; `fcnbench list models` shows all",
    )
