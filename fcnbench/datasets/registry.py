"""The registered datasets, built in and from other packages, by name. Importing this imports no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fcnbench.errors import DatasetPluginError
from fcnbench.registry import Registry

if TYPE_CHECKING:
    from fcnbench.datasets.spec import DatasetSpec

DATASETS = Registry(
    kind="dataset",
    group="fcnbench.datasets",
    builtins={
        "pocket": "fcnbench.datasets.families.pocket.family:POCKET_VAL",
        "pocket-train": "fcnbench.datasets.families.pocket.family:POCKET_TRAIN",
        "voc2011val": "fcnbench.datasets.families.voc:VOC2011VAL",
        "voc2011val-full": "fcnbench.datasets.families.voc:VOC2011VAL_FULL",
        "voc2012val": "fcnbench.datasets.families.voc:VOC2012VAL",
        "voc2012train": "fcnbench.datasets.families.voc:VOC2012TRAIN",
        "sbdtrain": "fcnbench.datasets.families.sbd:SBDTRAIN",
        "sbdval": "fcnbench.datasets.families.sbd:SBDVAL",
        "nyudv2test": "fcnbench.datasets.families.nyudv2:NYUDV2_TEST",
        "nyudv2train": "fcnbench.datasets.families.nyudv2:NYUDV2_TRAIN",
        "siftflowtest": "fcnbench.datasets.families.siftflow:SIFTFLOW_TEST",
        "siftflowtrain": "fcnbench.datasets.families.siftflow:SIFTFLOW_TRAIN",
        "pascalcontext59val": "fcnbench.datasets.families.pascal_context:CONTEXT59VAL",
        "pascalcontext33val": "fcnbench.datasets.families.pascal_context:CONTEXT33VAL",
    },
    failure=DatasetPluginError,
)
"""Names of the datasets; other packages add theirs by entry points that lead to a `DatasetSpec`."""


def find_dataset(name: str) -> DatasetSpec:
    """The task of this name.

    Raises:
        UnknownName: no task is called so.
        DatasetPluginError: another package registered it, and it can't be used.
    """
    from fcnbench.datasets.spec import DatasetSpec

    spec = DATASETS.load(name)
    if not isinstance(spec, DatasetSpec):
        entry = DATASETS.find(name)
        raise DatasetPluginError(
            f"the dataset {name!r} of package {entry.provider} leads to a {type(spec).__name__}, expected a "
            "fcnbench.datasets.spec.DatasetSpec",
            f"repair or uninstall {entry.provider}",
        )
    return spec
