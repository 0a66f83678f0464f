"""The factory of the model `voc-deeplab`, which the entry point in `pyproject.toml` registers with fcnbench."""

from __future__ import annotations

import os

import fcnbench
from fcnbench.errors import ModelError, WeightsError

WEIGHTS_VARIABLE = "VOC_DEEPLAB_WEIGHTS"
"""Environment variable with the path of the weights, for runs without `--weights`."""

VOC_CLASSES = 21


def build(weights: str | None = None, num_classes: int = VOC_CLASSES) -> fcnbench.ModuleSegmenter:
    """Build the network with its trained weights; fcnbench calls this function.

    Args:
        weights: path of the `.npz` file; None for the path in the environment variable.
        num_classes: number of classes of the dataset; the network was trained for the 21 of PASCAL VOC.

    Raises:
        WeightsError: no path was given, or the file does not contain this network's arrays.
        ModelError: the dataset has another number of classes.
    """
    if num_classes != VOC_CLASSES:
        raise ModelError(
            f"voc-deeplab predicts the {VOC_CLASSES} classes of PASCAL VOC, and the dataset has {num_classes}",
            "run it on voc2011val",
        )
    path = weights or os.environ.get(WEIGHTS_VARIABLE)
    if not path:
        raise WeightsError(
            "voc-deeplab needs its weights, and none were given",
            f"pass --weights FILE.npz, or set {WEIGHTS_VARIABLE}; the plugin's README describes the file",
        )
    # Imported here, so that listing models stays quick.
    from voc_deeplab.network import VocDeepLab, load_arrays, prepare

    network = VocDeepLab()
    load_arrays(network, path)
    return fcnbench.ModuleSegmenter(network, prepare, num_classes, preprocessing="rgb/127.5-1")
