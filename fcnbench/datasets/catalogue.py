"""From a dataset's name to its specification."""

from __future__ import annotations

from fcnbench.datasets.registered import DATASETS
from fcnbench.datasets.spec import DatasetSpec
from fcnbench.errors import DatasetPluginError


def find_dataset(name: str) -> DatasetSpec:
    """The task of this name.

    Raises:
        UnknownName: no task is called so.
        DatasetPluginError: another package registered it, and it can't be used.
    """
    spec = DATASETS.load(name)
    if not isinstance(spec, DatasetSpec):
        entry = DATASETS.find(name)
        raise DatasetPluginError(
            f"the data set {name!r} of package {entry.provider} leads to a {type(spec).__name__}, expected a "
            "fcnbench.datasets.spec.DatasetSpec",
            f"repair or uninstall {entry.provider}",
        )
    return spec
