"""The built-in models: factories called with `weights=` and `num_classes=`, as every registered model is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files

from fcnbench.errors import WeightsError
from fcnbench.models.fcn import FCN
from fcnbench.models.pocket import POCKET_CLASSES, POCKET_SPLITS, POCKET_TRUNK
from fcnbench.models.preprocess import caffe_bgr
from fcnbench.models.segmenter import ModuleSegmenter
from fcnbench.models.weights import fill, load_weights, read_state

VOC_CLASSES = 21
"""Background and 20 classes: the label space of the papers' main results."""

Factory = Callable[..., ModuleSegmenter]


def _vgg16(name: str, stride: int) -> Factory:
    def build(weights: str | None = None, num_classes: int = VOC_CLASSES) -> ModuleSegmenter:
        """Build a VGG16 FCN of the papers; `weights` is a path or `random:SEED`."""
        if weights is None:
            raise WeightsError(
                f"{name} needs weights, and none were given",
                f"pass --weights PATH (.pth of torchfcn or .safetensors with the same keys), or --weights random:0 "
                f"to try {name} untrained",
            )
        net = FCN(num_classes, stride)
        load_weights(net, weights, f"{name} with {num_classes} classes")
        return ModuleSegmenter(net, caffe_bgr, num_classes)

    return build


def _pocket(name: str, stride: int) -> Factory:
    def build(weights: str | None = None, num_classes: int = POCKET_CLASSES) -> ModuleSegmenter:
        """Build a pocket FCN with its shipped weights, or with those of a path or `random:SEED`."""
        net = FCN(num_classes, stride, POCKET_TRUNK)
        label = f"{name} with {num_classes} classes"
        if weights is not None:
            load_weights(net, weights, label)
            return ModuleSegmenter(net, caffe_bgr, num_classes)
        with as_file(files("fcnbench.models") / "pocket_weights" / f"{name}.safetensors") as path:
            fill(net, read_state(path), label, f"the shipped {name}.safetensors")
        return ModuleSegmenter(net, caffe_bgr, num_classes, POCKET_SPLITS)

    return build


fcn32s = _vgg16("fcn32s", 32)
fcn16s = _vgg16("fcn16s", 16)
fcn8s = _vgg16("fcn8s", 8)
fcn32s_pocket = _pocket("fcn32s-pocket", 32)
fcn16s_pocket = _pocket("fcn16s-pocket", 16)
fcn8s_pocket = _pocket("fcn8s-pocket", 8)
