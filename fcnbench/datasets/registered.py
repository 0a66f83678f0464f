"""The registered datasets, built in and from other packages, by name. Importing this imports no numpy."""

from __future__ import annotations

from fcnbench.errors import DatasetPluginError
from fcnbench.registry import Registry

DATASETS = Registry(
    kind="data set",
    group="fcnbench.datasets",
    builtins={
        "pocket": "fcnbench.datasets.pocket.family:POCKET_VAL",
        "pocket-train": "fcnbench.datasets.pocket.family:POCKET_TRAIN",
        "voc2011val": "fcnbench.datasets.voc:VOC2011VAL",
        "voc2011val-full": "fcnbench.datasets.voc:VOC2011VAL_FULL",
        "voc2012val": "fcnbench.datasets.voc:VOC2012VAL",
        "voc2012train": "fcnbench.datasets.voc:VOC2012TRAIN",
        "sbdtrain": "fcnbench.datasets.sbd:SBDTRAIN",
        "sbdval": "fcnbench.datasets.sbd:SBDVAL",
        "nyudv2test": "fcnbench.datasets.nyudv2:NYUDV2_TEST",
        "nyudv2train": "fcnbench.datasets.nyudv2:NYUDV2_TRAIN",
        "siftflowtest": "fcnbench.datasets.siftflow:SIFTFLOW_TEST",
        "siftflowtrain": "fcnbench.datasets.siftflow:SIFTFLOW_TRAIN",
        "pascalcontext59val": "fcnbench.datasets.pascal_context:CONTEXT59VAL",
        "pascalcontext33val": "fcnbench.datasets.pascal_context:CONTEXT33VAL",
    },
    failure=DatasetPluginError,
)
"""Names of the datasets; other packages add theirs by entry points that lead to a `DatasetSpec`."""
