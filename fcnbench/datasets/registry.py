"""The registered datasets by name: built-in ones and those of other packages. Imports no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fcnbench.errors import DatasetPluginError
from fcnbench.registry import Registry

if TYPE_CHECKING:
    from fcnbench.datasets.spec import DatasetSpec


class DatasetRegistry(Registry):
    """Registered datasets; an entry must be a `DatasetSpec` of the entry's name."""

    def load(self, name: str) -> DatasetSpec:
        """Import and return the dataset of a name.

        Raises:
            UnknownName: there is no such dataset; the error suggests similar names.
            DatasetPluginError: another package registered the name, and its entry can't be used.
        """
        from fcnbench.datasets.spec import DatasetSpec

        spec = super().load(name)
        entry = self.find(name)
        if not isinstance(spec, DatasetSpec):
            raise DatasetPluginError(
                f"the dataset {name!r} of package {entry.provider} is of type {type(spec).__name__}, expected a "
                "fcnbench.datasets.spec.DatasetSpec",
                f"repair or uninstall {entry.provider}",
            )
        if spec.name != name:
            raise DatasetPluginError(
                f"the dataset {name!r} of package {entry.provider} is called {spec.name!r} in its specification",
                f"give the entry point and the specification of {entry.target} one name",
            )
        return spec


DATASETS = DatasetRegistry(
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
"""The registry of datasets; other packages add entry points that name a `DatasetSpec`."""


def find_dataset(name: str) -> DatasetSpec:
    """Return the dataset of a name.

    Raises:
        UnknownName: there is no such dataset; the error suggests similar names.
        DatasetPluginError: another package registered the name, and its entry can't be used.

    >>> find_dataset("voc2011val").label_space.num_classes
    21
    """
    return DATASETS.load(name)
